"""Changing values by compare and swap over a bus that loses answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tranche.bus import cas
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.bus.port import Stored, StreamSpec
from tranche.contract.message import Message
from tranche.errors import Conflict, Refused, TrancheError, Unavailable, Unknown
from tranche.runtime import Runtime, SystemClock, SystemDice, SystemTasks

STREAM, SUBJECT = "KV_table", "$KV.table.a"
TABLE = StreamSpec(STREAM, ("$KV.table.>",), max_per_subject=1, discard="new", message_ttl=True)


class Value(Message):
    text: str
    level: int = 0
    nonce: str = ""


class HastyClock(SystemClock):
    """Pauses take no time."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)


RUNTIME = Runtime(HastyClock(), SystemDice(), SystemTasks())


class LossyBus(MemoryBus):
    """What is planned happens to the next writes and reads, in order: ``None`` is nothing special."""

    def __init__(self, broker: MemoryBroker, runtime: Runtime) -> None:
        super().__init__(broker, runtime)
        self.writes: list[Callable[[], Any] | TrancheError | None] = []
        self.reads: list[TrancheError | None] = []
        self.published = 0

    async def publish(self, subject: str, data: bytes, **options: Any) -> int:  # type: ignore[override]
        self.published += 1
        plan = self.writes.pop(0) if self.writes else None
        if isinstance(plan, TrancheError):
            raise plan
        sequence = await super().publish(subject, data, **options)
        if plan is not None:
            await plan()
        return sequence

    async def last(self, stream: str, subject: str) -> Stored | None:
        if self.reads and (error := self.reads.pop(0)) is not None:
            raise error
        return await super().last(stream, subject)


async def lost() -> None:
    """The write arrived, its answer does not."""
    raise Unknown("no answer within 2 s")


@pytest.fixture
async def bus() -> LossyBus:
    bus = LossyBus(MemoryBroker(RUNTIME.clock), RUNTIME)
    await bus.ensure([TABLE], replicas=1, create=True)
    return bus


async def swap(bus: MemoryBus, text: str, *, expect: int) -> cas.Held[Value]:
    return await cas.swap(bus, RUNTIME, STREAM, SUBJECT, Value(text=text), expect=expect)


async def there(bus: MemoryBus) -> cas.Held[Value] | None:
    return await cas.read(bus, Value, STREAM, SUBJECT)


async def test_a_value_is_written_and_read(bus: LossyBus) -> None:
    assert await there(bus) is None

    first = await swap(bus, "one", expect=0)
    second = await swap(bus, "two", expect=first.sequence)

    assert await there(bus) == second
    assert second.value.text == "two"
    assert second.value.nonce not in ("", first.value.nonce)


async def test_what_cannot_be_read_is_refused_by_name(bus: LossyBus) -> None:
    await bus.publish(SUBJECT, b"{}")

    with pytest.raises(Refused, match=r"table\.a holds no Value"):
        await there(bus)


async def test_behind_another_write_is_a_conflict(bus: LossyBus) -> None:
    await swap(bus, "theirs", expect=0)

    with pytest.raises(Conflict, match="somebody else"):
        await swap(bus, "ours", expect=0)


async def test_behind_a_value_that_has_ended_is_a_conflict(bus: LossyBus) -> None:
    held = await swap(bus, "ours", expect=0)
    await bus.purge(STREAM, SUBJECT)

    with pytest.raises(Conflict):
        await swap(bus, "again", expect=held.sequence)


async def test_a_lost_answer_is_read_back(bus: LossyBus) -> None:
    bus.writes = [lost]

    held = await swap(bus, "ours", expect=0)

    assert await there(bus) == held
    assert bus.published == 1


async def test_an_answer_is_read_back_through_troubles(bus: LossyBus) -> None:
    bus.writes = [lost]
    bus.reads = [Unavailable("starting"), Unknown("silence"), None]

    held = await swap(bus, "ours", expect=0)

    assert await there(bus) == held


async def test_a_write_that_was_lost_on_the_way_is_written_again(bus: LossyBus) -> None:
    bus.writes = [Unknown("no answer"), None]

    held = await swap(bus, "ours", expect=0)

    assert await there(bus) == held
    assert bus.published == 2


async def test_the_same_write_arriving_late_is_ours_all_the_same(bus: LossyBus) -> None:
    """The first try arrives just before the second, which is then in conflict with it."""
    sent: list[bytes] = []

    class LateBus(LossyBus):
        async def publish(self, subject: str, data: bytes, **options: Any) -> int:  # type: ignore[override]
            sent.append(data)
            if len(sent) == 1:
                raise Unknown("no answer")
            await MemoryBus.publish(self, subject, sent[0], **options)
            return await MemoryBus.publish(self, subject, data, **options)

    late = LateBus(bus._broker, RUNTIME)

    held = await swap(late, "ours", expect=0)

    assert await there(bus) == held
    assert len(sent) == 2


async def test_ours_written_and_replaced_before_we_look_is_a_conflict(bus: LossyBus) -> None:
    async def replaced() -> None:
        await MemoryBus.publish(bus, SUBJECT, Value(text="theirs").encode())
        raise Unknown("no answer")

    bus.writes = [replaced]

    with pytest.raises(Conflict):
        await swap(bus, "ours", expect=0)


async def test_what_nobody_tells_is_unknown(bus: LossyBus) -> None:
    bus.writes = [lost]
    bus.reads = [Unavailable("gone")] * cas.READ_BACK_TRIES

    with pytest.raises(Unknown, match="read back"):
        await swap(bus, "ours", expect=0)


async def test_a_write_never_answered_is_unknown_in_the_end(bus: LossyBus) -> None:
    bus.writes = [Unknown("no answer")] * cas.WRITE_TRIES

    with pytest.raises(Unknown, match="may yet be written"):
        await swap(bus, "ours", expect=0)


async def test_what_was_never_sent_is_unavailable(bus: LossyBus) -> None:
    bus.cut()

    with pytest.raises(Unavailable):
        await swap(bus, "ours", expect=0)


async def test_a_later_try_that_is_not_sent_leaves_the_first_unknown(bus: LossyBus) -> None:
    bus.writes = [Unknown("no answer"), Unavailable("not connected")]

    with pytest.raises(Unknown, match="earlier try"):
        await swap(bus, "ours", expect=0)


# --- levels ---


async def say(bus: MemoryBus, level: int) -> bool:
    ours = Value(text=str(level), level=level)
    return await cas.say(bus, STREAM, SUBJECT, ours, newer=lambda found: level > found.level)


async def test_levels_only_go_up(bus: LossyBus) -> None:
    assert [await say(bus, level) for level in (1, 3, 2, 3, 4)] == [True, True, False, False, True]

    held = await there(bus)
    assert held is not None
    assert held.value.level == 4


async def test_who_is_overtaken_looks_again(bus: LossyBus) -> None:
    async def overtaken_by(level: int) -> None:
        await MemoryBus.publish(bus, SUBJECT, Value(text="theirs", level=level).encode())

    class RacedBus(LossyBus):
        race = [1, 9]

        async def publish(self, subject: str, data: bytes, **options: Any) -> int:  # type: ignore[override]
            if self.race:
                await overtaken_by(self.race.pop(0))
            return await MemoryBus.publish(self, subject, data, **options)

    raced = RacedBus(bus._broker, RUNTIME)

    assert not await say(raced, 5)
    assert not raced.race


async def test_what_nobody_can_read_is_replaced(bus: LossyBus) -> None:
    await bus.publish(SUBJECT, b"\xff")

    assert await say(bus, 1)


async def test_saying_into_the_dark_is_unknown_and_may_be_said_again(bus: LossyBus) -> None:
    bus.writes = [lost]

    with pytest.raises(Unknown):
        await say(bus, 1)
    assert not await say(bus, 1)  # it had arrived
