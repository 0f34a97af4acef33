"""The time that all processes share: the broker's, counted on with a clock that does not jump (S6)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from tranche.brokertime import REMEMBERED, BrokerClock

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Machine:
    """A machine's clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall = NOON
        self.since_boot = 1000.0

    def pass_(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.since_boot += seconds

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.since_boot

    async def sleep(self, seconds: float) -> None:
        self.pass_(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        raise NotImplementedError


def test_the_machines_own_time_until_the_broker_told_its() -> None:
    machine = Machine()
    clock = BrokerClock(machine)
    assert clock.now() == NOON
    clock.hear(NOON - timedelta(hours=1))
    assert clock.now() == NOON - timedelta(hours=1)


def test_a_wall_clock_that_jumps_moves_nothing() -> None:
    machine = Machine()
    clock = BrokerClock(machine)
    clock.hear(NOON)
    machine.wall += timedelta(days=1)
    machine.pass_(2.5)
    assert clock.now() == NOON + timedelta(seconds=2.5)
    machine.wall -= timedelta(days=2)
    assert clock.now() == NOON + timedelta(seconds=2.5)


def test_an_answer_that_took_its_time_does_not_set_it_back() -> None:
    machine = Machine()
    clock = BrokerClock(machine)
    clock.hear(NOON)
    machine.pass_(10)
    clock.hear(NOON + timedelta(seconds=8))  # two seconds on its way
    assert clock.now() == NOON + timedelta(seconds=10)


def test_a_broker_that_set_its_clock_back_is_followed_in_the_end() -> None:
    machine = Machine()
    clock = BrokerClock(machine)
    clock.hear(NOON)
    for _ in range(REMEMBERED):
        machine.pass_(10)
        clock.hear(machine.wall - timedelta(hours=1))
    assert clock.now() == machine.wall - timedelta(hours=1)
