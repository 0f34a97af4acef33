"""`tranche demo`: ends by itself, says what happened, judges by the bases, leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.nats


async def demo(folder: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_cli", "demo"),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "TMPDIR": str(folder)},
    )


async def test_the_demo_goes_as_it_should_and_leaves_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    process = await demo(tmp_path)
    async with asyncio.timeout(110):
        out, err = (part.decode() for part in await process.communicate())

    assert process.returncode == 0, out + err
    assert time.monotonic() - began < 60
    assert "a person would now type:  tranche confirm shop/cart --batch 1" in out
    assert "a person would now type:  tranche confirm shop/cart --batch 2" in out
    for words in (
        "✔ 12 of 12 web-bases serve cart 2.0.0",
        "✔ 8 of 8 edge-bases serve edge-cart 2.0.0",
        "✔ no base ever had to do two things at once",
        "✔ web-base-11 was refused the jar, and got it at a later try",
        "All went as it should",
    ):
        assert words in out
    assert "\x1b" not in out, "no terminal, plain lines"
    assert left_in(tmp_path) == []


async def test_an_interrupted_demo_leaves_nothing(tmp_path: Path) -> None:
    process = await demo(tmp_path)
    assert process.stdout
    async with asyncio.timeout(30):
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        await process.communicate()

    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert left_in(tmp_path) == []
    assert processes_about(tmp_path) == []


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def processes_about(folder: Path) -> list[bytes]:
    """Command lines that name the folder; none where there is no /proc."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes())
    return [line for line in lines if str(folder).encode() in line]
