"""A stage for stories: one installation for many tests, each with a pool in a namespace of its own."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

import tranche
from tests import judge
from tests.installation import Installation, installation, manifest, phase, seen, waits_for
from tranche.bus.nats import NatsBus, connect
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer
from tranche.contract.record import PodRecord
from tranche.contract.status import Status
from tranche_fleet.faults import Fault
from tranche_fleet.timeline import Timeline

STRATEGY = (
    "batchCount",
    "useBeta",
    "needConfirm",
    "grayTime",
    "upgradePolicy",
    "failureThreshold",
    "autoRollback",
)
BASE = "web-base"


def wish(namespace: str, version: str, name: str = "cart", /, **changes: Any) -> dict[str, Any]:
    """A manifest, with every field of the strategy understood."""
    strategy = {key: changes.pop(key) for key in STRATEGY if key in changes}
    document = manifest(name, version, namespace=namespace, **changes)
    document["spec"]["operationStrategy"] |= strategy
    return document


def runs(record: PodRecord, name: str = "cart") -> bool:
    """Whether the module is known to serve there."""
    return name in record.modules and record.modules[name].state == "available"


@dataclass
class Shop:
    """A namespace with one pool, ``web-base``, and the deployment ``cart`` on it."""

    namespace: str
    here: Installation
    client: tranche.Client
    bus: NatsBus
    pods: list[str] = field(default_factory=list)

    # --- given ---

    async def add(self, count: int = 1, *, install_s: float | None = None, **wanted: Any) -> str:
        """New bases, known to the services when this returns; the name of the last."""
        settings = {"settings": {"install_s": install_s}} if install_s is not None else {}
        for _ in range(count):
            made = await self.here.fleet.add(namespace=self.namespace, pool=BASE, **settings, **wanted)
            self.pods.append(made["key"].rpartition("/")[2])
        await self.known(lambda records: set(self.pods) <= records.keys())
        return self.pods[-1]

    async def runs(self, version: str, **changes: Any) -> int:
        """A version is rolled out and stable; its generation."""
        generation = await self.apply(version, **changes)
        await self.healthy(generation)
        return generation

    async def spoil(self, pod: str, fault: Fault) -> None:
        """Arm a fault on one base."""
        await self.here.fleet.arm(fault, self.key(pod))

    async def somebody_installs(self, pod: str, version: str, name: str = "cart") -> None:
        """Install a module past Tranche, and wait until it was seen."""
        address = (await self.here.fleet.pod(self.key(pod)))["address"]
        url = f"http://modules.example/{name}-{version}.jar"
        body = {"bizName": name, "bizVersion": version, "bizUrl": url}
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.post(f"http://{address}/installBiz", json=body) as answer,
        ):
            assert (await answer.json(content_type=None))["code"] == "SUCCESS"
        await self.known(lambda records: runs(records[pod], name))

    # --- when ---

    async def ask(self, version: str, name: str = "cart", **changes: Any) -> AcceptedAnswer:
        return await self.client.apply(wish(self.namespace, version, name, **changes))

    async def apply(self, version: str, name: str = "cart", **changes: Any) -> int:
        generation = (await self.ask(version, name, **changes)).generation
        assert generation is not None
        return generation

    async def verb(self, name: str, **about: Any) -> AcceptedAnswer:
        """Any verb of the client about ``cart``."""
        answer: AcceptedAnswer = await getattr(self.client, name)(self.namespace, "cart", **about)
        return answer

    # --- then ---

    async def seen(self, condition: Callable[[Status], bool], *, timeout_s: float = 30) -> Status:
        try:
            return await seen(self.client, "cart", condition, namespace=self.namespace, timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.here.words()}") from None

    async def phase(self, *phases: str, generation: int | None = None) -> Status:
        return await self.seen(phase(*phases, generation=generation))

    async def healthy(self, generation: int) -> Status:
        return await self.phase("Healthy", generation=generation)

    async def waits(self, batch: int, generation: int) -> Status:
        return await self.seen(waits_for(batch, generation))

    async def stays(self, condition: Callable[[Status], bool], seconds: float) -> None:
        """Nothing else is said for so long."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            status = await self.client.get(self.namespace, "cart")
            assert condition(status), status
            await asyncio.sleep(0.1)

    async def timelines(self) -> dict[str, Timeline]:
        found = await self.here.fleet.timelines(*map(self.key, self.pods))
        return {key.rpartition("/")[2]: timeline for key, timeline in found.items()}

    async def versions(self, module: str = "cart") -> dict[str, int]:
        """How many bases serve which version now."""
        return judge.versions_now(await self.timelines(), module, time.time())

    async def serving(self, module: str = "cart") -> dict[str, str]:
        """Which version each base serves now."""
        now = time.time()
        found = {pod: timeline.serves(module, now) for pod, timeline in (await self.timelines()).items()}
        return {pod: version for pod, version in found.items() if version is not None}

    async def touched(self, version: str) -> set[str]:
        return judge.touched(await self.timelines(), "cart", version, time.time())

    async def installs(self, version: str) -> list[float]:
        return list(judge.installs(await self.timelines(), "cart", version))

    async def lowest(self, since: float) -> int:
        """The fewest bases that served it at one moment."""
        return judge.lowest_serving(await self.timelines(), "cart", since, time.time())

    async def most(self, since: float) -> int:
        """The most bases that served it at one moment."""
        timelines = await self.timelines()
        starts = [one.start for timeline in timelines.values() for one in timeline.serving("cart")]
        return max(
            judge.serving_at(timelines, "cart", at) for at in (since, *starts, time.time()) if at >= since
        )

    async def commands(self, pod: str, since: float = 0.0) -> list[tuple[str, str]]:
        """The changing commands that a base carried out, with their versions."""
        timeline = (await self.timelines())[pod]
        return [
            (one.command, one.version)
            for one in timeline.commands
            if one.started_at is not None and one.started_at >= since and one.module == "cart"
        ]

    async def known(self, condition: Callable[[dict[str, PodRecord]], bool]) -> dict[str, PodRecord]:
        """What the executors know of the pods, as soon as it meets the condition."""
        records: dict[str, PodRecord] = {}
        try:
            async with asyncio.timeout(20):
                while True:
                    filter_ = subjects.records_of(self.namespace, BASE)
                    for subject in await self.bus.subjects(subjects.AVAILABILITY, filter_):
                        if (stored := await self.bus.last(subjects.AVAILABILITY, subject)) is not None:
                            record = PodRecord.decode(stored.data)
                            records[record.pod] = record
                    with suppress(KeyError):  # a pod that it is about is not known yet
                        if condition(records):
                            return records
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not known: {records!r}\n{self.here.words()}") from None

    def key(self, pod: str) -> str:
        return f"{self.namespace}/{BASE}/{pod}"


@dataclass
class Mall:
    """The installation that the shops share."""

    here: Installation
    client: tranche.Client
    bus: NatsBus
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def shop(self, bases: int, **wanted: Any) -> Shop:
        """A new namespace with so many bases."""
        shop = Shop(f"shop-{next(self._numbers)}", self.here, self.client, self.bus)
        await shop.add(bases, **wanted)
        return shop


@asynccontextmanager
async def mall(folder: Path, **environment: str) -> AsyncIterator[Mall]:
    """One of each service, and bases as the stories want them."""
    async with installation(folder, "mall/spare:1") as here:
        await here.start(environment={"TRANCHE_OBSERVE_INTERVAL": "1", **environment})
        async with (
            tranche.connect(here.nats.url) as client,
            connect(here.nats.url, name="story") as bus,
        ):
            yield Mall(here, client, bus)
