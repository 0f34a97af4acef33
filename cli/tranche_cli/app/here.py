"""`tranche setup`, `up`, `demo` and `version`: what concerns this installation and this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

import tranche
from tranche.bus.nats import connect
from tranche.streams import STREAMS
from tranche_cli.app.desk import Desk
from tranche_cli.app.options import Output, at_desk
from tranche_cli.exits import Exit

Inventory = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--inventory", metavar="FILE", help="your bases, as YAML; read again when it changes"),
]
Server = Annotated[
    str, typer.Option("--nats", metavar="URL", help="use this server instead of an embedded one")
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="store, logs and inventory")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="of the embedded server; 0: a free one")]
Logs = Annotated[bool, typer.Option("--show-logs", help="logs of the services here instead of in files")]


@at_desk
async def setup(
    desk: Desk,
    check: Annotated[bool, typer.Option("--check", help="create nothing, only say what is missing")] = False,
) -> Exit:
    """Create or check streams, buckets and consumers (needs the admin user where accounts are restricted)."""
    settings = desk.settings
    create = not check and settings.setup == "auto"
    async with connect(
        settings.servers, name="tranche-setup", runtime=desk.runtime, **settings.credentials()
    ) as bus:
        await bus.ensure(STREAMS, replicas=settings.replicas, create=create)
    desk.screen.line(f"{len(STREAMS)} streams and buckets are as they should be")
    return Exit.DONE


@at_desk
async def up(
    desk: Desk,
    inventory: Inventory = None,
    nats: Server = "",
    data: Data = Path(".tranche"),
    port: Port = 4222,
    show_logs: Logs = False,
) -> Exit:
    """One machine: an embedded nats-server and the three services, until Ctrl-C."""
    from tranche_cli.run.up import Wish, run_up

    return await run_up(desk, Wish(inventory, nats, data, port, show_logs))


@at_desk
async def demo(desk: Desk) -> Exit:
    """A rollout on 20 simulated bases, from start to end in under a minute; exit 0 if all went as it should."""
    # The simulated bases are needed by nothing else.
    from tranche_cli.run.demo import run_demo

    return await run_demo(desk)


@at_desk
async def version(desk: Desk, output: Output = None) -> Exit:
    """The version of this command."""
    if output and output.for_programs:
        desk.screen.document({"version": tranche.__version__}, output)
    else:
        desk.screen.line(f"tranche {tranche.__version__}")
    return Exit.DONE
