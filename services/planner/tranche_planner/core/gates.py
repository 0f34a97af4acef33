"""What must be open before the next batch is released, as named alternatives (design 1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from tranche.contract.status import GateStatus
from tranche.contract.subjects import ALL_NAMESPACES
from tranche_planner.core.document import Batch, Document
from tranche_planner.core.verification import verified
from tranche_planner.core.words import in_words, signed


@dataclass(frozen=True, slots=True)
class Unverified:
    """The batch is not, or no longer, as it should be."""

    since: datetime
    batch: int


@dataclass(frozen=True, slots=True)
class Graying:
    """The time to watch a verified batch is not over."""

    since: datetime
    until: datetime
    batch: int


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A person has to look at the verified batch."""

    since: datetime
    batch: int


@dataclass(frozen=True, slots=True)
class Halted:
    """Somebody paused the rollout."""

    since: datetime
    by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Frozen:
    """A freeze covers the namespace."""

    since: datetime
    until: datetime | None
    scope: str
    by: str | None
    reason: str


Gate = Unverified | Graying | Unconfirmed | Halted | Frozen


def shut(document: Document, now: datetime) -> tuple[Gate, ...]:
    """The gates that are shut now, in the order of the table in design 1.3."""
    return tuple(_shut(document, now))


def gray_end(document: Document, batch: Batch) -> datetime | None:
    """When the gray time of a verified batch is over; None where there is none."""
    opened = document.rollout.gateless or batch.promoted_at is not None
    if opened or batch.verified_at is None or not document.spec.gray_time_s:
        return None
    return batch.verified_at + timedelta(seconds=document.spec.gray_time_s)


def waits_for_confirm(document: Document) -> bool:
    """Whether the current batch was verified and nobody has confirmed it yet."""
    rollout, batch = document.rollout, document.rollout.batch
    return (
        batch is not None
        and not rollout.last_batch
        and document.spec.need_confirm
        and not rollout.gateless
        and batch.verified_at is not None
        and batch.confirmed_at is None
    )


def told(gate: Gate, document: Document) -> GateStatus:
    """The gate as status shows it: since when, until when, what opens it."""
    where = f"{document.namespace}/{document.name}"
    match gate:
        case Unverified(since, batch):
            message = f"batch {batch} is not yet as it should be; opens by itself when it is"
            return GateStatus(gate="verified", since=since, message=message)
        case Graying(since, until, batch):
            message = f"batch {batch} is watched until {in_words(until)}; opens by itself then"
            command = f"tranche promote {where}"
            return GateStatus(gate="grayTime", since=since, until=until, unblock=command, message=message)
        case Unconfirmed(since, batch):
            command = f"tranche confirm {where} --batch {batch}"
            message = f"batch {batch} waits for a person to confirm it"
            return GateStatus(gate="confirm", since=since, unblock=command, message=message)
        case Halted(since, by, reason):
            message = f"paused{signed(by, reason)}"
            return GateStatus(gate="pause", since=since, unblock=f"tranche resume {where}", message=message)
        case Frozen(since, until, scope, by, reason):
            what = "all namespaces are" if scope == ALL_NAMESPACES else f"namespace {scope} is"
            ends = f"; ends by itself at {in_words(until)}" if until else ""
            message = f"{what} frozen{signed(by, reason)}{ends}"
            command = unfreeze(scope)
            return GateStatus(gate="freeze", since=since, until=until, unblock=command, message=message)
        case _:
            assert_never(gate)


def unfreeze(scope: str) -> str:
    """The command that lifts a freeze."""
    return "tranche unfreeze --all" if scope == ALL_NAMESPACES else f"tranche unfreeze -n {scope}"


def _shut(document: Document, now: datetime) -> Iterator[Gate]:
    rollout, batch = document.rollout, document.rollout.batch
    paused, frozen = document.paused, document.frozen
    if batch is not None and not rollout.last_batch:
        if not verified(document):
            yield Unverified(batch.started_at or rollout.started_at, rollout.current)
        if batch.verified_at is not None:
            end = gray_end(document, batch)
            if end is not None and now < end:
                yield Graying(batch.verified_at, end, rollout.current)
            if waits_for_confirm(document):
                yield Unconfirmed(batch.verified_at, rollout.current)
    if paused is not None:
        yield Halted(paused.since, paused.by, paused.reason)
    if frozen is not None and rollout.kind == "roll":
        yield Frozen(frozen.since, frozen.until, frozen.scope, frozen.by, frozen.reason)
