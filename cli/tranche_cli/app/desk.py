"""What every command has before it: settings, a screen, the clock, and a client when it asks for one."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType

import tranche
from tranche.runtime import Runtime
from tranche.settings import Settings
from tranche_cli.view.documents import written
from tranche_cli.view.words import safe

WIDTH_OF_PIPES = 160
"""Columns for tables that no terminal bounds."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a command writes: results to ``out``, everything else to stderr."""

    out: Console
    err: Console

    @property
    def live(self) -> bool:
        """Whether what was written can be written over."""
        return self.out.is_terminal and not self.out.is_dumb_terminal and sys.stdout.isatty()

    def show(self, what: RenderableType, *, width: int | None = None) -> None:
        """A table or screen; lines end where their text does. ``width``: also beyond that of the terminal."""
        out = self.out
        if width is not None:
            out = Console(file=out.file, no_color=out.no_color, highlight=False, width=width)
        elif self.live:
            out.print(what)
            return
        with out.capture() as captured:
            out.print(what)
        for text in captured.get().splitlines():
            self.out.file.write(f"{text.rstrip()}\n")
        self.out.file.flush()

    def line(self, text: str) -> None:
        """One line for people or pipes, at once and unwrapped."""
        self.out.print(text, markup=False, highlight=False, soft_wrap=True)
        self.out.file.flush()

    def document(self, document: Any, form: str, *, one_line: bool = False) -> None:
        """One JSON or YAML document."""
        text = written(document, "yaml" if form == "yaml" else "json", one_line=one_line)
        self.out.file.write(f"{'---' + chr(10) if form == 'yaml' and one_line else ''}{text}\n")
        self.out.file.flush()

    def error(self, text: str) -> None:
        """A sentence on stderr."""
        for one in text.splitlines() or [""]:
            self.err.print(safe(one), markup=False, highlight=False, soft_wrap=True)


def screen(*, no_color: bool) -> Screen:
    """The screen of this process. NO_COLOR is honoured by rich itself."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows a ? for a mark, and never ends the command.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_OF_PIPES
    colour = True if no_color else None
    return Screen(
        Console(file=sys.stdout, no_color=colour, highlight=False, width=width),
        Console(file=sys.stderr, no_color=colour, highlight=False),
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    settings: Settings
    screen: Screen
    runtime: Runtime

    def now(self) -> datetime:
        return self.runtime.clock.now()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tranche.Client]:
        """A client for the block. Raises what ``tranche.connect`` raises."""
        async with tranche.connect(
            self.settings.servers,
            name=f"tranche/{socket.gethostname()}",
            runtime=self.runtime,
            **self.settings.credentials(),
        ) as client:
            yield client


def person() -> str:
    """Who asks, as ``user@host``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # A container's user often has no name.
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
