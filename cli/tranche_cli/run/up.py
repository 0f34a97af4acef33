"""`tranche up`: an installation on one machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tranche.bus.server import embedded_server
from tranche.errors import Refused, Unavailable
from tranche.settings import DEFAULT_NATS_URL
from tranche_cli.app.desk import Desk
from tranche_cli.exits import Exit
from tranche_cli.run.child import Child, running
from tranche_cli.run.interrupt import until_interrupted
from tranche_cli.run.services import STARTED, services

START_S = 30.0

EMPTY_INVENTORY = """\
# The bases Tranche installs modules on; read again whenever it changes. An example:
#
# pools:
#   - namespace: shop
#     base: web-base
#     labels: {koupleless.io/max-module-count: "5"}   # how many modules a pod may hold
#     pods:
#       - {name: web-base-1, address: 127.0.0.1:1238}   # where arklet listens
pools: []
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    inventory: Path | None
    nats: str
    data: Path
    port: int
    show_logs: bool


async def run_up(desk: Desk, wish: Wish) -> Exit:
    """Until a signal: that is its normal end."""
    await until_interrupted(_up(desk, wish))
    return Exit.DONE


async def _up(desk: Desk, wish: Wish) -> None:
    say = desk.screen.line
    _make(wish.data)
    pods = _pods(wish, desk)
    async with _server(desk, wish) as url:
        echo = say if wish.show_logs else None
        form = {} if desk.screen.live else {"TRANCHE_LOG": "json"}
        children = services(url, wish.data / "logs", pods=pods, environment=form, echo=echo)
        say(f"NATS       {url}")
        async with running(children, desk.runtime, say=desk.screen.error):
            if not wish.show_logs:
                await _wait_started(desk, children)
                say(f"services   planner, scheduler and executor run; logs in {wish.data / 'logs'}")
            _say_next(desk, url)
            await asyncio.Event().wait()


async def _wait_started(desk: Desk, children: Sequence[Child]) -> None:
    for child in children:
        await child.says(STARTED, desk.runtime.clock, timeout_s=START_S)


@asynccontextmanager
async def _server(desk: Desk, wish: Wish) -> AsyncIterator[str]:
    if wish.nats:
        yield wish.nats
        return
    try:
        async with embedded_server(wish.data / "nats", port=wish.port, clock=desk.runtime.clock) as server:
            yield server.url
    except Unavailable as error:
        if "address already in use" in str(error):
            raise Refused(
                f"port {wish.port} is taken: is another NATS running? Use it with --nats "
                f"nats://127.0.0.1:{wish.port}, or take a free port with --port 0"
            ) from error
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"--data {folder}: cannot be made: {error.strerror}") from error


def _pods(wish: Wish, desk: Desk) -> str | None:
    """Where bases come from: the file given, the environment, or an empty inventory to fill in."""
    if wish.inventory is not None:
        if not wish.inventory.is_file():
            raise Refused(f"--inventory {wish.inventory}: there is no such file")
        desk.screen.line(f"bases      {wish.inventory}, read again when it changes")
        return f"static:{wish.inventory.absolute()}"
    if os.environ.get("TRANCHE_PODS"):
        desk.screen.line(f"bases      {os.environ['TRANCHE_PODS']} (TRANCHE_PODS)")
        return None
    ours = wish.data / "inventory.yaml"
    if not ours.exists():
        ours.write_text(EMPTY_INVENTORY, encoding="utf-8")
    desk.screen.line(f"bases      {ours}: write your bases there; it is read again when it changes")
    return f"static:{ours.absolute()}"


def _say_next(desk: Desk, url: str) -> None:
    flag = "" if url == DEFAULT_NATS_URL else f" --nats-url {url}"
    for text in (
        "",
        "In another terminal:",
        f"  tranche apply -f examples/cart.yaml{flag}",
        f"  tranche get deployments -A{flag}",
        f"  tranche status shop/cart -w{flag}",
        "",
        "Ctrl-C stops everything; what was decided stays in the data folder.",
    ):
        desk.screen.line(text)
