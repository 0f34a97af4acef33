"""Traffic leaves before a module is taken down and comes once it is verified, whatever happens in between."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.unit.memory_executor import Hall, hall
from tranche.contract.record import PodRecord
from tranche.errors import Conflict, TrancheError, Unavailable
from tranche.runtime import Clock
from tranche_executor.core.pod import Pod
from tranche_executor.traffic import Mark


@dataclass
class Signs:
    """A board that says what serves, with a version as a pod has one. ``failing``: raised instead, once each."""

    clock: Clock
    serves: bool = True
    version: int = 0
    said: list[tuple[str, float]] = field(default_factory=list)
    failing: list[TrancheError] = field(default_factory=list)
    slow_s: float = 0.0
    asked: int = 0
    refused: int = 0

    async def mark(self, record: PodRecord) -> Mark | None:
        return Mark(record.uid, str(self.version))

    async def follow(self, mark: Mark, before: PodRecord | None, record: PodRecord) -> bool:
        self.asked += 1
        await self.clock.sleep(self.slow_s)
        self._fail()
        if mark.version != str(self.version):
            self.refused += 1
            raise Conflict("changed")
        entry = record.modules.get("cart")
        self._say(entry is not None and entry.serves)
        return True

    async def leave(self, record: PodRecord, module: str) -> bool:
        self._fail()
        self._say(False)
        return True

    async def clear(self, pod: Pod) -> None:
        self._say(False)

    def _say(self, serves: bool) -> None:
        self.version += 1
        self.serves = serves
        self.said.append(("serves" if serves else "left", self.clock.monotonic()))

    def _fail(self) -> None:
        if self.failing:
            raise self.failing.pop(0)

    @property
    def words(self) -> list[str]:
        return [word for word, _ in self.said]


def steered(here: Hall) -> Signs:
    here.traffic = signs = Signs(here.runtime.clock)
    return signs


async def test_it_leaves_waits_is_replaced_and_comes_back_before_it_counts() -> None:
    async with hall(revision=1) as here:
        signs, base = steered(here), here.base()
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True, drain_s=2)
        await here.tell()
        await here.until(lambda: signs.said)
        left_at = signs.said[0][1]
        await here.until(lambda: here.record().modules["cart"].state == "uninstalling")
        assert not here.record().modules["cart"].serves
        assert base.ran == []
        await here.until(lambda: base.ran)
        assert here.runtime.clock.monotonic() - left_at >= 2
        await here.over(claim)
        assert signs.words == ["left", "serves"]
        assert here.record().modules["cart"].version == "2.0.0"


async def test_side_by_side_it_never_leaves() -> None:
    async with hall(revision=1) as here:
        signs = steered(here)
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, beside=True, drain_s=2)
        await here.tell()
        await here.over(claim)
        assert signs.words == ["serves"]
        assert here.base().ran == ["install cart:2.0.0", "uninstall cart:1.0.0"]


async def test_without_seconds_to_wait_it_leaves_all_the_same() -> None:
    async with hall(revision=1) as here:
        signs = steered(here)
        here.start("executor-1")
        claim = await here.claim(op="remove", costs=True)
        await here.tell()
        await here.over(claim)
        assert signs.words == ["left", "left"]
        assert here.base().ran == ["uninstall cart:1.0.0"]


async def test_who_takes_over_in_the_wait_waits_anew() -> None:
    async with hall(revision=1) as here:
        signs, base = steered(here), here.base()
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True, drain_s=3)
        await here.tell()
        await here.until(lambda: signs.said)
        await here.runtime.clock.sleep(1)
        await here.crash("executor-1")
        here.start("executor-2")
        await here.until(lambda: base.ran)
        assert here.runtime.clock.monotonic() - signs.said[1][1] >= 3
        await here.over(claim)
        assert signs.words == ["left", "left", "serves"]
        assert base.ran == ["uninstall cart:1.0.0", "install cart:2.0.0"]


async def test_what_cannot_leave_is_not_taken_down_and_says_why() -> None:
    async with hall(revision=1) as here:
        signs = steered(here)
        signs.failing = [Unavailable("the server is away"), Unavailable("the server is away")]
        here.start("executor-1")
        claim = await here.claim(op="remove", costs=True)
        await here.tell()

        def stuck() -> bool:
            noted = here.record().operation
            return noted is not None and noted.state == "stuck"

        await here.until(stuck)
        noted = here.record().operation
        assert noted is not None
        assert "the server is away" in noted.message
        assert here.base().ran == []
        assert here.record().modules["cart"].state == "available"
        await here.over(claim)
        assert here.base().ran == ["uninstall cart:1.0.0"]


async def test_what_cannot_come_back_does_not_count_until_it_can() -> None:
    async with hall(revision=1) as here:
        signs = steered(here)
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True)
        await here.tell()
        await here.until(lambda: signs.said)
        signs.failing = [Unavailable("the server is away")] * 3
        ended = await here.over(claim)
        assert signs.failing == []
        assert ended.modules["cart"].state == "available"
        assert here.base().ran == ["uninstall cart:1.0.0", "install cart:2.0.0"]


async def test_a_pod_that_changed_meanwhile_is_looked_at_again() -> None:
    async with hall(revision=1) as here:
        signs = steered(here)
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True)
        await here.tell()
        await here.until(lambda: signs.said)
        signs.failing = [Conflict("changed")]
        await here.over(claim)
        assert signs.words == ["left", "serves"]


async def test_the_late_word_of_who_lost_the_task_brings_nothing_back_that_was_taken_down_since() -> None:
    async with hall(revision=1) as here:
        signs, base = steered(here), here.base()
        signs.slow_s = 20.0
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True)
        await here.tell()
        await here.until(lambda: signs.asked)
        # Its word is on the way, and the broker hears of it no more.
        here.running["executor-1"][0].cut()
        signs.slow_s = 0.0
        here.start("executor-2")
        await here.over(claim)
        removal = await here.claim(op="remove", costs=True, drain_s=1)
        await here.tell()
        await here.over(removal)
        await here.until(lambda: signs.refused)
        assert not signs.serves
        assert base.modules == {}
