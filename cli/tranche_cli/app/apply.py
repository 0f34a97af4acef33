"""`tranche apply`: files of manifests to the planner, and every word it says about them."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

import tranche
from tranche.client import Complete
from tranche.contract.answer import AcceptedAnswer, FieldError, RefusedAnswer
from tranche.contract.message import Message
from tranche.errors import Forbidden, Refused
from tranche_cli.app.desk import Desk
from tranche_cli.app.following import Followed, follow, until_verdict
from tranche_cli.app.options import Form, Output, Timeout, Wait, at_desk
from tranche_cli.app.telling import watching
from tranche_cli.documents import Document, read_files
from tranche_cli.exits import Exit, worst
from tranche_cli.view.documents import plain
from tranche_cli.view.words import safe

Files = Annotated[
    list[str],
    typer.Option("--filename", "-f", metavar="FILE", help="YAML or JSON, repeatable; - is standard input"),
]
MaybeNamespace = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--namespace", "-n", help="namespace of manifests without one", show_default=False),
]


@at_desk
async def apply(
    desk: Desk,
    filename: Files,
    namespace: MaybeNamespace = None,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = None,
) -> Exit:
    """Ask for what manifests say. --wait: until each rollout is complete, as `status --until complete`."""
    documents, faults = read_files(filename)
    if faults:
        for fault in faults:
            desk.screen.error(str(fault))
        if documents:
            desk.screen.error("nothing was applied")
        return Exit.REFUSED
    async with desk.client() as client:
        answers = [
            (one, await _ask(desk, client, one, namespace, quiet=output, wait=wait)) for one in documents
        ]
        codes = [Exit.REFUSED for _, answer in answers if isinstance(answer, RefusedAnswer)]
        results: list[Message] = [answer for _, answer in answers]
        if wait:
            # One limit for all of them together.
            end = desk.runtime.clock.monotonic() + timeout if timeout is not None else None
            for place, (document, answer) in enumerate(answers):
                if isinstance(answer, AcceptedAnswer):
                    where = place_of(document.manifest, namespace)
                    code, last = await _wait(desk, client, where, answer, end, output)
                    codes.append(code)
                    results[place] = last or answer
    if output and output.for_programs:
        items = [plain(result) for result in results]
        desk.screen.document(items[0] if len(items) == 1 else {"items": items}, output)
    return worst(codes)


async def _ask(
    desk: Desk,
    client: tranche.Client,
    document: Document,
    namespace: str | None,
    *,
    quiet: Form | None,
    wait: bool,
) -> AcceptedAnswer | RefusedAnswer:
    try:
        answer = await client.apply(document.manifest, namespace=namespace)
    except Forbidden:
        raise
    except Refused as error:
        errors = error.errors or (FieldError(field="", message=str(error)),)
        for one in errors:
            desk.screen.error(f"{document.place}: {one}")
        return RefusedAnswer(errors=tuple(errors))
    where, name = place_of(document.manifest, namespace)
    for warning in answer.warnings:
        desk.screen.error(f"{where}/{name}: warning: {warning}")
    if quiet is Form.NAME:
        desk.screen.line(f"{where}/{name}")
    elif quiet is None or not quiet.for_programs:
        next_ = "" if wait else f"; next: {watching((where, name))}"
        desk.screen.line(safe(f"{where}/{name}: {answer.message or 'accepted'}{next_}"))
    return answer


async def _wait(
    desk: Desk,
    client: tranche.Client,
    where: tuple[str, str],
    answer: AcceptedAnswer,
    end: float | None,
    output: Form | None,
) -> Followed:
    return await follow(
        desk,
        client,
        where,
        until_verdict(Complete(), answer.generation or 0),
        timeout_s=max(0.0, end - desk.runtime.clock.monotonic()) if end is not None else None,
        watch=False,
        form=None if output is Form.WIDE else output,
        what="complete",
    )


def place_of(manifest: dict[str, Any], namespace: str | None) -> tuple[str, str]:
    """Where an accepted manifest went: the planner has checked what is read here."""
    metadata = manifest.get("metadata")
    given = metadata if isinstance(metadata, dict) else {}
    return str(given.get("namespace") or namespace or "default"), str(given.get("name", "?"))
