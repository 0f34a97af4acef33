"""`tranche retry`, `restart`, `undo`, `scale`, `replace`: what starts something new without a manifest."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from tranche.contract.names import split
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
from tranche_cli.app.telling import complete, then, told, watching
from tranche_cli.exits import Exit

Revision = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--to-revision", min=1, help="without: the last stable one before the current", show_default=False
    ),
]


@at_desk
async def retry(
    desk: Desk,
    name: Name,
    message: Reason = "",
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Try failed replicas again at once; an aborted wish from its start."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.retry(*deployment, by=person(), reason=message or None)
    return told(desk, deployment, answer, output, next_=watching(deployment))


@at_desk
async def restart(
    desk: Desk,
    name: Name,
    message: Reason = "",
    wait: Wait = False,
    timeout: Timeout = None,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Install the same content again on every replica, as a rollout. --wait: until it is complete."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.restart(*deployment, by=person(), reason=message or None)
        return await then(
            desk,
            client,
            deployment,
            answer,
            complete(answer),
            wait=wait,
            timeout_s=timeout,
            output=output,
            what="complete",
        )


@at_desk
async def undo(
    desk: Desk,
    name: Name,
    to_revision: Revision = None,
    fast: Annotated[bool, typer.Option("--fast", help="without gray times and confirms")] = False,
    message: Reason = "",
    wait: Wait = False,
    timeout: Timeout = None,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Roll an older revision out again. --wait: until it is complete."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.undo(
            *deployment, revision=to_revision, fast=fast, by=person(), reason=message or None
        )
        return await then(
            desk,
            client,
            deployment,
            answer,
            complete(answer),
            wait=wait,
            timeout_s=timeout,
            output=output,
            what="complete",
        )


@at_desk
async def scale(
    desk: Desk,
    name: Name,
    replicas: Annotated[int, typer.Option("--replicas", help="how many", show_default=False)],
    wait: Wait = False,
    timeout: Timeout = None,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Change the number of replicas alone. --wait: until the rollout is complete."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.scale(*deployment, replicas)
        return await then(
            desk,
            client,
            deployment,
            answer,
            complete(answer),
            wait=wait,
            timeout_s=timeout,
            output=output,
            what="complete",
        )


@at_desk
async def replace(
    desk: Desk,
    name: Name,
    pod: Annotated[str, typer.Option("--pod", metavar="POD", help="where it is now", show_default=False)],
    message: Reason = "",
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Take the replica off a pod and place it anew by policy, within the budget."""
    deployment = split(name, namespace)
    async with desk.client() as client:
        answer = await client.replace(*deployment, pod, by=person(), reason=message or None)
    return told(desk, deployment, answer, output, next_=f"tranche get pods {'/'.join(deployment)}")
