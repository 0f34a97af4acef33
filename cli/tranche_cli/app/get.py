"""`tranche get`: tables of deployments, pods and batches."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from tranche.contract.names import NameKind, is_name, rule, split
from tranche.errors import Refused
from tranche_cli.app.desk import Desk
from tranche_cli.app.options import NO_NAMESPACE, Form, Namespace, Output, at_desk
from tranche_cli.exits import Exit
from tranche_cli.view.batches import batch_table
from tranche_cli.view.documents import plain
from tranche_cli.view.tables import deployments, not_gone, pods

KINDS = {
    "deployments": "deployments",
    "deployment": "deployments",
    "pods": "pods",
    "pod": "pods",
    "batches": "batches",
    "batch": "batches",
}
Kind = Annotated[str, typer.Argument(metavar="[deployments|pods|batches]", help="what", show_default=False)]
MaybeName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(metavar="[NAME]", help="namespace/name, or name with -n", show_default=False),
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="deployments of all namespaces")]


@at_desk
async def get(
    desk: Desk,
    kind: Kind = "deployments",
    name: MaybeName = None,
    all_namespaces: AllNamespaces = False,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Tables of deployments, or of the pods or batches of one."""
    wanted = KINDS.get(kind)
    if wanted is None:
        raise Refused(
            f"got {kind!r}; expected deployments, pods or batches, as in tranche get pods shop/cart"
        )
    if wanted == "deployments" and name is None:
        return await _list(desk, None if all_namespaces else namespace, output)
    if name is None:
        raise Refused(f"get {wanted} needs the name of a deployment: tranche get {wanted} namespace/name")
    deployment = split(name, namespace)
    match wanted:
        case "pods":
            return await _pods(desk, deployment, output)
        case "batches":
            return await _batches(desk, deployment, output)
        case _:
            return await _one(desk, deployment, output)


async def _list(desk: Desk, namespace: str | None, output: Form | None) -> Exit:
    if namespace is not None and not is_name(NameKind.NAMESPACE, namespace):
        raise Refused(f"{namespace!a} is no namespace: {rule(NameKind.NAMESPACE)}")
    async with desk.client() as client:
        statuses = await client.list(namespace)
    if output and output.for_programs:
        desk.screen.document({"items": [plain(status) for status in statuses]}, output)
    elif output is Form.NAME:
        for status in statuses:
            desk.screen.line(f"{status.namespace}/{status.name}")
    elif statuses:
        wide = output is Form.WIDE
        desk.screen.show(deployments(statuses, wide=wide, namespaces=namespace is None))
    else:
        where = f" in namespace {namespace}; -A lists those of all" if namespace else ""
        desk.screen.error(f"there are no deployments{where}")
    return Exit.DONE


async def _one(desk: Desk, deployment: tuple[str, str], output: Form | None) -> Exit:
    async with desk.client() as client:
        status = await client.get(*deployment)
    if output and output.for_programs:
        desk.screen.document(plain(status), output)
    elif output is Form.NAME:
        desk.screen.line("/".join(deployment))
    else:
        desk.screen.show(deployments([status], wide=output is Form.WIDE, namespaces=False))
    return Exit.DONE


async def _pods(desk: Desk, deployment: tuple[str, str], output: Form | None) -> Exit:
    async with desk.client() as client:
        module = (await client.get(*deployment)).module
        records = await client.pods(*deployment)
    if output and output.for_programs:
        desk.screen.document({"items": [plain(record) for record in records]}, output)
    elif output is Form.NAME:
        for record in not_gone(records):
            desk.screen.line(record.pod)
    else:
        desk.screen.show(pods(records, module, desk.now(), wide=output is Form.WIDE))
    return Exit.DONE


async def _batches(desk: Desk, deployment: tuple[str, str], output: Form | None) -> Exit:
    async with desk.client() as client:
        status = await client.get(*deployment)
    if output and output.for_programs:
        desk.screen.document({"items": [plain(batch) for batch in status.batches]}, output)
    elif output is Form.NAME:
        for batch in status.batches:
            desk.screen.line(str(batch.index))
    elif status.batches:
        desk.screen.show(batch_table(status, status.batches, desk.now(), width=desk.screen.out.width))
    else:
        desk.screen.error(f"{'/'.join(deployment)} has no batches: {status.phase}: {status.message}")
    return Exit.DONE
