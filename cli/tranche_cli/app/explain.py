"""`tranche explain` and `history`: why it stands as it does, and how it came there."""

from __future__ import annotations

from tranche.contract.names import split
from tranche_cli.app.desk import Desk
from tranche_cli.app.options import NO_NAMESPACE, Form, Name, Namespace, Output, at_desk
from tranche_cli.exits import Exit
from tranche_cli.view.documents import plain
from tranche_cli.view.explanation import explanation
from tranche_cli.view.history import history as history_view


@at_desk
async def explain(desk: Desk, name: Name, namespace: Namespace = NO_NAMESPACE, output: Output = None) -> Exit:
    """Why something happens, or does not: every gate and budget clause, since when, and what opens it."""
    async with desk.client() as client:
        told = await client.explain(*split(name, namespace))
    if output and output.for_programs:
        desk.screen.document(plain(told), output)
    elif output is Form.NAME:
        # The names of what is shut: what a script asks for first.
        for gate in told.gates:
            if not gate.open:
                desk.screen.line(gate.gate)
    else:
        desk.screen.show(explanation(told, desk.now()))
    return Exit.DONE


@at_desk
async def history(desk: Desk, name: Name, namespace: Namespace = NO_NAMESPACE, output: Output = None) -> Exit:
    """The revisions that are kept, what became of them, and how to go back."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        revisions = await client.history(*deployment)
    if output and output.for_programs:
        desk.screen.document({"revisions": [plain(one) for one in revisions]}, output)
    elif output is Form.NAME:
        for one in revisions:
            desk.screen.line(str(one.revision))
    else:
        wide = output is Form.WIDE
        desk.screen.show(history_view("/".join(deployment), revisions, desk.now(), wide=wide))
    return Exit.DONE
