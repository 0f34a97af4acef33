"""A terminal that a test types into and looks at: tmux where there is one, else a small one of our own on a pty."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from typing import Protocol

PROMPT = "$ "
LOOK_S = 0.1


class Terminal(Protocol):
    """What a test sees, and how it types."""

    def text(self) -> str: ...

    def type(self, keys: str) -> None: ...


@asynccontextmanager
async def terminal(
    environment: Mapping[str, str], folder: Path, *, columns: int = 110, lines: int = 40, kind: str = ""
) -> AsyncIterator[Terminal]:
    """A shell in a terminal for the block. ``kind``: ``tmux`` or ``pty``; without, whichever there is."""
    kind = kind or ("tmux" if shutil.which("tmux") else "pty")
    ours = {**environment, "PS1": PROMPT, "ENV": "", "COLUMNS": str(columns), "LINES": str(lines)}
    ours.pop("NO_COLOR", None)
    made = (Tmux if kind == "tmux" else Pty)(ours, folder, columns, lines)
    try:
        await seen(made, lambda text: text.rstrip().endswith(PROMPT.strip()))
        yield made
    finally:
        made.close()


async def seen(looked_at: Terminal, condition: Callable[[str], bool], *, timeout_s: float = 40.0) -> str:
    """The first picture that meets the condition; a failure shows the last one."""
    text = ""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                text = looked_at.text()
                if condition(text):
                    return text
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise AssertionError(f"not seen within {timeout_s} s; the terminal shows:\n{text}") from None


class Tmux:
    """A session of tmux, with a server of its own."""

    def __init__(self, environment: Mapping[str, str], folder: Path, columns: int, lines: int) -> None:
        # A socket's path must be short, and a test's folder is not.
        self._folder = tempfile.mkdtemp(prefix="tmux-", dir="/tmp")
        self._environment = {**environment, "TMUX_TMPDIR": self._folder, "LC_ALL": "C.UTF-8"}
        self._environment.pop("TMUX", None)
        size = ("-x", str(columns), "-y", str(lines))
        self._run(
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            *size,
            "-c",
            str(folder),
            "env",
            f"PS1={PROMPT}",
            "/bin/sh",
            "-i",
        )

    def text(self) -> str:
        return self._run("capture-pane", "-p").rstrip()

    def type(self, keys: str) -> None:
        for part in re.split(r"([\r\x03])", keys):
            match part:
                case "":
                    continue
                case "\r":
                    self._run("send-keys", "Enter")
                case "\x03":
                    self._run("send-keys", "C-c")
                case _:
                    self._run("send-keys", "-l", part)

    def close(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self._run("kill-server")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, *argv: str) -> str:
        done = subprocess.run(
            ("tmux", "-u", *argv), env=self._environment, check=True, capture_output=True, timeout=20
        )
        return done.stdout.decode()


class Pty:
    """A shell on a pty, and a picture of what it wrote."""

    def __init__(self, environment: Mapping[str, str], folder: Path, columns: int, lines: int) -> None:
        self._picture = Picture(columns, lines)
        pid, self._file = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execve("/bin/sh", ["sh", "-i"], {**environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
        self._pid = pid
        ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.set_blocking(self._file, False)

    def text(self) -> str:
        with suppress(BlockingIOError, OSError):
            while data := os.read(self._file, 1 << 16):
                self._picture.feed(data)
        return self._picture.text()

    def type(self, keys: str) -> None:
        os.write(self._file, keys.encode())

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._file)


class Picture:
    """What a terminal shows: as much of one as rich and a shell ask for, without colours.

    >>> shown = Picture(10, 3)
    >>> shown.feed(b"one\\r\\ntwo\\x1b[1A\\r\\x1b[2Kthree")
    >>> shown.text()
    'three\\ntwo'
    """

    def __init__(self, columns: int, lines: int) -> None:
        self._columns, self._lines = columns, lines
        self._rows = [[" "] * columns for _ in range(lines)]
        self._row = self._column = 0
        self._rest = b""

    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self._rows).rstrip()

    def feed(self, data: bytes) -> None:
        """Take in what was written; a half character or order waits for its end."""
        data = self._rest + data
        text = data.decode(errors="ignore")
        self._rest = data[len(text.encode()) :] if data.startswith(text.encode()) else b""
        if half := re.search(r"\x1b(\[[0-9;?]*)?$", text):
            self._rest = half[0].encode() + self._rest
            text = text[: half.start()]
        for order, letters in re.findall(
            r"(\x1b\[[0-9;?]*[A-Za-z]|\x1b.|[\r\n\x08\x07])|([^\x1b\r\n\x08\x07]+)", text
        ):
            if order:
                self._obey(order)
            for letter in letters:
                self._put(letter)

    def _put(self, letter: str) -> None:
        if self._column == self._columns:
            self._column = 0
            self._down()
        self._rows[self._row][self._column] = letter
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == self._lines:
            self._rows = [*self._rows[1:], [" "] * self._columns]
            self._row -= 1

    def _obey(self, order: str) -> None:
        number = int(first) if (first := order[2:-1].split(";")[0]).isdigit() else 0
        match order[-1] if order[:2] == "\x1b[" else order:
            case "\n":
                self._down()
            case "\r":
                self._column = 0
            case "\x08":
                self._column = max(0, self._column - 1)
            case "A":
                self._row = max(0, self._row - max(1, number))
            case "B":
                self._row = min(self._lines - 1, self._row + max(1, number))
            case "H":
                self._row = self._column = 0
            case "J":
                self._rows[self._row :] = [[" "] * self._columns for _ in self._rows[self._row :]]
            case "K":
                start = 0 if number else self._column
                self._rows[self._row][start:] = [" "] * (self._columns - start)
