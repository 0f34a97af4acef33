"""Following one deployment: each status shown as it comes, until what was waited for is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple, Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

import tranche
from tranche.client import Until, Verdict, judge
from tranche.contract.status import Status
from tranche_cli.app.desk import Desk, Screen
from tranche_cli.app.options import Form
from tranche_cli.exits import OF_VERDICT, Exit
from tranche_cli.view.advice import advice
from tranche_cli.view.documents import plain
from tranche_cli.view.line import line, summary
from tranche_cli.view.screen import screen
from tranche_cli.view.words import safe

TICK_S = 1.0
"""Times on the screen move on so often."""
REDRAW_S = 0.2
"""At most five redraws a second."""


class Show(Protocol):
    """Somewhere statuses are shown."""

    def status(self, status: Status) -> None: ...


class Lines:
    """A line per change: for pipes and logs."""

    def __init__(self, look: Screen) -> None:
        self._screen = look
        self._last: dict[str, Status] = {}

    def status(self, status: Status) -> None:
        key = f"{status.namespace}/{status.name}"
        before = self._last.get(key)
        if before is None or summary(status) != summary(before):
            self._screen.line(line(status, before=before))
        self._last[key] = status


class Documents:
    """A JSON (or YAML) document per status."""

    def __init__(self, look: Screen, form: Form) -> None:
        self._screen = look
        self._form = form

    def status(self, status: Status) -> None:
        self._screen.document(plain(status), self._form, one_line=True)


class Nothing:
    """Only the end is shown, by whoever waits."""

    def status(self, status: Status) -> None:
        return


class Picture:
    """The newest of what there is to see, drawn over the one before."""

    def __init__(self, display: Live, drawn: Callable[[datetime], RenderableType], desk: Desk) -> None:
        self._display = display
        self._drawn = drawn
        self._clock = desk.runtime.clock
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """There is something new to see."""
        self._changed.set()

    def draw(self) -> None:
        self._display.update(self._drawn(self._clock.now()), refresh=True)

    async def keep_drawing(self) -> None:
        """At each change and each tick, never more often than ``REDRAW_S``."""
        while True:
            try:
                async with self._clock.timeout(TICK_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            self.draw()
            await self._clock.sleep(REDRAW_S)


@asynccontextmanager
async def picture(desk: Desk, drawn: Callable[[datetime], RenderableType]) -> AsyncIterator[Picture]:
    """A live picture for the block; its last state stays on the terminal."""
    with Live(
        console=desk.screen.out, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    ) as live:
        shown = Picture(live, drawn, desk)
        async with desk.runtime.tasks.group() as group:
            drawing = group.spawn(shown.keep_drawing(), name="redraw")
            try:
                yield shown
            finally:
                drawing.cancel()
                shown.draw()


class LiveStatus:
    """The screen of one deployment, kept up to date."""

    def __init__(self, desk: Desk, client: tranche.Client) -> None:
        self._out = desk.screen.out
        self._client = client
        self._status: Status | None = None
        self.picture: Picture | None = None

    def status(self, status: Status) -> None:
        self._status = status
        if self.picture:
            self.picture.changed()

    def drawn(self, now: datetime) -> RenderableType:
        if self._status is None:
            return Text("")
        size = self._out.size
        shown = screen(self._status, now, width=size.width, height=size.height)
        if self._client.connected:
            return shown
        return Group(Text("not connected to NATS; this is what was said last", "yellow"), shown)


@asynccontextmanager
async def showing(
    desk: Desk, client: tranche.Client, *, watch: bool, form: Form | None
) -> AsyncIterator[Show]:
    """How statuses are shown here: live on a terminal, else by line or document."""
    if form in (Form.JSON, Form.YAML):
        yield Documents(desk.screen, form) if watch else Nothing()
    elif form is Form.NAME:
        yield Nothing()
    elif watch and desk.screen.live:
        live = LiveStatus(desk, client)
        async with picture(desk, live.drawn) as live.picture:
            yield live
    else:
        yield Lines(desk.screen)


class Followed(NamedTuple):
    """How following ended, and the last status that was seen."""

    code: Exit
    last: Status | None


async def follow(
    desk: Desk,
    client: tranche.Client,
    deployment: tuple[str, str],
    done: Callable[[Status], Verdict | None],
    *,
    timeout_s: float | None,
    watch: bool,
    form: Form | None,
    what: str,
    known: Status | None = None,
) -> Followed:
    """Show statuses until ``done`` says why that is enough. ``what`` names the wish in messages.

    ``known``: what a planner answered just before. It counts as the first; what the stream still has of before
    it is passed over, so that nobody is told of a wait that was confirmed a moment ago.
    """
    last = known
    verdict: Verdict | None = None
    try:
        async with (
            desk.runtime.clock.timeout(timeout_s),
            showing(desk, client, watch=watch, form=form) as show,
        ):
            if known:
                show.status(known)
                verdict = done(known)
            async for status in client.watch(*deployment) if verdict is None else _none():
                if known and (status == known or status.document_revision < known.document_revision):
                    continue
                last = status
                show.status(status)
                if (verdict := done(status)) is not None:
                    break
    except TimeoutError:
        state = f": {last.phase}: {last.message}" if last else "; no status was seen"
        desk.screen.error(f"{'/'.join(deployment)} is not {what} after {timeout_s:g} s{state}")
    if verdict is None or last is None:
        return Followed(Exit.TIMEOUT, last)
    if verdict is not Verdict.REACHED:
        desk.screen.error(_ending(last))
    elif form is None and not (watch and desk.screen.live):
        desk.screen.line(safe(f"next: {advice(last)}"))
    return Followed(OF_VERDICT[verdict], last)


def until_verdict(until: Until | None, generation: int) -> Callable[[Status], Verdict | None]:
    """Judges statuses by what somebody waits for; None: for ever."""
    if until is None:
        return lambda _: None
    return lambda status: judge(status, until, generation=generation)


def finished(desk: Desk, followed: Followed, form: Form | None) -> Exit:
    """The last status in the form asked for, where nothing was shown on the way; the exit code."""
    status = followed.last
    if status and form and form.for_programs:
        desk.screen.document(plain(status), form)
    elif status and form is Form.NAME:
        desk.screen.line(f"{status.namespace}/{status.name}")
    return followed.code


def _ending(status: Status) -> str:
    name = f"{status.namespace}/{status.name}"
    return f"{name}: {status.phase}: {status.message}; next: {advice(status).command}"


async def _none() -> AsyncIterator[Status]:
    return
    yield
