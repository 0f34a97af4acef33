"""`tranche status`: one screen, or the same kept up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from tranche.client import parse_until
from tranche.client.until import Until
from tranche.contract.names import split
from tranche.errors import Refused
from tranche_cli.app.desk import Desk
from tranche_cli.app.following import finished, follow, until_verdict
from tranche_cli.app.options import NO_NAMESPACE, Form, Name, Namespace, Output, Timeout, at_desk
from tranche_cli.exits import Exit
from tranche_cli.view.documents import plain
from tranche_cli.view.screen import screen

Watch = Annotated[bool, typer.Option("--watch", "-w", help="keep it up to date until Ctrl-C")]
UntilText = Annotated[
    str, typer.Option("--until", metavar="WHAT", help="complete, waiting or batch=K: wait for it")
]


@at_desk
async def status(
    desk: Desk,
    name: Name,
    watch: Watch = False,
    until: UntilText = "",
    timeout: Timeout = None,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Which phase, why, which versions where, what next. With --until the exit code tells the outcome."""
    goal = _until(until)
    deployment = split(name, namespace)
    async with desk.client() as client:
        now = await client.get(*deployment)
        if goal or watch:
            followed = await follow(
                desk,
                client,
                deployment,
                until_verdict(goal, now.generation),
                timeout_s=timeout,
                watch=watch,
                form=output,
                what=until or "at its end",
                known=now,
            )
            return followed.code if watch else finished(desk, followed, output)
        if output is Form.NAME:
            desk.screen.line(f"{now.namespace}/{now.name}")
        elif output and output.for_programs:
            desk.screen.document(plain(now), output)
        else:
            records = await client.pods(*deployment) if output is Form.WIDE else None
            size = desk.screen.out.size
            # Only a live screen must fit the terminal: what scrolls may be long.
            desk.screen.show(screen(now, desk.now(), width=size.width, height=200, records=records))
    return Exit.DONE


def _until(text: str) -> Until | None:
    try:
        return parse_until(text) if text else None
    except ValueError as error:
        raise Refused(f"--until: {error}") from None
