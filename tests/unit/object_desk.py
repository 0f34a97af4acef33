"""``spec.pause`` on an API server that notes who owns it, and a rollout whose batches wait for persons."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tranche_planner.core.objects.pausing import (
    Confirm,
    GoOn,
    Said,
    Step,
    Stop,
    Wait,
    Write,
    pausing,
)
from tranche_planner.core.objects.seen import OURS, Owner, PauseField

BEGAN = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
CLIENT_SIDE = "kubectl-client-side-apply"


@dataclass
class Server:
    """One field as the API server keeps it: its value, its owners, and the annotations beside it."""

    value: bool | None = None
    owners: set[Owner] = field(default_factory=set)
    declared: bool | None = None
    appliers: set[str] = field(default_factory=set)
    memory: str = ""

    @property
    def field(self) -> PauseField:
        owners, appliers = frozenset(self.owners), frozenset(self.appliers)
        return PauseField(self.value, owners, self.declared, appliers, self.memory)

    def update(self, manager: str, value: bool | None) -> None:
        """A patch, or a put: who changes the value owns it, who does not change it owns nothing."""
        if value != self.value:
            self.value = value
            self.owners = {Owner(manager)} if value is not None else set()

    def apply(self, manager: str, value: bool | None) -> None:
        """Server-side apply with force."""
        ours = Owner(manager, declares=True)
        if value is None:
            if ours in self.owners:
                self.owners.discard(ours)
                self.value = self.value if self.owners else None
        elif value == self.value:
            self.owners.add(ours)
        else:
            self.value, self.owners = value, {ours}

    def kubectl_apply(self, value: bool | None) -> None:
        """A file, its annotation, and the difference of the two to what stands."""
        if value is not None or self.declared is not None:
            self.update(CLIENT_SIDE, value)
        self.declared, self.appliers = value, {CLIENT_SIDE}


@dataclass
class Rollout:
    """What a planner knows: which batch waits since when, and whether it is paused."""

    now: datetime = BEGAN
    alive: bool = True
    wait: Wait | None = None
    paused: bool = False
    batch: int = 0
    confirmed: list[Wait] = field(default_factory=list)

    def verify(self) -> Wait:
        """The next batch is verified and waits."""
        self.now += timedelta(seconds=1)
        self.batch += 1
        self.wait = Wait(generation=2, batch=self.batch, since=self.now)
        return self.wait

    @property
    def said(self) -> Said:
        return Said(self.alive, self.wait, self.paused)


@dataclass
class Mirror:
    """Carries out what is decided until there is nothing more to do."""

    server: Server
    rollout: Rollout
    did: list[Step] = field(default_factory=list)

    def run(self) -> list[Step]:
        """What was done this time."""
        begun = len(self.did)
        for _ in range(10):
            step = pausing(self.server.field, self.rollout.said)
            if step is None:
                return self.did[begun:]
            self.did.append(step)
            self._do(step)
        raise AssertionError(f"it does not come to rest: {self.did[-4:]}")

    def _do(self, step: Step) -> None:
        match step:
            case Write():
                self._write(step)
            case Confirm():
                wait = self.rollout.wait
                if wait is not None and wait.batch == step.batch:
                    self.rollout.confirmed.append(wait)
                    self.rollout.wait = None
            case Stop():
                self.rollout.paused = True
                self._write(step.then)
            case GoOn():
                self.rollout.paused = False
                self._write(step.then)

    def _write(self, write: Write) -> None:
        self.server.apply(OURS, True if write.held else None)
        self.server.memory = write.memory.text
