"""Where the demo is shown: a picture on a terminal, lines elsewhere; and what its script waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

import tranche
from tranche.contract.status import Status
from tranche.errors import Refused
from tranche_cli.app.desk import Desk
from tranche_cli.app.following import Lines, Picture, picture
from tranche_cli.view.line import summary
from tranche_cli.view.screen import screen

NAMESPACE = "shop"
LOST = frozenset({"Degraded", "Aborting", "Aborted", "Invalid", "Deleting", "Deleted"})


class Stage:
    """Follows the demo's deployments; the first one named is the one in the picture."""

    def __init__(self, desk: Desk, star: str) -> None:
        self._desk = desk
        self._star = star
        self._latest: dict[str, Status] = {}
        self._news = asyncio.Condition()
        self._lines = None if desk.screen.live else Lines(desk.screen)
        self._picture: Picture | None = None

    def say(self, text: str) -> None:
        """A sentence of the narrator: above the picture while there is one."""
        if self._desk.screen.live:
            self._desk.screen.out.print(Text(text, "bold"))
        else:
            self._desk.screen.line(text)

    @asynccontextmanager
    async def pictured(self) -> AsyncIterator[None]:
        """Show the picture for the block, where there is a terminal to draw on."""
        if not self._desk.screen.live:
            yield
            return
        async with picture(self._desk, self._drawn) as self._picture:
            yield
        self._picture = None

    async def follow(self, client: tranche.Client) -> None:
        """Take in every status, for ever."""
        async for status in client.watch(NAMESPACE):
            async with self._news:
                self._latest[status.name] = status
                self._news.notify_all()
            if self._lines:
                self._lines.status(status)
            if self._picture:
                self._picture.changed()

    async def seen(self, name: str, condition: Callable[[Status], bool], *, generation: int) -> Status:
        """The first status of that generation that meets the condition. Raises Refused when it cannot come."""
        async with self._news:
            while True:
                status = self._latest.get(name)
                if status and status.observed_generation == status.generation == generation:
                    if condition(status):
                        return status
                    if status.phase in LOST:
                        raise Refused(f"{NAMESPACE}/{name} is {status.phase}: {status.message}")
                await self._news.wait()

    def _drawn(self, now: datetime) -> RenderableType:
        star = self._latest.get(self._star)
        others = [summary(one) for name, one in sorted(self._latest.items()) if name != self._star]
        if star is None:
            return Text("")
        size = self._desk.screen.out.size
        shown = screen(star, now, width=size.width, height=size.height - 2)
        return Group(Text(""), shown, Text(""), *(Text(one, "dim", no_wrap=True) for one in others))
