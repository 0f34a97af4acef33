"""Requests as users send them, all the while something is done to a base, and what became of each."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Self

import aiohttp

from tests.real.base_process import BaseProcess
from tranche.runtime import SystemClock, wait_until

EVERY_S = 0.02


@dataclass(slots=True)
class Seen:
    """One request: when it was sent (s, only differences mean anything), status (0: no answer)."""

    at: float
    status: int
    body: str


@dataclass(eq=False)
class Traffic:
    """GETs of one path on one base every 20 ms, while inside ``async with``."""

    base: BaseProcess
    path: str
    seen: list[Seen] = field(default_factory=list)
    _asking: asyncio.Task[None] | None = None

    @property
    def statuses(self) -> Counter[int]:
        return Counter(one.status for one in self.seen)

    @property
    def answers(self) -> list[str]:
        """Every answer that was given, in order, runs of the same one told once."""
        given = [one.body for one in self.seen if one.status == 200]
        return [body for place, body in enumerate(given) if place == 0 or given[place - 1] != body]

    @property
    def longest_gap_s(self) -> float:
        """The longest span without a request that was answered with 200."""
        good = [one.at for one in self.seen if one.status == 200]
        return max((later - earlier for earlier, later in pairwise(good)), default=0.0)

    async def answered(self, body: str) -> None:
        """Until the last answer that was given is this one: the first one of a base takes its time."""

        async def last() -> bool | None:
            return self.answers[-1:] == [body] or None

        await wait_until(last, SystemClock(), timeout_s=30, every_s=EVERY_S)

    async def __aenter__(self) -> Self:
        self._asking = asyncio.ensure_future(self._ask())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._asking is not None
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            while True:
                at = loop.time()
                self.seen.append(await self._get(session, at))
                await asyncio.sleep(max(0.0, at + EVERY_S - loop.time()))

    async def _get(self, session: aiohttp.ClientSession, at: float) -> Seen:
        url = f"http://127.0.0.1:{self.base.web_port}{self.path}"
        try:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                return Seen(at, answer.status, await answer.text())
        except (aiohttp.ClientError, TimeoutError) as error:
            return Seen(at, 0, str(error))
