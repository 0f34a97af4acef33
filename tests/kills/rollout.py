"""A person with one rollout: asks for it, confirms its batches, changes their mind, and writes down when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import tranche
from tests.kills.wishes import NAMESPACE, Wish
from tranche.contract.answer import AcceptedAnswer
from tranche.contract.status import Status
from tranche.errors import Refused, Unavailable, Unknown

ENDS_S = 300.0
AGAIN_S = 0.5


class Stuck(Exception):
    """A rollout did not go as it must; the message says how it stood."""


@dataclass(slots=True)
class Story:
    """What a person did and saw of one wish; times in seconds since the epoch, 0.0: it did not happen."""

    wish: Wish
    before: Wish | None
    """What was on the bases; None: nothing."""
    asked_at: float = 0.0
    """Just before the wish was sent."""
    generation: int = 0
    observed_at: float = 0.0
    """A status that answers it was read."""
    confirms: dict[int, float] = field(default_factory=dict)
    """By batch, just before the first confirm was sent."""
    turned_at: float = 0.0
    """Just before the abort, the pause or the superseding wish was sent, where it did not come too late."""
    echoed_at: float = 0.0
    """A status that says so was read."""
    resumed_at: float = 0.0
    """Just before the resume was sent."""
    ended_at: float = 0.0
    outcome: str = ""
    """The last phase: Healthy or Aborted."""
    idle: list[tuple[float, float]] = field(default_factory=list)
    """Spans in which it had to wait, for gray time or because it was paused; a confirm is sent at once."""
    asked_again: list[str] = field(default_factory=list)
    """What came instead of yes or no, and the verb was sent once more."""
    statuses: list[tuple[float, Status]] = field(default_factory=list)
    """With when they were read."""

    @property
    def over(self) -> bool:
        return self.ended_at > 0

    @property
    def told(self) -> list[float]:
        """When a status was read that says that the rollout got somewhere."""
        where = [(at, (one.generation, one.phase, one.batch)) for at, one in self.statuses]
        return [at for (_, before), (at, now) in pairwise(where) if before != now]

    @property
    def turned(self) -> str:
        """What the person did in the middle; empty where it did not happen."""
        return self.wish.turn if self.turned_at else ""

    @property
    def after(self) -> Wish | None:
        """What has to be on the bases when it has ended."""
        if self.outcome == "Aborted":
            return self.before
        return self.wish.superseding() if self.turned == "supersede" else self.wish


class Player:
    """Plays one wish to its end. ``moving`` is set once something happens on the bases or waits.

    ``finished``: nothing is played any more, however it went.
    """

    def __init__(self, client: tranche.Client, story: Story, dice: Random) -> None:
        self.story = story
        self.moving = asyncio.Event()
        self.finished = False
        self._echoed = asyncio.Event()
        self._client = client
        self._name = story.wish.name
        self._generation = 0
        """Of the wish that holds now."""
        self._turn_after_s = story.wish.turn_after_s
        self._paused_for_s = dice.uniform(0.2, 5.0)
        self._turning: asyncio.Task[None] | None = None

    async def play(self) -> None:
        """From asking to the end. Raises Stuck."""
        try:
            async with asyncio.timeout(ENDS_S), asyncio.TaskGroup() as group:
                await self._ask()
                if self.story.wish.turn:
                    self._turning = group.create_task(self._turn())
                await self._follow(group)
        except TimeoutError:
            raise Stuck(f"{self._name} did not end within {ENDS_S:g} s; {self._words()}") from None
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            self.finished = True

    async def _ask(self) -> None:
        self.story.asked_at = time.time()
        answer = await self._insist("apply", lambda: self._client.apply(self.story.wish.manifest()))
        self.story.generation = self._generation = answer.generation or 0

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        """Read every status until the end, and confirm what waits."""
        story = self.story
        async for status in self._statuses():
            now = time.time()
            story.statuses.append((now, status))
            if status.observed_generation < self._generation:
                continue
            story.observed_at = story.observed_at or now
            self._notice(status, now)
            if status.phase in ("Degraded", "Invalid"):
                raise Stuck(
                    f"{self._name} is {status.phase}, and nothing failed but processes; {self._words()}"
                )
            if await self._over(status):
                story.ended_at, story.outcome = now, status.phase
                return
            if _waits_for_confirm(status) and status.batch.current not in story.confirms:
                story.confirms[status.batch.current] = time.time()
                group.create_task(self._confirm(status.batch.current))

    async def _statuses(self) -> AsyncIterator[Status]:
        """As they come. What cannot be opened at once is asked for again; once open, it must go on by itself."""
        opened = False
        while True:
            try:
                async for status in self._client.watch(NAMESPACE, self._name):
                    opened = True
                    yield status
            except (Unavailable, Unknown) as error:
                if opened:
                    raise Stuck(f"the watch of {self._name} ended: {error}; {self._words()}") from None
                self.story.asked_again.append(f"watch: {error}")
            await asyncio.sleep(AGAIN_S)

    def _notice(self, status: Status, now: float) -> None:
        story = self.story
        if status.moving or status.phase in ("Waiting", "Paused"):
            self.moving.set()
        graying = [gate.until for gate in status.gates if gate.gate == "grayTime" and gate.until is not None]
        story.idle += [(now, until.timestamp()) for until in graying if until.timestamp() > now]
        echoes = {
            "abort": status.phase in ("Aborting", "Aborted"),
            "pause": status.phase == "Paused",
            "supersede": status.observed_generation > story.generation,
        }
        if story.turned_at and not story.echoed_at and echoes[story.wish.turn]:
            story.echoed_at = now
            self._echoed.set()

    async def _over(self, status: Status) -> bool:
        """Whether this is the last status; a person who is just changing their mind is waited for."""
        if status.phase not in ("Healthy", "Aborted"):
            return False
        if self._turning is not None and not self.story.turned_at:
            self._turning.cancel()  # Too late to begin with it.
        elif self._turning is not None and not self._turning.done():
            if self.story.wish.turn == "pause" and not self.story.resumed_at:
                return False  # It will be paused yet, and resumed.
            await asyncio.wait({self._turning})
        if self.story.turned == "abort":
            return status.phase == "Aborted"
        return status.observed_generation >= self._generation

    async def _confirm(self, batch: int) -> None:
        try:
            await self._insist(
                f"confirm of batch {batch}",
                lambda: self._client.confirm(
                    NAMESPACE, self._name, generation=self.story.generation, batch=batch, by="tester"
                ),
            )
        except Refused as refusal:
            if not self.story.turned_at:
                raise Stuck(
                    f"batch {batch} of {self._name} waits, and its confirm was refused: {refusal}; {self._words()}"
                ) from None

    async def _turn(self) -> None:
        """Change one's mind in the middle."""
        story = self.story
        await self.moving.wait()
        await asyncio.sleep(self._turn_after_s)
        story.turned_at = time.time()
        try:
            match story.wish.turn:
                case "abort":
                    await self._insist(
                        "abort", lambda: self._client.abort(NAMESPACE, self._name, by="tester")
                    )
                case "supersede":
                    manifest = story.wish.superseding().manifest()
                    answer = await self._insist("apply", lambda: self._client.apply(manifest))
                    self._generation = answer.generation or 0
                case _:
                    await self._pause()
        except Refused:
            story.turned_at = story.echoed_at = 0.0

    async def _pause(self) -> None:
        story = self.story
        await self._insist("pause", lambda: self._client.pause(NAMESPACE, self._name, by="tester"))
        await self._echoed.wait()
        await asyncio.sleep(self._paused_for_s)
        story.resumed_at = time.time()
        story.idle.append((story.echoed_at, story.resumed_at))
        await self._insist("resume", lambda: self._client.resume(NAMESPACE, self._name, by="tester"))

    async def _insist(self, what: str, verb: Callable[[], Awaitable[AcceptedAnswer]]) -> AcceptedAnswer:
        """Ask until the answer is yes or no, as people do. Raises Refused."""
        while True:
            began = time.time()
            try:
                return await verb()
            except (Unavailable, Unknown) as error:
                self.story.asked_again.append(f"{what} after {time.time() - began:.1f} s: {error}")
            await asyncio.sleep(AGAIN_S)

    def _words(self) -> str:
        last = self.story.statuses[-1][1] if self.story.statuses else None
        return f"asked again: {self.story.asked_again}; the last status: {last!r}"


def _waits_for_confirm(status: Status) -> bool:
    return status.batch.state == "Waiting" and any(gate.gate == "confirm" for gate in status.gates)
