"""`tranche demo`: a whole installation in a temporary folder, and a rollout from start to end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import tranche
from tranche.bus.server import embedded_server
from tranche.errors import Refused
from tranche_cli.app.desk import Desk
from tranche_cli.exits import Exit
from tranche_cli.run.bases import simulated_bases
from tranche_cli.run.child import running
from tranche_cli.run.interrupt import until_interrupted
from tranche_cli.run.script import INSTALL_S, POOLS, URLS, Script
from tranche_cli.run.services import STARTED, services
from tranche_cli.run.stage import Stage
from tranche_cli.run.verdict import Finding
from tranche_fleet.client import FleetControl

START_S = 30.0
LIMIT_S = 120.0
"""On a machine so slow that this is not enough, something else is wrong."""


async def run_demo(desk: Desk) -> Exit:
    """Exit 0 only if every base is as it should be at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tranche-demo-"))
    try:
        outcome = await until_interrupted(_demo(desk, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Exit.INTERRUPTED if outcome is None else outcome


async def _demo(desk: Desk, folder: Path) -> Exit:
    began = desk.runtime.clock.monotonic()
    try:
        async with desk.runtime.clock.timeout(LIMIT_S), _installation(desk, folder) as (fleet, client):
            stage = Stage(desk, "cart")
            stage.say(
                "A nats-server, 20 simulated bases over HTTP and the three services run "
                f"({desk.runtime.clock.monotonic() - began:.1f} s)."
            )
            findings = await _played(desk, stage, client, fleet)
    except TimeoutError:
        desk.screen.error(f"the demo did not end within {LIMIT_S:g} s")
        return Exit.TIMEOUT
    return _concluded(desk, findings, desk.runtime.clock.monotonic() - began)


async def _played(
    desk: Desk, stage: Stage, client: tranche.Client, fleet: FleetControl
) -> list[Finding] | str:
    """The findings, or why the play broke off. A refusal is an answer here: it is told with the verdict."""
    async with desk.runtime.tasks.group() as group:
        following = group.spawn(stage.follow(client), name="follow the demo")
        try:
            return await Script(desk.runtime.clock, stage, client, fleet).play()
        except Refused as error:
            return str(error)
        finally:
            following.cancel()


@asynccontextmanager
async def _installation(desk: Desk, folder: Path) -> AsyncIterator[tuple[FleetControl, tranche.Client]]:
    clock = desk.runtime.clock
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(embedded_server(folder / "nats", clock=clock))
        fleet, inventory = await stack.enter_async_context(
            simulated_bases(folder, POOLS, install_s=INSTALL_S, runtime=desk.runtime)
        )
        children = services(
            nats.url,
            folder / "logs",
            pods=f"static:{inventory}",
            environment={"TRANCHE_URL_ALLOW": URLS, "TMPDIR": str(folder)},
            alone=True,
        )
        await stack.enter_async_context(running(children, desk.runtime, say=desk.screen.error))
        for child in children:
            await child.says(STARTED, clock, timeout_s=START_S)
        client = await stack.enter_async_context(
            tranche.connect(nats.url, name="tranche-demo", runtime=desk.runtime)
        )
        yield fleet, client


def _concluded(desk: Desk, findings: list[Finding] | str, took_s: float) -> Exit:
    say = desk.screen.line
    if isinstance(findings, str):
        desk.screen.error(f"the demo broke off: {findings}")
        return Exit.FAILED
    say("")
    say("What the bases themselves noted:")
    for finding in findings:
        say(f"  {'✔' if finding.kept else '✖'} {finding.words}")
    if all(finding.kept for finding in findings):
        say(f"All went as it should, in {took_s:.0f} s.")
        return Exit.DONE
    desk.screen.error("it did not go as it should")
    return Exit.FAILED
