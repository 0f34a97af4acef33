"""`tranche get`: tables of deployments, pods and batches, once or kept up to date."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from tranche.contract.names import NameKind, is_name, rule, split
from tranche.errors import Refused
from tranche_cli.app.desk import Desk
from tranche_cli.app.listing import Batches, Deployments, Listing, Pods, once, watched
from tranche_cli.app.options import NO_NAMESPACE, Namespace, Output, at_desk
from tranche_cli.exits import Exit

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
Watch = Annotated[bool, typer.Option("--watch", "-w", help="keep it up to date until Ctrl-C")]


def checked_namespace(namespace: str | None) -> str | None:
    """The same namespace. Raises Refused where nothing can be named so."""
    if namespace is not None and not is_name(NameKind.NAMESPACE, namespace):
        raise Refused(f"{namespace!a} is no namespace: {rule(NameKind.NAMESPACE)}")
    return namespace


@at_desk
async def get(
    desk: Desk,
    kind: Kind = "deployments",
    name: MaybeName = None,
    watch: Watch = False,
    all_namespaces: AllNamespaces = False,
    namespace: Namespace = NO_NAMESPACE,
    output: Output = None,
) -> Exit:
    """Tables of deployments, or of the pods or batches of one."""
    listing = _listing(kind, name, None if all_namespaces else namespace)
    async with desk.client() as client:
        if watch:
            await watched(desk, client, listing, output)
        else:
            await once(desk, client, listing, output)
    return Exit.DONE


def _listing(kind: str, name: str | None, namespace: str | None) -> Listing:
    wanted = KINDS.get(kind)
    if wanted is None:
        raise Refused(
            f"got {kind!r}; expected deployments, pods or batches, as in tranche get pods shop/cart"
        )
    if wanted == "deployments" and name is None:
        return Deployments(checked_namespace(namespace), None)
    if name is None:
        raise Refused(f"get {wanted} needs the name of a deployment: tranche get {wanted} namespace/name")
    deployment = split(name, namespace or NO_NAMESPACE)
    match wanted:
        case "pods":
            return Pods(deployment)
        case "batches":
            return Batches(deployment)
        case _:
            return Deployments(*deployment)
