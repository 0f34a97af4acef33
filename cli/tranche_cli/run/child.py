"""A process that we start, watch, start again when it dies, and never leave behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tranche.bus import leash
from tranche.errors import Refused, Unavailable
from tranche.runtime import Clock, Runtime, wait_until
from tranche_cli.exits import Exit

STOP_S = 7.5
"""Services hand back what they hold within 7 s; then they are ended by force."""
LINE_BYTES = 1 << 20
STEADY_S = 60.0
"""A process that ran so long is started again at once when it dies."""
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)

Say = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One process of ours. Its words go to ``log``, or line by line to ``echo``."""

    name: str
    argv: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    echo: Say | None = None
    alone: bool = False
    """Without the settings of whoever started us: only those given here."""
    process: Process | None = None
    heard: int = 0
    """Bytes of the log that earlier starts had written."""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start it in a session of its own: Ctrl-C is for us, who then stop all in order."""
        self.heard = self.log.stat().st_size if self.log.exists() else 0
        program = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), sys.executable, *self.argv]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *program,
                stdin=DEVNULL,
                stdout=PIPE if self.echo else log,
                stderr=STDOUT,
                env={**self._inherited(), **self.environment},
                start_new_session=True,
                limit=LINE_BYTES,
            )

    def _inherited(self) -> dict[str, str]:
        return {
            name: value
            for name, value in os.environ.items()
            if not (self.alone and name.startswith("TRANCHE_"))
        }

    async def ended(self) -> str:
        """Wait for its end; how it ended."""
        if self.process is None:
            return "was never started"
        if self.echo and self.process.stdout:
            await _passed_on(self.process.stdout, self.name, self.echo)
        code = await self.process.wait()
        return f"ended by signal {-code}" if code < 0 else f"ended with code {code}"

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    async def stopped(self, clock: Clock, *, within_s: float) -> None:
        """Wait for its end; by force after so many seconds, or when we are in a hurry ourselves."""
        if self.process is None:
            return
        try:
            async with clock.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            pass
        finally:
            self._signal(signal.SIGKILL)
        await self.process.wait()

    def words(self) -> str:
        """What it wrote since its last start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self.heard)
            return log.read().decode(errors="replace")

    async def says(self, sign: str, clock: Clock, *, timeout_s: float) -> str:
        """The first line of its log that holds ``sign``.

        Raises Refused when it ends before, Unavailable when it takes longer or cannot reach NATS.
        """

        async def found() -> str | None:
            text = self.words()
            hit = next((line for line in text.splitlines() if sign in line), None)
            if hit is None and not self.running:
                words = f"{self.name} ended at its start: {last_line(text)}"
                # Services have the same exit codes as this command (design 3.4).
                unreachable = self.process is not None and self.process.returncode == Exit.UNREACHABLE
                raise Unavailable(words) if unreachable else Refused(words)
            return hit

        try:
            return await wait_until(found, clock, timeout_s=timeout_s, every_s=0.03)
        except TimeoutError:
            raise Unavailable(f"{self.name} did not start within {timeout_s:g} s (log: {self.log})") from None

    def _signal(self, which: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self.process is not None and self.process.returncode is None:
                self.process.send_signal(which)


@asynccontextmanager
async def running(children: Sequence[Child], runtime: Runtime, *, say: Say) -> AsyncIterator[None]:
    """All of them for the block; one that dies is started again, with a word about it."""
    try:
        for child in children:
            await child.start()
        async with runtime.tasks.group() as group:
            keepers = [
                group.spawn(keep(one, runtime.clock, say), name=f"keep {one.name}") for one in children
            ]
            try:
                yield
            finally:
                for keeper in keepers:
                    keeper.cancel()
    finally:
        await stop(children, runtime.clock)


async def stop(children: Sequence[Child], clock: Clock) -> None:
    """End all of them at the same time."""
    for child in children:
        child.ask_to_stop()
    end = clock.monotonic() + STOP_S
    try:
        for child in children:
            await child.stopped(clock, within_s=max(0.0, end - clock.monotonic()))
    finally:
        for child in children:
            child._signal(signal.SIGKILL)


async def keep(child: Child, clock: Clock, say: Say) -> None:
    """Start it again whenever it ends, ever more slowly while it does not stay up."""
    falls = 0
    while True:
        began = clock.monotonic()
        how = await child.ended()
        falls = 0 if clock.monotonic() - began > STEADY_S else falls
        pause_s = BACKOFF_S[min(falls, len(BACKOFF_S) - 1)]
        falls += 1
        told = last_line("" if child.echo else child.words())
        say(f"{child.name} {how}{f' ({told})' if told else ''}; starting it again in {pause_s:g} s")
        await clock.sleep(pause_s)
        await child.start()


def last_line(text: str) -> str:
    """The last words of a log, short.

    >>> last_line("one\\ntwo\\n")
    'two'
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""


async def _passed_on(stream: asyncio.StreamReader, name: str, say: Say) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            # Longer than anybody reads; the reader has dropped it.
            continue
        if not line:
            return
        say(f"{name:<9} | {line.decode(errors='replace').rstrip()}")
