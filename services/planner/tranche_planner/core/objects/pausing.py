"""``spec.pause`` of an object: ours while a batch waits for a person, whose ``false`` then confirms that batch;
anybody's ``true`` besides is a pause (design 1.3, decision 0014).

What the API server knows is level: the field's value and who owns it. What counts is a change, so what stood there
before is remembered in an annotation, written in one value with the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tranche.contract.message import Message, Time
from tranche.contract.status import Status
from tranche_planner.core.objects.seen import Owner, PauseField

PEOPLE = frozenset({"kubectl-patch", "kubectl-edit"})
"""Managers that write once and because a person said so: a ``false`` of theirs that stood before is none that
they repeat."""
MOST_DEAF = 20


class Memory(Message):
    """What is remembered beside ``spec.pause``."""

    generation: int = 0
    batch: int = 0
    """The batch our ``true`` stands for; 0: none."""
    since: Time | None = None
    """Since when that batch waits: tells it from the same batch of a later rollout."""
    deaf: tuple[str, ...] = ()
    """Field managers whose ``false`` is the same as ever, and confirms nothing."""
    stopped: bool = False
    """Somebody's ``true`` was carried out as a pause."""

    def about(self, wait: Wait | None) -> bool:
        return (self.batch, self.since) == ((wait.batch, wait.since) if wait else (0, None))

    @property
    def text(self) -> str:
        """As the annotation has it."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)

    def holding(self, wait: Wait) -> Memory:
        return self.but(generation=wait.generation, batch=wait.batch, since=wait.since)

    def idle(self) -> Memory:
        return self.but(generation=0, batch=0, since=None)


@dataclass(frozen=True, slots=True)
class Wait:
    """A batch that waits for a person."""

    generation: int
    batch: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """What the deployment's newest status says of waiting. ``alive``: there is something to pause and confirm."""

    alive: bool = False
    wait: Wait | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Write ``spec.pause: true`` as ours, or nothing of ours in that field, and what is to be remembered."""

    held: bool
    memory: Memory
    unheard: tuple[str, ...] = ()
    """Managers whose ``false`` was not taken for a confirm."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """Somebody has looked at the batch that waits."""

    generation: int
    batch: int
    by: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody wants nothing new disturbed; then remember it."""

    by: str
    then: Write


@dataclass(frozen=True, slots=True)
class GoOn:
    """Whoever wanted that no longer does; then remember it."""

    by: str
    then: Write


Step = Write | Confirm | Stop | GoOn


def said(status: Status | None) -> Said:
    """What a status says of waiting."""
    if status is None or status.phase in ("Deleting", "Deleted", "Invalid"):
        return Said()
    gates = {gate.gate: gate for gate in status.gates}
    confirm = gates.get("confirm")
    wait = Wait(status.generation, status.batch.current, confirm.since) if confirm is not None else None
    return Said(alive=True, wait=wait, paused="pause" in gates)


def remembered(text: str) -> Memory:
    """What the annotation says; one that nobody can read says nothing."""
    try:
        return Memory.decode(text.encode()) if text else Memory()
    except ValueError:
        return Memory()


def pausing(field: PauseField, now: Said) -> Step | None:
    """What follows from the field as it stands; None: all is as it should be."""
    memory = _hearing(field, remembered(field.memory))
    if not now.alive:
        return Write(False, Memory()) if field.ours and field.value else None
    if memory.stopped and field.value is not True:
        if now.wait is None or now.paused:
            return _go_on(field, memory, now.wait)
        memory = memory.but(stopped=False)  # resumed in another way: this false is about the batch
    if now.wait is None:
        return _idle(field, memory)
    if not memory.about(now.wait):
        return Write(True, _deafened(field, memory).holding(now.wait))
    return _waiting(field, memory, now.wait)


def _idle(field: PauseField, memory: Memory) -> Step | None:
    """Nothing waits for a person: a ``true`` that is not ours is a pause, and ours is over."""
    if field.value is True and (field.others or not field.ours) and not memory.stopped:
        return Stop(_name(field.others), then=Write(False, memory.idle().but(stopped=True)))
    # Noted now, because a person's true would hide that it was there.
    noted = _deafened(field, memory, heard=True)
    # Where a false stands it may have been the answer: whose it was is looked at when the next batch waits.
    ended = not memory.about(None) and field.value is not False
    if (field.value is True and field.ours) or ended:
        return Write(False, noted.idle())
    return Write(False, noted) if noted != remembered(field.memory) else None


def _waiting(field: PauseField, memory: Memory, wait: Wait) -> Step | None:
    """Our ``true`` was there for this batch."""
    if field.value is True:
        return Write(True, memory) if memory != remembered(field.memory) else None
    heard = [owner for owner in field.others if owner.manager not in memory.deaf]
    if field.value is False and heard:
        return Confirm(memory.generation or wait.generation, wait.batch, _name(heard))
    unheard = tuple(sorted(owner.manager for owner in field.others)) if field.value is False else ()
    return Write(True, memory, unheard)


def _go_on(field: PauseField, memory: Memory, wait: Wait | None) -> GoOn:
    by = _name(field.others) if field.value is False else ""
    memory = memory.but(stopped=False)
    if wait is None:
        return GoOn(by, then=Write(False, memory.idle()))
    # This false ended the pause, so it was no confirm: the batch still waits.
    return GoOn(by, then=Write(True, _deafened(field, memory, heard=True).holding(wait)))


def _hearing(field: PauseField, memory: Memory) -> Memory:
    """Without those who no longer say ``false``: the next one of theirs is a change."""
    changed: set[str] = set()
    if field.value is True:
        changed |= {owner.manager for owner in field.others}
    if field.declared is not False:
        changed |= field.appliers
    deaf = tuple(name for name in memory.deaf if name not in changed)
    return memory.but(deaf=deaf) if deaf != memory.deaf else memory


def _deafened(field: PauseField, memory: Memory, *, heard: bool = False) -> Memory:
    """With those whose ``false`` stands before our ``true``: when it comes again, it is no change.

    One that declares says it again for ever. Another's was an answer where our ``true`` stood before it
    (``heard``), and else may be a robot's.
    """
    answered = heard or not memory.about(None)
    deaf = set[str]()
    if field.value is False:
        deaf |= {
            owner.manager for owner in field.others if owner.declares or not (answered or _person(owner))
        }
    if field.declared is False:
        deaf |= field.appliers
    more = sorted(deaf - set(memory.deaf))
    return memory.but(deaf=(*memory.deaf, *more)[-MOST_DEAF:])


def _person(owner: Owner) -> bool:
    return owner.manager in PEOPLE


def _name(owners: frozenset[Owner] | list[Owner]) -> str:
    return min((owner.manager for owner in owners), default="")
