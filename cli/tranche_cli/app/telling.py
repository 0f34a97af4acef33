"""What every verb does with its answer: tell it with the command that helps next, or wait for what it meant."""

from __future__ import annotations

from collections.abc import Callable

import tranche
from tranche.client import Complete, Verdict
from tranche.contract.answer import AcceptedAnswer
from tranche.contract.status import Status
from tranche_cli.app.desk import Desk
from tranche_cli.app.following import finished, follow, until_verdict
from tranche_cli.app.options import Form
from tranche_cli.exits import Exit
from tranche_cli.view.documents import plain
from tranche_cli.view.words import safe

Judge = Callable[[Status], Verdict | None]


def told(
    desk: Desk,
    deployment: tuple[str, str],
    answer: AcceptedAnswer,
    output: Form | None,
    *,
    next_: str = "",
) -> Exit:
    """The answer in the form asked for; for people with what to type next, unless told to leave it out."""
    name = "/".join(deployment)
    for warning in answer.warnings:
        desk.screen.error(f"{name}: warning: {warning}")
    if output and output.for_programs:
        desk.screen.document(plain(answer), output)
    elif output is Form.NAME:
        desk.screen.line(name)
    else:
        desk.screen.line(safe(f"{name}: {answer.message or 'accepted'}{f'; next: {next_}' if next_ else ''}"))
    return Exit.DONE


def watching(deployment: tuple[str, str]) -> str:
    """The command that shows what comes of it."""
    return f"tranche status {'/'.join(deployment)} -w"


async def then(
    desk: Desk,
    client: tranche.Client,
    deployment: tuple[str, str],
    answer: AcceptedAnswer,
    judge: Judge,
    *,
    wait: bool,
    timeout_s: float | None,
    output: Form | None,
    what: str,
    next_: str = "",
) -> Exit:
    """Tell the answer, then wait where asked; with -o json there is one document, the last."""
    if not wait:
        return told(desk, deployment, answer, output, next_=next_ or watching(deployment))
    if not (output and output.for_programs):
        told(desk, deployment, answer, None)
    form = output if output and output.for_programs else None
    followed = await follow(
        desk, client, deployment, judge, timeout_s=timeout_s, watch=False, form=form, what=what
    )
    return finished(desk, followed, form)


def reached(done: Callable[[Status], bool]) -> Judge:
    """There, or not yet."""
    return lambda status: Verdict.REACHED if done(status) else None


def complete(answer: AcceptedAnswer) -> Judge:
    """As ``status --until complete``, for the generation that was answered."""
    return until_verdict(Complete(), answer.generation or 0)
