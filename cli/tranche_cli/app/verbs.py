"""`tranche confirm`, `pause`, `resume`, `abort`, `delete`: what people tell a rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Optional

import typer

import tranche
from tranche.client import Verdict
from tranche.contract.answer import AcceptedAnswer
from tranche.contract.names import split
from tranche.contract.status import Phase, Status
from tranche.errors import Refused
from tranche_cli.app.desk import Desk, person
from tranche_cli.app.following import finished, follow
from tranche_cli.app.options import (
    NO_NAMESPACE,
    Form,
    Name,
    Namespace,
    Output,
    Reason,
    Timeout,
    Wait,
    at_desk,
)
from tranche_cli.exits import Exit
from tranche_cli.view.documents import plain
from tranche_cli.view.words import safe

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
    return _told(desk, deployment, answer, output)


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
        still = lambda status: status.phase == "Paused" and status.moving == 0  # noqa: E731
        return await _then(desk, client, deployment, answer, still, wait, timeout, output, "paused and still")


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
    return _told(desk, deployment, answer, output)


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
        return await _then(
            desk, client, deployment, answer, _in("Aborted"), wait, timeout, output, "back at stable"
        )


@at_desk
async def delete(
    desk: Desk,
    name: Name,
    message: Reason = "",
    wait: Wait = False,
    timeout: Timeout = None,
    abandon: Annotated[bool, typer.Option("--abandon", hidden=True)] = False,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Uninstall all replicas and forget the deployment. --wait: until all are gone."""
    if abandon:
        raise Refused("delete --abandon comes with a later release")
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.delete(*deployment, by=person(), reason=message or None)
        return await _then(desk, client, deployment, answer, _in("Deleted"), wait, timeout, output, "deleted")


def _waiting(status: Status) -> int:
    """The batch that waits in this status. Raises Refused when none does: nobody confirms what they never saw."""
    if status.batch.state == "Waiting" and status.batch.current:
        return status.batch.current
    where = f"batch {status.batch.current} of {status.batch.count}, " if status.batch.count else ""
    raise Refused(
        f"no batch of {status.namespace}/{status.name} waits for a person: {where}{status.phase}"
        f"{f': {status.message}' if status.message else ''}"
    )


def _in(phase: Phase) -> Callable[[Status], bool]:
    return lambda status: status.phase == phase


async def _then(
    desk: Desk,
    client: tranche.Client,
    deployment: tuple[str, str],
    answer: AcceptedAnswer,
    done: Callable[[Status], bool],
    wait: bool,
    timeout_s: float | None,
    output: Form | None,
    what: str,
) -> Exit:
    """Tell the answer, then wait where asked; with -o json there is one document, the last."""
    if not wait:
        return _told(desk, deployment, answer, output)
    if not (output and output.for_programs):
        _told(desk, deployment, answer, None)
    form = output if output and output.for_programs else None
    followed = await follow(
        desk,
        client,
        deployment,
        lambda status: Verdict.REACHED if done(status) else None,
        timeout_s=timeout_s,
        watch=False,
        form=form,
        what=what,
    )
    return finished(desk, followed, form)


def _told(desk: Desk, deployment: tuple[str, str], answer: AcceptedAnswer, output: Form | None) -> Exit:
    name = "/".join(deployment)
    for warning in answer.warnings:
        desk.screen.error(f"{name}: warning: {warning}")
    if output and output.for_programs:
        desk.screen.document(plain(answer), output)
    elif output is Form.NAME:
        desk.screen.line(name)
    else:
        desk.screen.line(safe(f"{name}: {answer.message or 'accepted'}"))
    return Exit.DONE
