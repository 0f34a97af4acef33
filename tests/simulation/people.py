"""People: they apply, look at statuses, confirm what waits, change their minds, and at last let everything end."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from tests.simulation.oracle import Oracle
from tests.simulation.scenario import NAMESPACE, Deed, Person, Scenario
from tests.simulation.world import World
from tranche.client.client import Client
from tranche.errors import Refused, TrancheError
from tranche_executor.core.pod import PodKey

SETTLED = ("Healthy", "Degraded", "Aborted", "Deleted", "Invalid")
LOOK_S = 0.4
RESTARTED_S = 20.0
"""Who restarted a base does not do so again for so long."""
PATIENCE_S = 8.0
"""Who waits for things to settle goes on after so long all the same."""


class Crowd:
    """All people of a scenario, each with a task that does and one that confirms."""

    def __init__(self, world: World, scenario: Scenario, oracle: Oracle) -> None:
        self._world = world
        self._oracle = oracle
        self._dice = random.Random(f"{scenario.seed}/people")
        self._busy: set[str] = set()
        self._helped = False
        self._helpers = 0
        self._restarted: dict[str, float] = {}
        """When somebody last restarted the base on a pod."""
        self._left: dict[str, deque[Deed]] = {}
        """What each person has not begun yet."""
        self._manifests = {person.name: _manifest(person) for person in scenario.people}
        self._clients: dict[str, Client] = {}
        self.last: dict[str, dict[str, Any]] = {}
        """By deployment: the manifest that was accepted last; none: deleted."""
        self.accepted = 0
        self.refused = 0
        self.unanswered = 0
        for index, person in enumerate(scenario.people):
            client = self._clients[person.name] = world.people(f"{0xFF0000 + index:06x}")
            self._begin(person)
            world.spawn(self._confirm(person, client), f"{person.name} confirms")

    def idle(self) -> bool:
        """Whether nobody has anything left to do."""
        return not self._busy

    def left(self) -> dict[str, tuple[Deed, ...]]:
        """What each person has not begun yet."""
        return {name: tuple(deeds) for name, deeds in self._left.items()}

    def branch(self, scenario: Scenario) -> None:
        """From here on people do these deeds instead of those they have not begun."""
        self._dice.seed(f"{scenario.seed}/people")
        self._helped = False
        for person in scenario.people:
            if person.name in self._busy:
                self._left[person.name] = deque(person.deeds)
            else:
                self._begin(person)

    def _begin(self, person: Person) -> None:
        self._left[person.name] = deque(person.deeds)
        self._busy.add(person.name)
        self._world.spawn(self._live(person), f"{person.name} does")

    async def _live(self, person: Person) -> None:
        """Deed after deed."""
        left = self._left
        while left[person.name]:
            deed = left[person.name].popleft()
            if deed.settled:
                await self._settled(person)
            await self._world.clock.sleep(deed.after_s)
            await self._do(person, self._clients[person.name], deed, self._manifests[person.name])
        self._busy.discard(person.name)

    async def _settled(self, person: Person) -> None:
        began = self._world.loop.time()
        while self._world.loop.time() < began + PATIENCE_S:
            status = self._oracle.statuses.get((NAMESPACE, person.name))
            if status is not None and status["phase"] in SETTLED:
                return
            await self._world.clock.sleep(0.1)

    async def _do(self, person: Person, client: Client, deed: Deed, manifest: dict[str, Any]) -> None:
        place = (NAMESPACE, person.name)
        spec = manifest["spec"]
        body = dict(deed.body)
        match deed.verb:
            case "apply":
                _set_version(manifest, person.module, body["version"])
                await self._ask(client.apply(manifest))
            case "again":
                await self._ask(client.apply(manifest))
            case "scale":
                spec["replicas"] = body["replicas"]
                await self._ask(client.scale(*place, body["replicas"]))
            case "gates":
                spec["operationStrategy"] |= {"needConfirm": body["needConfirm"]}
                spec["maxUnavailable"] = body["maxUnavailable"]
                await self._ask(client.apply(manifest))
            case "cutting":
                spec["operationStrategy"] |= {"batchCount": body["batchCount"]}
                await self._ask(client.apply(manifest))
            case "pause":
                await self._ask(client.pause(*place, by="somebody"))
                await self._world.clock.sleep(body["seconds"])
                await self._ask(client.resume(*place, by="somebody"))
            case "freeze":
                await self._ask(client.freeze(NAMESPACE, by="somebody"))
                await self._world.clock.sleep(body["seconds"])
                await self._ask(client.unfreeze(NAMESPACE))
            case "promote":
                await self._ask(client.promote(*place, full=body["full"]))
            case "replace":
                pods = sorted(key.pod for key in self._world.inventory.pods if key.base == person.base)
                if pods:
                    await self._ask(client.replace(*place, self._dice.choice(pods)))
            case "undo":
                await self._ask(client.undo(*place, fast=self._dice.random() < 0.5))
            case "abort":
                await self._ask(client.abort(*place))
            case "retry":
                await self._ask(client.retry(*place))
            case "restart":
                await self._ask(client.restart(*place))
            case "delete":
                await self._ask(client.delete(*place))

    async def _ask(self, work: Any) -> None:
        try:
            await work
            self.accepted += 1
        except Refused:
            self.refused += 1
        except TrancheError:
            self.unanswered += 1

    async def _confirm(self, person: Person, client: Client) -> None:
        """Confirm what waits, now and then twice, too early, or for a generation that is over."""
        name = (NAMESPACE, person.name)
        while True:
            await self._world.clock.sleep(LOOK_S * (0.5 + self._dice.random()))
            status = self._oracle.statuses.get(name)
            if status is None or not any(gate["gate"] == "confirm" for gate in status["gates"]):
                continue
            batch, generation = status["batch"]["current"], status["generation"]
            drawn = self._dice.random()
            if drawn < 0.1:
                batch += 1
            elif drawn < 0.2:
                generation -= 1
            self._oracle.confirmed(name, generation, batch)
            for _ in range(1 if drawn < 0.8 else 2):
                await self._ask(client.confirm(*name, generation=generation, batch=batch, by="somebody"))

    # --- the end ---

    def help(self, scenario: Scenario) -> None:
        """From here on somebody sees to it that everything ends."""
        if not self._helped:
            self._helped = True
            self._helpers += 1
            self._world.spawn(self._end(scenario, self._helpers), "the end")

    async def _end(self, scenario: Scenario, helper: int) -> None:
        """Nothing is held any more, and what failed is tried again, for as long as anybody asks."""
        client = self._world.people("ffffff")
        await self._until_done(client.unfreeze(NAMESPACE), lambda: client.unfreeze(NAMESPACE))
        while self._helped and helper == self._helpers:
            for person in scenario.people:
                await self._help(person, client)
            await self._world.clock.sleep(2.0)

    async def _until_done(self, work: Any, again: Any) -> None:
        while True:
            try:
                await work
                return
            except Refused:
                return
            except TrancheError:
                await self._world.clock.sleep(0.5)
                work = again()

    async def _help(self, person: Person, client: Client) -> None:
        status = self._oracle.statuses.get((NAMESPACE, person.name))
        if status is None:
            return
        if any(gate["gate"] == "pause" for gate in status["gates"]) or status["phase"] == "Paused":
            await self._ask(client.resume(NAMESPACE, person.name))
        # Blocked goes on by itself, unless the status says that only a retry opens it.
        stuck = status["phase"] == "Blocked" and status["next"].startswith("tranche retry ")
        if status["phase"] == "Degraded" or stuck:
            await self._ask(client.retry(NAMESPACE, person.name))
        for problem in status["problems"]:
            if problem["reason"] == "OperationStuck":
                for pod in problem["pods"]:
                    self._restart(person.base, pod)

    def _restart(self, base: str, name: str) -> None:
        """Nobody can tell any more what runs there: the status asks for a restart."""
        now, pod = self._world.loop.time(), self._world.inventory.pods.get(PodKey(NAMESPACE, base, name))
        if pod is None or now < self._restarted.get(name, -RESTARTED_S) + RESTARTED_S:
            return
        self._restarted[name] = now
        found = self._world.inventory.bases[pod.address]
        self._oracle.restarts(pod.uid)
        self._world.air.counts["restarted by a person"] += 1
        found.base.restart(found.now, down_s=1.0)
        found.pump()


def _manifest(person: Person) -> dict[str, Any]:
    given = dict(person.strategy)
    strategy = {
        field: given.pop(field)
        for field in (
            *("batchCount", "useBeta", "needConfirm", "grayTime", "upgradePolicy"),
            *("failureThreshold", "autoRollback"),
        )
        if field in given
    }
    policy = given.pop("schedulingPolicy")
    if given["maxUnavailable"] is None:
        del given["maxUnavailable"]
    return {
        "apiVersion": "koupleless.io/v1alpha1",
        "kind": "ModuleDeployment",
        "metadata": {"name": person.name, "namespace": NAMESPACE},
        "spec": {
            "baseDeploymentName": person.base,
            "template": {"spec": {"module": {"name": person.module}}},
            "operationStrategy": strategy,
            "schedulingStrategy": {"schedulingPolicy": policy},
            **given,
        },
    }


def _set_version(manifest: dict[str, Any], module: str, version: str) -> None:
    url = f"http://modules.example/{module}-{version}.jar"
    manifest["spec"]["template"]["spec"]["module"] |= {"version": version, "url": url}
