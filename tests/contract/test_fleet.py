"""A fleet of simulated bases: many in one process, faults on demand, deaths, and its control from outside."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tranche.errors import Refused, Unavailable, Unknown
from tranche.runtime import SystemClock, wait_until
from tranche_executor.arklet.client import ArkletClient, http_client
from tranche_executor.arklet.failure import BaseRefused, Cause
from tranche_executor.arklet.operation import Operation, OperationState
from tranche_fleet import Artefact, Fault, Fleet, FleetControl, Kind, Pod, Settings

CLOCK = SystemClock()
PATIENCE_S = 0.3
JARS = "http://jars.example/"


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet() as fleet:
        yield fleet


@pytest.fixture
async def pod(fleet: Fleet) -> Pod:
    return await fleet.add("cart-1", settings=Settings(install_s=0.02))


@pytest.fixture
async def client() -> AsyncIterator[ArkletClient]:
    async with http_client(CLOCK, timeout_s=PATIENCE_S) as client:
        yield client


class Hand:
    """Does things to one base, as an executor would."""

    def __init__(self, client: ArkletClient, address: str) -> None:
        self.client = client
        self.address = address
        self._ids = 0

    def fresh(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def begin(self, module: str = "cart-1.0.0", request_id: str = "") -> Awaitable[Operation]:
        name, _, version = module.partition("-")
        url, id_ = f"{JARS}{module}.jar", request_id or self.fresh()
        return self.client.install(self.address, name, version, url, (), id_)

    async def install(self, module: str = "cart-1.0.0") -> Operation:
        """The record of an installation that is over, also where that was told at once."""
        try:
            operation = await self.begin(module)
        except BaseRefused as refused:
            return Operation("", OperationState.FAILED, refused.failure)
        return await self.ended(operation.request_id)

    async def ended(self, request_id: str) -> Operation:
        async def over() -> Operation | None:
            told = await self.client.operation(self.address, request_id)
            return told if told.over else None

        return await wait_until(over, CLOCK, timeout_s=5, every_s=0.01)

    async def modules(self) -> set[str]:
        return {f"{biz.name}-{biz.version}" for biz in (await self.client.query(self.address)).bizzes}

    async def until(self, *modules: str) -> None:
        async def there() -> bool | None:
            try:
                return True if await self.modules() == set(modules) else None
            except (Unavailable, Unknown):
                return None

        await wait_until(there, CLOCK, timeout_s=5, every_s=0.02)


@pytest.fixture
async def hand(client: ArkletClient, pod: Pod) -> Hand:
    return Hand(client, pod.address)


# --- many ---


async def test_a_thousand_bases_in_one_process(fleet: Fleet, client: ArkletClient) -> None:
    pods = await fleet.add_pool("shop", "web-base", 1000)
    hosts = {pod.address.partition(":")[0] for pod in pods}
    if len(hosts) > 1:  # macOS has one loopback address: there the ports differ
        assert len(hosts) == 1000
        assert all(host.startswith("127.") for host in hosts)
    assert len({pod.address for pod in pods}) == 1000
    patient = asyncio.Semaphore(50)

    async with http_client(CLOCK, timeout_s=20) as unhurried:

        async def ask(pod: Pod) -> str | None:
            async with patient:
                return (await unhurried.query(pod.address)).base_identity

        assert set(await asyncio.gather(*map(ask, pods))) == {pod.base.identity for pod in pods}

        some = Hand(unhurried, pods[417].address)
        assert (await some.install()).state is OperationState.SUCCEEDED
    assert [pod.name for pod in pods if pod.modules()] == ["web-base-418"]


async def test_a_base_calls_itself_by_its_address_before_and_after_a_restart(
    fleet: Fleet, client: ArkletClient
) -> None:
    pod, named = await fleet.add(), await fleet.add(identity="10.0.0.7")
    host = pod.address.partition(":")[0]

    assert (await client.query(pod.address)).base_identity == host
    assert (await client.query(named.address)).base_identity == "10.0.0.7"
    pod.restart(down_s=0.05)
    hand = Hand(client, pod.address)
    await hand.until()
    assert (await client.query(pod.address)).base_identity == host


async def test_names_are_taken_once(fleet: Fleet) -> None:
    await fleet.add("one")

    with pytest.raises(ValueError, match="default/base/one is there already"):
        await fleet.add("one")
    with pytest.raises(KeyError, match="no such pod"):
        fleet["another"]


async def test_the_inventory_follows_the_fleet(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    async with Fleet(inventory_path=path) as fleet:
        await fleet.add_pool("shop", "web-base", 2, max_modules=3)
        fleet.remove(fleet["web-base-1"])
        await fleet.add(namespace="shop", pool="web-base", labels={"zone": "a"}, uid="u-3", ready=False)

        [pool] = yaml.safe_load(path.read_text())["pools"]
        second, third = fleet.pods("shop", "web-base")

    assert pool["labels"] == {"koupleless.io/max-module-count": "3"}
    assert [(one["name"], one["address"]) for one in pool["pods"]] == [
        ("web-base-2", second.address),
        ("web-base-3", third.address),
    ]
    assert pool["pods"][1] | {"address": ""} == {
        "name": "web-base-3",
        "address": "",
        "labels": {"zone": "a"},
        "ready": False,
        "uid": "u-3",
    }


# --- faults ---


async def test_installs_fail_as_often_as_said(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.INSTALL_FAILS, times=2, module="cart", words="no memory left"))

    for _ in range(2):
        failed = await hand.install()
        assert failed.state is OperationState.FAILED
    assert (await hand.install("orders-1.0.0")).state is OperationState.SUCCEEDED
    assert (await hand.install()).state is OperationState.SUCCEEDED
    outcomes = [one.outcome or "" for one in pod.timeline.commands]
    assert [outcome.endswith("no memory left") for outcome in outcomes] == [True, True, False, False]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("artifact-missing", Cause.ARTEFACT),
        ("artifact-refused", Cause.ARTEFACT),
        ("artifact-unknown-host", Cause.ARTEFACT),
        ("artifact-corrupt", Cause.ARTEFACT),
        ("context-path", Cause.CONTEXT_PATH),
        ("broken", Cause.MODULE),
        ("the database is not there", Cause.MODULE),
    ],
)
async def test_installs_fail_in_the_words_asked_for(pod: Pod, hand: Hand, words: str, cause: Cause) -> None:
    pod.arm(Fault(Kind.INSTALL_FAILS, words=words))

    failure = (await hand.install()).failure

    assert failure is not None
    assert failure.cause is cause
    assert await hand.modules() == set()


async def test_connections_are_refused_until_cleared_or_for_a_while(pod: Pod, hand: Hand) -> None:
    await hand.install()
    pod.arm(Fault(Kind.REFUSE, times=None))

    with pytest.raises(Unavailable):
        await hand.modules()
    assert pod.serves("cart") == "1.0.0"

    pod.clear(Kind.REFUSE)
    await hand.until("cart-1.0.0")

    pod.arm(Fault(Kind.REFUSE, seconds=0.2))
    with pytest.raises(Unavailable):
        await hand.modules()
    await hand.until("cart-1.0.0")


async def test_a_base_that_hangs_answers_no_query_but_keeps_changing(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.HANG, times=None))

    operation = await hand.begin()
    with pytest.raises(Unknown):
        await hand.modules()

    pod.clear()
    assert (await hand.ended(operation.request_id)).state is OperationState.SUCCEEDED


async def test_a_named_command_hangs_and_is_not_carried_out(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.HANG, command="installBiz"))

    with pytest.raises(Unknown):
        await hand.begin()

    assert await hand.modules() == set()
    assert pod.timeline.commands == []


async def test_a_late_answer_is_late_and_done_at_once(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.LATE, seconds=PATIENCE_S * 3, command="installBiz"))

    with pytest.raises(Unknown):
        await hand.begin()

    await hand.until("cart-1.0.0")


async def test_a_mute_base_changes_without_a_word(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.MUTE))

    with pytest.raises(Unknown):
        await hand.begin()

    await hand.until("cart-1.0.0")
    assert (await hand.install("orders-1.0.0")).state is OperationState.SUCCEEDED


async def test_a_deferred_command_is_carried_out_long_after_its_caller_gave_up(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.DEFER, seconds=0.6))

    with pytest.raises(Unknown):
        await hand.begin()

    assert await hand.modules() == set()
    await hand.until("cart-1.0.0")


async def test_a_deferred_command_whose_id_was_burnt_does_nothing(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.DEFER, seconds=0.5))
    with pytest.raises(Unknown):
        await hand.begin(request_id="token-1")

    assert await hand.client.burn(hand.address, "token-1")

    await CLOCK.sleep(0.6)
    assert await hand.modules() == set()
    assert [one.outcome for one in pod.timeline.commands][-1] == "id used"


async def test_a_slow_pool_accepts_and_begins_later(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.SLOW_POOL, seconds=0.3))

    operation = await hand.begin()

    assert operation.state is OperationState.INITIALIZED
    assert await hand.modules() == set()
    assert (await hand.ended(operation.request_id)).state is OperationState.SUCCEEDED


async def test_a_forgotten_record_leaves_its_id_spent(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.FORGET_RECORD))

    await hand.begin(request_id="token-1")
    await hand.until("cart-1.0.0")

    assert (await hand.client.operation(hand.address, "token-1")).state is OperationState.UNKNOWN
    with pytest.raises(BaseRefused) as caught:
        await hand.begin("orders-1.0.0", request_id="token-1")
    assert caught.value.failure.cause is Cause.SPENT


async def test_a_base_restarts_when_a_command_comes(pod: Pod, hand: Hand) -> None:
    await hand.install("orders-1.0.0")
    pod.arm(Fault(Kind.RESTART, seconds=0.1))

    with pytest.raises(Unknown):
        await hand.begin()

    await hand.until()
    assert pod.base.restarts == 1
    assert [one.command for one in pod.timeline.commands] == ["installBiz"]  # the one before it


async def test_a_base_restarts_after_it_accepted_a_command(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.RESTART, seconds=0.1, words="after"))

    with pytest.raises(Unknown):
        await hand.begin(request_id="token-1")

    await hand.until()
    assert [one.outcome for one in pod.timeline.commands] == ["the base died"]
    # Its memory of request ids is gone with it.
    assert (await hand.begin(request_id="token-1")).request_id == "token-1"


async def test_a_base_says_no_without_doing_anything(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.SAY_FAILED, words="not today"))

    with pytest.raises(BaseRefused, match="not today"):
        await hand.begin()

    assert await hand.modules() == set()


async def test_another_base_answers(pod: Pod, hand: Hand, client: ArkletClient) -> None:
    pod.arm(Fault(Kind.IDENTITY, words="10.9.9.9"))

    assert (await client.query(pod.address)).base_identity == "10.9.9.9"
    pod.clear(Kind.IDENTITY)
    assert (await client.query(pod.address)).base_identity == pod.base.identity


async def test_a_module_disappears_after_a_while(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.LOSE_MODULE, module="cart", seconds=0.2))

    await hand.install("orders-1.0.0")
    await hand.install()

    assert await hand.modules() == {"orders-1.0.0", "cart-1.0.0"}
    await hand.until("orders-1.0.0")
    assert pod.serves("cart") is None


async def test_a_fault_comes_after_as_many_as_said(pod: Pod, hand: Hand) -> None:
    pod.arm(Fault(Kind.INSTALL_FAILS, after=1))

    states = [(await hand.install(module)).state for module in ("cart-1.0.0", "orders-1.0.0", "orders-2.0.0")]

    assert states == [OperationState.SUCCEEDED, OperationState.FAILED, OperationState.SUCCEEDED]


# --- dying ---


async def test_a_base_dies_and_starts_empty(pod: Pod, hand: Hand) -> None:
    await hand.install()

    pod.stop()
    with pytest.raises(Unavailable):
        await hand.modules()
    assert pod.serves("cart") is None
    pod.start()

    await hand.until()
    assert [life.event for life in pod.timeline.lives] == ["up", "down", "up"]


async def test_a_listener_dies_alone(pod: Pod, hand: Hand) -> None:
    await hand.install()

    pod.kill_listener()
    with pytest.raises(Unavailable):
        await hand.modules()
    assert pod.serves("cart") == "1.0.0"
    pod.revive_listener()

    await hand.until("cart-1.0.0")


async def test_artefacts_are_what_the_catalogue_says(fleet: Fleet, pod: Pod, hand: Hand) -> None:
    fleet.catalogue.list(f"{JARS}cart-1.0.0.jar", Artefact("cart", "9.9.9"))

    await hand.install()

    assert await hand.modules() == {"cart-9.9.9"}


async def test_a_silent_artefact_host_holds_an_install_until_it_hangs_up(
    fleet: Fleet, pod: Pod, hand: Hand
) -> None:
    fleet.catalogue.silent.add("jars.example")
    operation = await hand.begin()
    await CLOCK.sleep(0.1)
    told = await hand.client.operation(hand.address, operation.request_id)
    assert told.state is OperationState.EXECUTING

    fleet.catalogue.silent.clear()
    fleet.hang_up()

    assert (await hand.ended(operation.request_id)).state is OperationState.FAILED


async def test_the_timeline_tells_what_was_served_and_what_overlapped(pod: Pod, hand: Hand) -> None:
    await hand.install()
    await asyncio.gather(*(hand.begin(f"orders-{number}.0.0") for number in (1, 2)))
    await hand.until("cart-1.0.0", "orders-1.0.0")  # the second fails on the context path

    timeline = pod.timeline

    assert timeline.serves("cart", pod.clock()) == "1.0.0"
    assert [(one.module, one.version, one.end) for one in timeline.serving("cart")] == [
        ("cart", "1.0.0", None)
    ]
    [(first, second)] = timeline.overlaps()
    assert {first.version, second.version} == {"1.0.0", "2.0.0"}


# --- from another process ---


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[str]:
    """A fleet process; the URL of its control surface."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_fleet", *arguments), stdin=DEVNULL, stdout=PIPE
    )
    assert process.stdout is not None
    try:
        async with CLOCK.timeout(20):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("ready: ")
        yield line.split()[-1]
    finally:
        process.terminate()
        async with CLOCK.timeout(10):
            await process.communicate()
    assert process.returncode == 0


async def test_a_fleet_process_is_controlled_from_outside(tmp_path: Path, client: ArkletClient) -> None:
    inventory = tmp_path / "inventory.yaml"
    arguments = ["--pool", "shop/web-base:2:5", "--pool", "shop/api-base:1", "--inventory", str(inventory)]
    async with (
        running(*arguments, "--arklet", "2.1.3", "--install-seconds", "0.02") as url,
        FleetControl(url) as fleet,
    ):
        pods = {pod["key"]: pod for pod in await fleet.pods()}
        assert set(pods) == {
            "shop/web-base/web-base-1",
            "shop/web-base/web-base-2",
            "shop/api-base/api-base-1",
        }
        assert {pod["version"] for pod in pods.values()} == {"2.1.3"}
        assert await fleet.inventory() == yaml.safe_load(inventory.read_text())
        hand = Hand(client, pods["shop/web-base/web-base-1"]["address"])

        # faults
        await fleet.arm(Fault(Kind.INSTALL_FAILS, words="no luck", times=None), "web-base-1")
        assert (await hand.install()).state is OperationState.FAILED
        assert (await fleet.pod("web-base-1"))["faults"][0]["words"] == "no luck"
        await fleet.clear("web-base-1", kind=Kind.INSTALL_FAILS)
        await fleet.list_artefact(f"{JARS}cart-1.0.0.jar", name="cart", version="1.0.0", fails="built so")
        assert (await hand.install()).state is OperationState.FAILED
        await fleet.list_artefact(f"{JARS}cart-1.0.0.jar", name="cart", version="1.0.0")
        await fleet.artefact_host("jars.example", "down")
        assert (await hand.install()).state is OperationState.FAILED
        await fleet.artefact_host("jars.example", "up")
        assert (await hand.install()).state is OperationState.SUCCEEDED
        assert (await fleet.pod("web-base-1"))["serving"] == {"cart": "1.0.0"}
        timeline = await fleet.timeline("web-base-1")
        assert [one.outcome for one in timeline.commands][-1] == "SUCCESS"
        assert len(await fleet.timelines()) == 3

        # lives
        await fleet.kill_listener("web-base-1")
        with pytest.raises(Unavailable):
            await hand.modules()
        await fleet.revive_listener("web-base-1")
        await hand.until("cart-1.0.0")
        await fleet.restart("web-base-1", down_s=0.05)
        await hand.until()
        await fleet.stop("web-base-1")
        assert not (await fleet.pod("web-base-1"))["running"]
        await fleet.start("web-base-1")
        await hand.until()

        # members
        added = await fleet.add(namespace="shop", pool="web-base", labels={"zone": "a"}, uid="u-9")
        await fleet.describe(added["key"], labels={"zone": "b"}, ready=False)
        await fleet.remove("web-base-2")
        names = inventory_names(inventory)
        assert names == {"web-base-1": True, "web-base-3": False, "api-base-1": True}

        # mistakes
        with pytest.raises(Refused, match="no such pod"):
            await fleet.pod("nobody")
        with pytest.raises(Refused, match="none of silent, down, up"):
            await fleet.artefact_host("jars.example", "sideways")


def inventory_names(path: Path) -> dict[str, bool]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return {pod["name"]: pod["ready"] for pool in document["pools"] for pod in pool["pods"]}


async def test_a_fault_says_what_is_wrong_with_it() -> None:
    wrong: list[Callable[[], object]] = [
        lambda: Fault.parse({"kind": "explode"}),
        lambda: Fault.parse({"kind": "hang", "often": 3}),
    ]
    for parse, words in zip(
        wrong, ("none of install-fails", "unknown fields of a fault: often"), strict=True
    ):
        with pytest.raises(ValueError, match=words):
            parse()


async def test_a_connection_taken_just_when_the_listener_dies_is_closed_in_order() -> None:
    """asyncio leaks it when its server is closed between accepting and making the connection; pytest turns the
    leak into a failure."""
    async with Fleet() as fleet:
        pod = await fleet.add("web-1")
        host, _, port = pod.address.partition(":")
        for turns in (0, 1, 2, 3, 4):
            with socket.socket() as early, socket.socket() as late:
                early.setblocking(False)
                early.connect_ex((host, int(port)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                pod.kill_listener()
                assert late.connect_ex((host, int(port))) == errno.ECONNREFUSED
                pod.revive_listener()
                await wait_until(partial(_listening, pod), CLOCK, timeout_s=5, every_s=0)
        gc.collect()


async def _listening(pod: Pod) -> bool | None:
    return pod.server.listening or None
