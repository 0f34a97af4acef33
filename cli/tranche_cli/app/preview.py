"""`tranche plan`: what would happen, pod by pod; nothing is changed (design 9.2)."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

import tranche
from tranche.contract.answer import FieldError, RefusedAnswer
from tranche.contract.message import Message
from tranche.contract.names import split
from tranche.contract.spec import PEER
from tranche.contract.status import Status
from tranche.errors import Forbidden, Refused
from tranche_cli.app.apply import MaybeNamespace, place_of
from tranche_cli.app.desk import Desk
from tranche_cli.app.get import MaybeName
from tranche_cli.app.options import NO_NAMESPACE, Form, Output, at_desk
from tranche_cli.documents import Document, read_files
from tranche_cli.exits import Exit, worst
from tranche_cli.view.advice import advice
from tranche_cli.view.documents import plain
from tranche_cli.view.preview import Previewed, preview, steps
from tranche_cli.view.words import safe

Files = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--filename", "-f", metavar="FILE", help="YAML or JSON, repeatable; - is standard input"),
]


@at_desk
async def plan(
    desk: Desk,
    name: MaybeName = None,
    filename: Files = None,
    namespace: MaybeNamespace = None,
    output: Output = None,
) -> Exit:
    """Every batch with its exact pods, of a manifest or of what is to come. Exit 2: something would change."""
    if (name is None) is (not filename):
        raise Refused(
            "plan needs -f FILE, or the name of a deployment, and not both: tranche plan -f cart.yaml"
        )
    if name is not None:
        return await _of_name(desk, split(name, namespace or NO_NAMESPACE), output)
    return await _of_files(desk, filename or [], namespace, output)


async def _of_name(desk: Desk, deployment: tuple[str, str], output: Form | None) -> Exit:
    async with desk.client() as client:
        status = await client.get(*deployment)
        told = await client.plan_of(*deployment)
    what = Previewed("/".join(deployment), told, next=advice(status).command, wanted=status.replicas)
    _show(desk, [what], output)
    _written(desk, [told], output)
    return Exit.WOULD_CHANGE if told.changes else Exit.DONE


async def _of_files(desk: Desk, names: list[str], namespace: str | None, output: Form | None) -> Exit:
    documents, faults = read_files(names)
    for fault in faults:
        desk.screen.error(str(fault))
    if faults:
        return Exit.REFUSED
    codes: list[Exit] = []
    results: list[Message] = []
    told: list[Previewed] = []
    async with desk.client() as client:
        for one in documents:
            answer, code = await _ask(desk, client, one, namespace, names)
            codes.append(code)
            if isinstance(answer, Previewed):
                told.append(answer)
                results.append(answer.preview)
            else:
                results.append(answer)
    _show(desk, told, output)
    _written(desk, results, output)
    return worst(codes)


async def _ask(
    desk: Desk, client: tranche.Client, document: Document, namespace: str | None, files: list[str]
) -> tuple[Previewed | RefusedAnswer, Exit]:
    try:
        told = await client.plan(document.manifest, namespace=namespace)
    except Forbidden:
        raise
    except Refused as error:
        errors = error.errors or (FieldError(field="", message=str(error)),)
        for one in errors:
            desk.screen.error(f"{document.place}: {one}")
        return RefusedAnswer(errors=tuple(errors)), Exit.REFUSED
    where = place_of(document.manifest, namespace)
    now = await _status(client, where)
    # A change of gates alone moves no replica, and is a new generation all the same.
    new = now is None or told.generation > now.generation
    next_ = _apply(files, namespace) if now is None or new else advice(now).command
    shown = Previewed("/".join(where), told, next=next_, wanted=_wanted(document.manifest, now))
    return shown, Exit.WOULD_CHANGE if new or told.changes else Exit.DONE


async def _status(client: tranche.Client, deployment: tuple[str, str]) -> Status | None:
    """The status now; None where there is no such deployment yet."""
    try:
        return await client.get(*deployment)
    except Forbidden:
        raise
    except Refused:
        return None


def _wanted(manifest: dict[str, Any], now: Status | None) -> int | None:
    """The replicas a percent is of, where the manifest or the status says it."""
    spec = manifest.get("spec")
    replicas = spec.get("replicas", 1) if isinstance(spec, dict) else None
    if isinstance(replicas, int) and replicas != PEER:
        return replicas
    return now.replicas if now else None


def _apply(files: list[str], namespace: str | None) -> str:
    names = " ".join(f"-f {name}" for name in files)
    return f"tranche apply {names}{f' -n {namespace}' if namespace else ''}"


def _show(desk: Desk, told: list[Previewed], output: Form | None) -> None:
    """For people, or pods by name."""
    if output is Form.NAME:
        for what in told:
            for batch in what.preview.batches:
                for step in batch.pods:
                    desk.screen.line(safe(step.pod))
    elif output is None or output is Form.WIDE:
        for place, what in enumerate(told):
            if place:
                desk.screen.line("")
            desk.screen.show(preview(what, width=desk.screen.out.width))
        if output is Form.WIDE and any(what.preview.changes for what in told):
            desk.screen.line("")
            desk.screen.show(steps(told))


def _written(desk: Desk, results: list[Any], output: Form | None) -> None:
    if output and output.for_programs:
        items = [plain(result) for result in results]
        desk.screen.document(items[0] if len(items) == 1 else {"items": items}, output)
