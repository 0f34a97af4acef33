"""Who asks for a golden rollout: one thing after the other, insisting where nobody answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.installation import manifest
from tests.simulation.golden import BASE, Golden, Step
from tests.simulation.oracle import Oracle
from tests.simulation.scenario import NAMESPACE
from tests.simulation.world import World
from tranche.client.client import Client
from tranche.errors import Refused, TrancheError

LOOK_S = 0.1
BOOTED_S = 0.5
BATCH = "batch "


class User:
    """Somebody who asks for one thing after the other, and confirms each batch once."""

    def __init__(self, golden: Golden, world: World, oracle: Oracle) -> None:
        self._golden = golden
        self._world = world
        self._oracle = oracle
        self._name = (NAMESPACE, golden.module)
        self._generation = 0
        self._stops: set[tuple[int, int]] = set()
        """In the middle of these something else is wanted: they are never confirmed."""
        self.asked: list[int] = []
        self.confirmed: set[tuple[int, int]] = set()
        """Generations and batches that somebody confirmed and was told so."""
        self.waits = "the services"
        self.done = False
        self.troubles: list[str] = []
        self.unanswered: list[str] = []
        world.spawn(self._asks(world.people("asks")), "asks")
        world.spawn(self._confirms(world.people("confirms")), "confirms")

    async def _asks(self, client: Client) -> None:
        await self._world.clock.sleep(BOOTED_S)
        for step in self._golden.steps:
            self.asked.append(self._world.air.points)
            self.waits = f"{step.until} after {step.verb}"
            self._generation += step.verb in ("apply", "scale")
            if step.until.startswith(BATCH):
                self._stops.add((self._generation, int(step.until.removeprefix(BATCH))))
            await self._insist(step.verb, lambda step=step: self._asked(client, step))  # type: ignore[misc]
            while not self._seen(step.until):
                await self._world.clock.sleep(LOOK_S)
        self.done = True

    def _asked(self, client: Client, step: Step) -> Awaitable[object]:
        body = step.body
        match step.verb:
            case "apply":
                strategy = {"replicas": self._golden.pods} | self._golden.strategy
                return client.apply(manifest(self._golden.module, body["version"], base=BASE, **strategy))
            case "scale":
                return client.scale(*self._name, body["replicas"])
            case "abort":
                return client.abort(*self._name)
        return client.delete(*self._name)

    def _seen(self, until: str) -> bool:
        status = self._oracle.statuses.get(self._name)
        if status is None or not status["generation"] == status["observedGeneration"] == self._generation:
            return False
        if until.startswith(BATCH):
            batch = status["batch"]
            # It may be over before anybody says that it began.
            under_way = status["moving"] or batch["state"] in ("Waiting", "Verified")
            return bool(batch["current"] == int(until.removeprefix(BATCH)) and under_way)
        return bool(status["phase"] == until)

    async def _confirms(self, client: Client) -> None:
        while True:
            await self._world.clock.sleep(LOOK_S)
            status = self._oracle.statuses.get(self._name)
            if status is None or not any(gate["gate"] == "confirm" for gate in status["gates"]):
                continue
            generation, batch = status["generation"], status["batch"]["current"]
            if (generation, batch) not in self.confirmed and (generation, batch) not in self._stops:
                self._oracle.confirmed(self._name, generation, batch)
                await self._insist(
                    f"confirm of batch {batch}",
                    lambda generation=generation, batch=batch: client.confirm(  # type: ignore[misc]
                        *self._name, generation=generation, batch=batch, by="somebody"
                    ),
                )
                self.confirmed.add((generation, batch))

    async def _insist(self, what: str, ask: Callable[[], Awaitable[object]]) -> None:
        """Until somebody answers: what was asked may then be there already, and the answer be no."""
        unanswered = False
        while True:
            try:
                await ask()
                return
            except Refused as error:
                if not unanswered:
                    self.troubles.append(f"{what} was refused: {error}")
                return
            except TrancheError as error:
                unanswered = True
                self.unanswered.append(f"{what} was not answered: {error}")
