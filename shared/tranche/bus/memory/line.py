"""One connection to the broker in memory: there, or cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tranche.errors import Unavailable, Unknown
from tranche.runtime import Clock

T = TypeVar("T")


class Line:
    """What every way to the broker goes over, so that it can be cut."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.connected = True
        self.breaks = 0
        """How often it was cut: who waits across a cut never learns what became of the question."""

    def cut(self) -> None:
        if self.connected:
            self.connected = False
            self.breaks += 1

    def check(self, about: str) -> None:
        """Raises Unavailable: nothing leaves this process."""
        if not self.connected:
            raise Unavailable(f"{about}: not connected to the broker")

    async def tell(self, about: str, act: Callable[[], object]) -> None:
        """A word that nobody answers: while cut off it is lost."""
        if self.connected:
            act()

    async def ask(self, about: str, act: Callable[[], T]) -> T:
        """There and back; others get their turn on both ways, as they would on a network."""
        self.check(about)
        breaks = self.breaks
        await self.clock.sleep(0)
        if self.breaks == breaks:
            answer = act()
            await self.clock.sleep(0)
            if self.breaks == breaks:
                return answer
        raise Unknown(f"{about}: the connection broke before the answer came")
