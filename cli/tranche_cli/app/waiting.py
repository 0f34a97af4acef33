"""`tranche waiting`: everything that waits for a person, in one place."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from tranche.client.until import needs_person
from tranche.contract.status import Status
from tranche_cli.app.desk import Desk
from tranche_cli.app.get import checked_namespace
from tranche_cli.app.options import Form, Output, at_desk
from tranche_cli.exits import Exit
from tranche_cli.view.advice import advice
from tranche_cli.view.documents import plain
from tranche_cli.view.waiting import waiting as waiting_view

OneNamespace = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--namespace", "-n", help="only this one; without: all", show_default=False),
]


@at_desk
async def waiting(desk: Desk, namespace: OneNamespace = None, output: Output = None) -> Exit:
    """Everything that waits for a person's confirm or resume, with the command that lets it go on."""
    async with desk.client() as client:
        every = await client.list(checked_namespace(namespace))
    statuses = [status for status in every if needs_person(status)]
    if output and output.for_programs:
        desk.screen.document({"items": [plain(status) for status in statuses]}, output)
    elif output is Form.NAME:
        for status in statuses:
            desk.screen.line(f"{status.namespace}/{status.name}")
    elif statuses:
        desk.screen.show(waiting_view(statuses, desk.now(), width=desk.screen.out.width))
    else:
        desk.screen.error(f"nothing waits for a person{f' in namespace {namespace}' if namespace else ''}")
    if not (output and output.for_programs):
        _held(desk, every)
    return Exit.DONE


def _held(desk: Desk, statuses: tuple[Status, ...]) -> None:
    """What failed does not wait for a confirm, and goes on as little."""
    for status in statuses:
        if status.phase == "Degraded":
            name = f"{status.namespace}/{status.name}"
            desk.screen.error(f"{name} is held by failures: {status.message}; next: {advice(status).command}")
