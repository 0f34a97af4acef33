"""`tranche up`: starts an installation, mends it, and takes all of it along when it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.installation import manifest
from tranche_fleet.fleet import Fleet

pytestmark = pytest.mark.nats

STARTED = "services   planner, scheduler and executor run"


class Up:
    """A running `tranche up`, what it said, and the processes below it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: list[str] = []

    @property
    def url(self) -> str:
        return next(text.split()[1] for text in self.said if text.startswith("NATS"))

    async def says(self, words: str, stream: asyncio.StreamReader | None = None) -> str:
        reader = stream or self.process.stdout
        assert reader
        async with asyncio.timeout(40):
            while True:
                text = (await reader.readline()).decode()
                assert text, f"it ended without saying {words!r}: {self.said}"
                self.said.append(text.rstrip())
                if words in text:
                    return text

    def children(self) -> dict[int, str]:
        """Pids and command lines of its children, from the kernel."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    async def tranche(self, *argv: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tranche_cli", *argv, "--nats-url", self.url),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()


@asynccontextmanager
async def up(*options: str) -> AsyncIterator[Up]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_cli", "up", "--port", "0", *options),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("TRANCHE_")},
    )
    try:
        yield Up(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(condition: Callable[[], bool], within_s: float) -> bool:
    for _ in range(int(within_s / 0.05)):
        if condition():
            return True
        await asyncio.sleep(0.05)
    return condition()


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_up_releases_on_the_bases_of_an_inventory_and_mends_itself(tmp_path: Path) -> None:
    file = tmp_path / "cart.json"
    file.write_text(json.dumps(manifest("cart", "1.0.0", replicas=2)))
    async with Fleet(inventory_path=tmp_path / "bases.yaml") as fleet:
        await fleet.add_pool("shop", "web-base", 2, max_modules=5)
        async with up("--data", str(tmp_path / "data"), "--inventory", str(tmp_path / "bases.yaml")) as here:
            await here.says(STARTED)
            code, shown = await here.tranche("apply", "-f", str(file), "--wait", "--timeout", "30")
            assert code == 0, shown
            code, shown = await here.tranche("get", "deployments", "-n", "shop")
            assert (code, "Healthy" in shown) == (0, True), shown

            victim = next(pid for pid, line in here.children().items() if "tranche_planner" in line)
            os.kill(victim, signal.SIGKILL)
            await here.says("planner ended by signal 9", here.process.stderr)
            assert await ended(lambda: any("tranche_planner" in one for one in here.children().values()), 10)

            pids = list(here.children())
            assert len(pids) == 4, "nats-server and three services"
            began = time.monotonic()
            here.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(here.process.wait(), 12) == 0
            assert time.monotonic() - began < 10
            assert gone(pids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_children_do_not_outlive_a_killed_up(tmp_path: Path) -> None:
    async with up("--data", str(tmp_path / "data")) as here:
        await here.says(STARTED)
        assert any(str(tmp_path / "data" / "inventory.yaml") in text for text in here.said)
        pids = list(here.children())
        here.process.kill()
        await here.process.wait()

        assert await ended(lambda: gone(pids), 15)


async def test_what_cannot_be_is_said_at_once(tmp_path: Path) -> None:
    async with up("--data", str(tmp_path), "--inventory", str(tmp_path / "absent.yaml")) as here:
        _, err = await here.process.communicate()

        assert here.process.returncode == 1
        assert b"there is no such file" in err
