"""The ground truth of one base: every change of state, every changing command, every death, with times.

Tests judge by this and never by the product's own bookkeeping. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

GONE = "gone"
ZOMBIE = "zombie"
ACTIVATED = "activated"


@dataclass(frozen=True, slots=True)
class Change:
    """A module entered a state: one of arklet's, `gone`, or `zombie` (runs, but is in no list)."""

    at: float
    module: str
    version: str
    state: str


@dataclass(frozen=True, slots=True)
class Life:
    """The base itself: `up`, `down`, `unreachable`, `reachable`."""

    at: float
    event: str


@dataclass(eq=False, slots=True)
class Command:
    """A changing command that reached the base.

    `started_at` is None for one that was never carried out (refused id, conflict, bad request); `ended_at` is
    None while it runs. `outcome` is SUCCESS, FAILED and arklet's inner code, or the innermost cause.
    """

    at: float
    command: str
    module: str
    version: str
    request_id: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """A version of a module was active and its base alive from `start` to `end` (None: still)."""

    module: str
    version: str
    start: float
    end: float | None

    def covers(self, at: float) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


@dataclass(slots=True)
class Timeline:
    """What happened on one base, in order."""

    changes: list[Change] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)

    def change(self, at: float, module: str, version: str, state: str) -> None:
        self.changes.append(Change(at, module, version, state))

    def life(self, at: float, event: str) -> None:
        self.lives.append(Life(at, event))

    def serving(self, module: str | None = None) -> list[Serving]:
        """When which version was active; of one module or of all, by start."""
        return sorted(self._serving(module), key=lambda one: one.start)

    def serves(self, module: str, at: float) -> str | None:
        """The version that was active at that moment; of several the last to become so."""
        versions = [one.version for one in self.serving(module) if one.covers(at)]
        return versions[-1] if versions else None

    def overlaps(self) -> list[tuple[Command, Command]]:
        """Pairs of changing commands that ran at the same time (design 7.2, S7 forbids them)."""
        ran = sorted(
            (one for one in self.commands if one.started_at is not None),
            key=lambda one: one.started_at or 0.0,
        )
        return [
            (first, second)
            for number, first in enumerate(ran)
            for second in ran[number + 1 :]
            if first.ended_at is None or (second.started_at or 0.0) < first.ended_at
        ]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "changes": [asdict(one) for one in self.changes],
            "commands": [asdict(one) for one in self.commands],
            "lives": [asdict(one) for one in self.lives],
        }

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Timeline:
        """Back from JSON."""
        return cls(
            changes=[Change(**one) for one in document["changes"]],
            commands=[Command(**one) for one in document["commands"]],
            lives=[Life(**one) for one in document["lives"]],
        )

    def _serving(self, module: str | None) -> Iterator[Serving]:
        since: dict[tuple[str, str], float] = {}
        for change in self.changes:
            key = (change.module, change.version)
            if module not in (None, change.module):
                continue
            if change.state == ACTIVATED:
                since.setdefault(key, change.at)
            elif key in since:
                yield Serving(*key, since.pop(key), change.at)
        for key, start in since.items():
            yield Serving(*key, start, None)
