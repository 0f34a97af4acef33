"""`tranche confirm`, `promote`, `pause`, `resume`, `abort`, `delete`: what people tell a rollout."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from tranche.contract.names import split
from tranche.contract.status import Status
from tranche.errors import Refused
from tranche_cli.app.desk import Desk, person
from tranche_cli.app.options import (
    NO_NAMESPACE,
    Name,
    Namespace,
    Output,
    Reason,
    Timeout,
    Wait,
    at_desk,
)
from tranche_cli.app.telling import reached, then, told, watching
from tranche_cli.exits import Exit

Batch = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--batch", min=1, help="the batch; without: the one that waits now", show_default=False),
]


@at_desk
async def confirm(
    desk: Desk,
    name: Name,
    batch: Batch = None,
    message: Reason = "",
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Let a rollout go on behind the batch that waits."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        seen = await client.get(*deployment)
        answer = await client.confirm(
            *deployment,
            generation=seen.generation,
            batch=batch or _waiting(seen),
            by=person(),
            reason=message or None,
        )
    return told(desk, deployment, answer, output, next_=watching(deployment))


@at_desk
async def promote(
    desk: Desk,
    name: Name,
    full: Annotated[
        bool, typer.Option("--full", help="all gates that are left in this rollout, a pause too")
    ] = False,
    message: Reason = "",
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Open the gates of the batch that waits, gray time and confirm; never the budget, nor a freeze."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.promote(*deployment, full=full, by=person(), reason=message or None)
    return told(desk, deployment, answer, output, next_=watching(deployment))


@at_desk
async def pause(
    desk: Desk,
    name: Name,
    message: Reason = "",
    wait: Wait = False,
    timeout: Timeout = None,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Stop new disruptions at once; what is under way finishes. --wait: until nothing moves."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.pause(*deployment, by=person(), reason=message or None)
        return await then(
            desk,
            client,
            deployment,
            answer,
            reached(lambda status: status.phase == "Paused" and status.moving == 0),
            wait=wait,
            timeout_s=timeout,
            output=output,
            what="paused and still",
            next_=f"tranche resume {'/'.join(deployment)}",
        )


@at_desk
async def resume(
    desk: Desk,
    name: Name,
    message: Reason = "",
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Go on after a pause."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.resume(*deployment, by=person(), reason=message or None)
    return told(desk, deployment, answer, output, next_=watching(deployment))


@at_desk
async def abort(
    desk: Desk,
    name: Name,
    message: Reason = "",
    wait: Wait = False,
    timeout: Timeout = None,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Go back to what was stable before this rollout. --wait: until it is there."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.abort(*deployment, by=person(), reason=message or None)
        return await then(
            desk,
            client,
            deployment,
            answer,
            reached(lambda status: status.phase == "Aborted"),
            wait=wait,
            timeout_s=timeout,
            output=output,
            what="back at stable",
        )


@at_desk
async def delete(
    desk: Desk,
    name: Name,
    message: Reason = "",
    wait: Wait = False,
    timeout: Timeout = None,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="leave behind what is on pods that do not answer")
    ] = False,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Uninstall all replicas and forget the deployment. --wait: until all are gone."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.delete(*deployment, abandon=abandon, by=person(), reason=message or None)
        return await then(
            desk,
            client,
            deployment,
            answer,
            reached(lambda status: status.phase == "Deleted"),
            wait=wait,
            timeout_s=timeout,
            output=output,
            what="deleted",
        )


def _waiting(status: Status) -> int:
    """The batch that waits in this status. Raises Refused when none does: nobody confirms what they never saw."""
    if status.batch.state == "Waiting" and status.batch.current:
        return status.batch.current
    where = f"batch {status.batch.current} of {status.batch.count}, " if status.batch.count else ""
    raise Refused(
        f"no batch of {status.namespace}/{status.name} waits for a person: {where}{status.phase}"
        f"{f': {status.message}' if status.message else ''}"
    )
