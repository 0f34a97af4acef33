"""Until when somebody waits, and whether a status means it (design 3.4): pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from tranche.contract.status import Status


@dataclass(frozen=True, slots=True)
class Complete:
    """The rollout is over and all replicas are available."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch is verified and a gate behind it is shut."""


@dataclass(frozen=True, slots=True)
class BatchVerified:
    """That batch is verified; counted from 1."""

    index: int


Until = Complete | Waiting | BatchVerified


class Verdict(Enum):
    """Why the waiting is over."""

    REACHED = "reached"
    """What was waited for, or something beyond it: a complete rollout has passed everything."""
    NEEDS_PERSON = "needs a person"
    """Waiting for completion, and a person must confirm or resume first."""
    FAILED = "failed"
    """Degraded, aborted, invalid or deleted: it will not come by itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the waiting ended, and the status that says so."""

    verdict: Verdict
    status: Status


_LOST = frozenset({"Aborting", "Aborted", "Invalid", "Deleting", "Deleted"})


def parse_until(text: str) -> Until:
    """``complete``, ``waiting`` or ``batch=K``. Raises ValueError.

    >>> parse_until("batch=2")
    BatchVerified(index=2)
    """
    if text == "complete":
        return Complete()
    if text == "waiting":
        return Waiting()
    number = text.removeprefix("batch=")
    if number != text and number.isascii() and number.isdigit() and int(number) > 0:
        return BatchVerified(int(number))
    raise ValueError(f"got {text!r}; expected complete, waiting or batch=K with K from 1")


def judge(status: Status, until: Until, *, generation: int = 0) -> Verdict | None:
    """Whether the waiting is over; None: not yet.

    ``generation``: what an older one says is not yet an answer.
    """
    if status.observed_generation < max(generation, status.generation):
        return None
    if status.phase in _LOST:
        return Verdict.FAILED
    if status.phase == "Healthy" or _reached(status, until):
        return Verdict.REACHED
    if status.phase == "Degraded":
        return Verdict.FAILED
    if isinstance(until, Complete) and needs_person(status):
        return Verdict.NEEDS_PERSON
    return None


def waits_for_confirm(status: Status) -> bool:
    """Whether the current batch is verified and waits for a person's confirm."""
    return status.batch.state == "Waiting" and any(gate.gate == "confirm" for gate in status.gates)


def needs_person(status: Status) -> bool:
    """Whether nothing goes on before a person confirms, or resumes what a person paused."""
    return waits_for_confirm(status) or any(gate.gate == "pause" for gate in status.gates)


def _reached(status: Status, until: Until) -> bool:
    batch = status.batch
    match until:
        case Complete():
            return False
        case Waiting():
            return batch.state == "Waiting"
        case BatchVerified(index):
            return batch.current > index or (
                batch.current == index and batch.state in ("Waiting", "Verified")
            )
        case _:
            assert_never(until)
