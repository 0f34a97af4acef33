"""What reached a pool and was not looked at yet: records, plans, and how far the stream was read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tranche.bus.port import Follow, Stored
from tranche.contract.plan import Plan
from tranche.errors import TrancheError

WAIT_S = 1.0
"""A reader that is asked to catch up while nothing comes does so after this long at the latest."""
CATCH_UP_S = 30.0


class Inbox:
    """Filled by one reader and the follower of plans, emptied by the pool's rounds; ``bell`` rings meanwhile."""

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.position = 0
        self.failure: TrancheError | None = None
        """Why the reader ended."""
        self._records: list[Stored] = []
        self._plans: list[Plan] = []
        self._asked = 0
        self._reached = 0

    def tell(self, plan: Plan) -> None:
        self._plans.append(plan)
        self.bell.set()

    def take_plans(self) -> Sequence[Plan]:
        taken, self._plans = self._plans, []
        return taken

    def take_records(self) -> tuple[Sequence[Stored], int]:
        """All there are, and the position of a view that has folded them."""
        taken, self._records = self._records, []
        return taken, self.position

    def ask_catch_up(self) -> int:
        """Have the stream read to its end; the ticket is what ``caught_up`` asks for."""
        self._asked += 1
        return self._asked

    def caught_up(self, ticket: int) -> bool:
        """Whether the stream was read to where it ended after that was asked for."""
        return self._reached >= ticket

    async def read(self, follow: Follow) -> None:
        """Read on until cancelled; what ends it otherwise is told in ``failure``."""
        try:
            while True:
                if (ticket := self._asked) > self._reached:
                    found = await follow.catch_up(wait_s=CATCH_UP_S)
                    self._put(found, follow.position)
                    self._reached = ticket
                    self.bell.set()
                elif found := await follow.next(wait_s=WAIT_S):
                    self._put(found, follow.position)
        except TrancheError as error:
            self.failure = error
            self.bell.set()

    def _put(self, found: Sequence[Stored], position: int) -> None:
        self._records.extend(found)
        self.position = max(self.position, position)
        self.bell.set()
