"""Random histories of a bus: the streams they run on, what may be done, and how both are drawn.

One sequence runs on one stream, so hundreds run side by side on one server. Operations point at what there is
by a number, taken modulo how much there is: any part of a sequence is a sequence too, which is how a failing
one is made small.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st

from tranche.bus.port import ConsumerSpec, StreamSpec
from tranche.streams import STREAMS

T = TypeVar("T")

HASTY_S = 2.0
"""An ack_wait that runs out within a sequence."""
PATIENT_S = 60.0


@dataclass(frozen=True, slots=True)
class World:
    """A stream, who may pull from it, and the subjects in use. ``scheduled``: where schedules are kept."""

    name: str
    stream: StreamSpec
    subjects: tuple[str, ...]
    consumers: tuple[ConsumerSpec, ...] = ()
    scheduled: tuple[str, ...] = ()

    def below(self, prefix: str) -> World:
        """The same on subjects and a stream of its own.

        >>> world = World("log", StreamSpec("LOG", ("log.>",)), ("log.a",))
        >>> world.below("q7").stream.name, world.below("q7").subjects
        ('LOG_q7', ('q7.log.a',))
        """

        def moved(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(f"{prefix}.{name}" for name in names)

        def renewed(consumer: ConsumerSpec) -> ConsumerSpec:
            return replace(consumer, stream=f"{self.stream.name}_{prefix}", filters=moved(consumer.filters))

        consumers = tuple(map(renewed, self.consumers))
        stream = replace(
            self.stream,
            name=f"{self.stream.name}_{prefix}",
            subjects=moved(self.stream.subjects),
            consumers=tuple(map(renewed, self.stream.consumers)),
        )
        return World(self.name, stream, moved(self.subjects), consumers, moved(self.scheduled))


def _of_installation(spec: StreamSpec) -> World:
    """A stream as ``tranche setup`` makes it; only what nobody acks comes again sooner."""
    patterns = [pattern for pattern in spec.subjects if not pattern.startswith("tranche.schedule.")]
    subjects = tuple(
        pattern.replace("*", "x", pattern.count("*") - 1).replace("*", leaf).replace(">", f"{leaf}.x")
        for pattern in patterns
        for leaf in "abc"
    )
    consumers = tuple(replace(consumer, ack_wait_s=HASTY_S) for consumer in spec.consumers)
    if not consumers:
        everything = tuple(patterns)
        consumers = (ConsumerSpec(spec.name, "late", everything, PATIENT_S, deliver="last_per_subject"),)
        return World(spec.name, spec, subjects, consumers)
    scheduled = ("tranche.schedule.x.a", "tranche.schedule.x.b") if spec.schedules else ()
    return World(spec.name, replace(spec, consumers=consumers), subjects, consumers, scheduled)


def _queue(name: str, ack_wait_s: float, *, pending: int, **changes: object) -> World:
    consumer = ConsumerSpec("QUEUE", "workers", ("queue.*",), ack_wait_s, pending)
    spec = StreamSpec("QUEUE", ("queue.*",), retention="workqueue", discard="new", consumers=(consumer,))
    return World(
        name,
        replace(spec, **changes),  # type: ignore[arg-type]  # whichever field
        ("queue.a", "queue.b", "queue.c"),
        (consumer,),
    )


def _log(name: str, **changes: object) -> World:
    consumers = (
        ConsumerSpec("LOG", "all", ("log.>",), HASTY_S, 4),
        ConsumerSpec("LOG", "last", ("log.a.*", "log.b"), PATIENT_S, deliver="last_per_subject"),
        ConsumerSpec("LOG", "new", ("log.*",), PATIENT_S, 3, deliver="new"),
    )
    spec = StreamSpec("LOG", ("log.>",))
    return World(
        name,
        replace(spec, **changes),  # type: ignore[arg-type]  # whichever field
        ("log.a.x", "log.a.y", "log.b", "log.c"),
        consumers,
    )


def _wake(name: str, **changes: object) -> World:
    consumer = ConsumerSpec("WAKE", "planner", ("wake.*",), HASTY_S)
    spec = StreamSpec("WAKE", ("wake.*", "schedule.*"), schedules=True, message_ttl=True)
    return World(
        name,
        replace(spec, **changes),  # type: ignore[arg-type]  # whichever field
        ("wake.a", "wake.b", "schedule.a"),
        (consumer,),
        ("schedule.a", "schedule.b"),
    )


def _two_queues() -> World:
    consumers = (
        ConsumerSpec("PAIR", "left", ("pair.left.*",), HASTY_S, 2),
        ConsumerSpec("PAIR", "right", ("pair.right.*", "pair.middle"), PATIENT_S, 5),
    )
    spec = StreamSpec("PAIR", ("pair.>",), retention="workqueue", consumers=consumers)
    return World("two queues", spec, ("pair.left.a", "pair.left.b", "pair.right.a", "pair.middle"), consumers)


WORLDS: tuple[World, ...] = (
    *map(_of_installation, STREAMS),
    _queue("hasty tasks", HASTY_S, pending=3, max_per_subject=1, discard_new_per_subject=True),
    _queue("patient tasks", PATIENT_S, pending=2, max_per_subject=1, discard_new_per_subject=True),
    _queue("long queue", PATIENT_S, pending=4),
    _queue("small queue", HASTY_S, pending=1000, max_bytes=400),
    _queue("queue of newest", HASTY_S, pending=3, max_per_subject=2, discard="old"),
    _two_queues(),
    _log("log"),
    _log("table with ttl", max_per_subject=1, discard="new", message_ttl=True),
    _log("two per subject", max_per_subject=2, message_ttl=True),
    _log("aging", max_age_s=2.5, message_ttl=True),
    _log("small old", max_bytes=400),
    _log("small new", max_bytes=400, discard="new"),
    _log("small table old", max_bytes=400, max_per_subject=1),
    _log("small table new", max_bytes=400, max_per_subject=1, discard="new"),
    _log("small full table", max_bytes=400, max_per_subject=1, discard="new", discard_new_per_subject=True),
    _log("short messages", max_message_bytes=64),
    _wake("wake"),
    _wake("wake table", max_per_subject=1),
)


# --- what may be done ---


@dataclass(frozen=True, slots=True)
class Publish:
    """``expect``: the subject's last sequence, or something else."""

    subject: int
    size: int = 3
    expect: Literal["", "right", "zero", "stale", "ahead"] = ""
    msg_id: int = 0
    """0: none; the same number is the same id."""
    ttl_s: float | None = None
    headers: int = 0
    """How many."""
    process: int = 0


@dataclass(frozen=True, slots=True)
class PublishElsewhere:
    """To a subject that no stream keeps."""


@dataclass(frozen=True, slots=True)
class Say:
    subject: int
    process: int = 0


@dataclass(frozen=True, slots=True)
class Last:
    subject: int
    process: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """State and subjects."""

    filter: int = 0
    process: int = 0


@dataclass(frozen=True, slots=True)
class Purge:
    filter: int
    process: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    slot: int
    subject: int
    due: Literal["past", "soon", "far"]
    elsewhere: bool = False
    """For a subject that the stream does not keep."""
    process: int = 0


@dataclass(frozen=True, slots=True)
class Fetch:
    consumer: int
    limit: int = 1
    process: int = 0


@dataclass(frozen=True, slots=True)
class FetchThenPublish:
    """One waits, then something comes, or not."""

    consumer: int
    publish: Publish
    process: int = 0


@dataclass(frozen=True, slots=True)
class Restart:
    """Another process takes the place: its pulls are bound anew, its deliveries are in nobody's hands."""

    process: int


@dataclass(frozen=True, slots=True)
class Settle:
    """``back``: 0 is the newest delivery, 1 the one before."""

    back: int
    word: Literal["ack", "nak", "nak later", "extend", "term"]


@dataclass(frozen=True, slots=True)
class Open:
    """Begin to follow; who follows in that place ends. A number: so far from the stream's end."""

    slot: int
    filter: int
    start: Literal["last_per_subject", "new"] | int
    process: int = 0


@dataclass(frozen=True, slots=True)
class Next:
    slot: int
    limit: int = 500


@dataclass(frozen=True, slots=True)
class CatchUp:
    slot: int


@dataclass(frozen=True, slots=True)
class Close:
    slot: int


@dataclass(frozen=True, slots=True)
class Serve:
    """Begin to answer; who answers in that place ends."""

    slot: int
    subject: int
    manner: Literal["echo", "empty", "fail", "silent", "instead", "too large"]
    process: int = 0


@dataclass(frozen=True, slots=True)
class Leave:
    slot: int


@dataclass(frozen=True, slots=True)
class Ask:
    subject: int
    headers: int = 0
    process: int = 0


@dataclass(frozen=True, slots=True)
class Ensure:
    """``differs``: another stream is wanted than is there."""

    differs: bool
    create: bool


@dataclass(frozen=True, slots=True)
class WaitUntilDue:
    """Until what falls due next has fallen due: a redelivery, the end of a message, a schedule."""


Operation = (
    Publish
    | PublishElsewhere
    | Say
    | Last
    | Look
    | Purge
    | Schedule
    | Fetch
    | FetchThenPublish
    | Restart
    | Settle
    | Open
    | Next
    | CatchUp
    | Close
    | Serve
    | Leave
    | Ask
    | Ensure
    | WaitUntilDue
)


@dataclass(frozen=True, slots=True)
class Sequence:
    """What is done on which world. ``str()`` can be pasted into a test."""

    world: int
    operations: tuple[Operation, ...] = field(default=())

    def __str__(self) -> str:
        done = "".join(f"\n    {operation}," for operation in self.operations)
        return f"on {WORLDS[self.world].name!r}: Sequence({self.world}, ({done}\n))"


# --- how they are drawn ---


def _one(*values: T) -> st.SearchStrategy[T]:
    return st.sampled_from(values)


_SMALL = st.integers(0, 5)
_PROCESS = st.integers(0, 1)
# Never an id and an expectation: one server looks at the one first, a cluster at the other.
_CONDITION: st.SearchStrategy[tuple[Any, int]] = _one(
    ("", 0), ("", 1), ("", 2), ("", 3), ("right", 0), ("right", 0), ("zero", 0), ("stale", 0), ("ahead", 0)
)
_PUBLISH: st.SearchStrategy[Publish] = st.builds(
    lambda subject, size, condition, *others: Publish(subject, size, *condition, *others),
    _SMALL,
    _one(3, 0, 3, 40, 100),
    _CONDITION,
    _one(None, None, None, None, 1.4, 2.0, 60.0),
    _one(0, 0, 1, 2),
    _PROCESS,
)
_PLAIN_PUBLISH = st.builds(Publish, _SMALL, process=_PROCESS)
_FETCH = st.builds(Fetch, _SMALL, _one(1, 2, 3, 10), _PROCESS)
_SETTLE = st.builds(
    Settle, _one(0, 0, 0, 1, 1, 2, 3, 5), _one("ack", "ack", "nak", "nak later", "extend", "term")
)
_READ = st.builds(Next, _PROCESS, _one(1, 2, 500))
_WAIT = st.just(WaitUntilDue())
_Weighted = tuple[tuple[int, st.SearchStrategy[Any]], ...]
_COMMON: _Weighted = (
    (5, _PUBLISH),
    (4, _PLAIN_PUBLISH),
    (5, _FETCH),
    (6, _SETTLE),
    (2, _WAIT),
    (1, st.builds(FetchThenPublish, _SMALL, _PLAIN_PUBLISH | _PUBLISH, _PROCESS)),
    (1, st.builds(Say, _SMALL, _PROCESS)),
    (1, st.builds(Last, _SMALL, _PROCESS)),
    (1, st.builds(Look, _SMALL, _PROCESS)),
    (1, st.builds(Purge, _SMALL, _PROCESS)),
    (1, st.builds(Restart, _PROCESS)),
    (2, st.builds(Open, _PROCESS, _SMALL, _one("last_per_subject", "new", 5, 2, 0, -1, -4), _PROCESS)),
    (2, _READ),
    (1, st.builds(CatchUp, _PROCESS)),
    (
        1,
        st.builds(Close, _PROCESS)
        | st.builds(Ensure, st.booleans(), st.booleans())
        | st.builds(PublishElsewhere),
    ),
)
_DUE: st.SearchStrategy[Any] = _one("past", "soon", "soon", "far")
_SCHEDULING: _Weighted = (
    (6, st.builds(Schedule, _PROCESS, _SMALL, _DUE, _one(False, False, False, True), _PROCESS)),
    (2, _WAIT),
)
_MANNERS: st.SearchStrategy[Any] = _one("echo", "echo", "empty", "fail", "silent", "instead", "too large")
_ASKING: _Weighted = (
    (8, st.builds(Serve, _PROCESS, _SMALL, _MANNERS, _PROCESS)),
    (10, st.builds(Ask, _SMALL, _one(0, 0, 2), _PROCESS)),
    (2, st.builds(Leave, _PROCESS)),
)


@st.composite
def sequences(draw: st.DrawFn) -> Sequence:
    """One world and 12 to 40 operations. Requests know no stream: they come in one sequence of eight."""
    world = draw(st.integers(0, len(WORLDS) - 1))
    wanted = _COMMON
    if WORLDS[world].scheduled:
        wanted += _SCHEDULING
    if draw(st.integers(0, 7)) == 0:
        wanted += _ASKING
    kinds = st.sampled_from([number for number, (weight, _) in enumerate(wanted) for _ in range(weight)])
    length = draw(st.integers(12, 40))
    return Sequence(world, tuple(draw(wanted[draw(kinds)][1]) for _ in range(length)))
