"""`tranche events`: what happened, a status per line."""

from __future__ import annotations

from typing import Annotated

import typer

from tranche.contract.names import split
from tranche.contract.status import Status
from tranche_cli.app.desk import Desk
from tranche_cli.app.get import AllNamespaces, MaybeName
from tranche_cli.app.options import NO_NAMESPACE, Form, Namespace, Output, at_desk
from tranche_cli.exits import Exit
from tranche_cli.view.documents import plain
from tranche_cli.view.line import line

Follow = Annotated[bool, typer.Option("--follow", "-f", help="go on with new ones until Ctrl-C")]


@at_desk
async def events(
    desk: Desk,
    name: MaybeName = None,
    follow: Follow = False,
    all_namespaces: AllNamespaces = False,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Every status that is kept, oldest first, of one deployment or of all in the namespace."""
    where: tuple[str | None, str | None] = (None if all_namespaces else namespace, None)
    if name is not None:
        where = split(name, namespace)
    kept: list[Status] = []
    last: dict[tuple[str, str], Status] = {}
    async with desk.client() as client:
        async for status in client.events(*where, follow=follow):
            if output and output.for_programs:
                if follow:
                    desk.screen.document(plain(status), output, one_line=True)
                else:
                    kept.append(status)
                continue
            key = (status.namespace, status.name)
            if output is Form.NAME:
                if key not in last:
                    desk.screen.line("/".join(key))
            else:
                desk.screen.line(line(status, before=last.get(key)))
            last[key] = status
    if output and output.for_programs:
        desk.screen.document({"items": [plain(status) for status in kept]}, output)
    elif not last:
        desk.screen.error(f"nothing is kept of {name or where[0] or 'any namespace'}")
    return Exit.DONE
