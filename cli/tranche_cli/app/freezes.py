"""`tranche freeze` and `unfreeze`: nothing new is disturbed in a namespace, or in all."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Optional

import typer

from tranche.contract.answer import AcceptedAnswer
from tranche.errors import Refused
from tranche_cli.app.desk import Desk, person
from tranche_cli.app.get import checked_namespace
from tranche_cli.app.options import NO_NAMESPACE, Form, Output, Reason, at_desk
from tranche_cli.exits import Exit
from tranche_cli.view.documents import plain
from tranche_cli.view.words import safe

OneNamespace = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--namespace", "-n", help="this one; without: default", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="every namespace")]
For = Annotated[
    str, typer.Option("--for", metavar="TIME", help="ends by itself after so long: 90s, 30m, 2h, 1d")
]

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
LONGEST_S = 10 * 365 * 86400


@at_desk
async def freeze(
    desk: Desk,
    namespace: OneNamespace = None,
    all_: All = False,
    for_: For = "",
    message: Reason = "",
    output: Output = None,
) -> Exit:
    """Disturb nothing new in a namespace until it is unfrozen. What is under way finishes; abort and delete act."""
    where = _where(namespace, all_)
    until = desk.now() + duration(for_) if for_ else None
    async with desk.client() as client:
        answer = await client.freeze(where, until=until, by=person(), reason=message or None)
    lift = f"tranche unfreeze {f'-n {where}' if where else '--all'}"
    return _told(desk, where, answer, output, next_=lift)


@at_desk
async def unfreeze(
    desk: Desk,
    namespace: OneNamespace = None,
    all_: All = False,
    message: Reason = "",
    output: Output = None,
) -> Exit:
    """Lift a freeze."""
    where = _where(namespace, all_)
    async with desk.client() as client:
        answer = await client.unfreeze(where, by=person(), reason=message or None)
    seen = f"tranche get deployments {f'-n {where}' if where else '-A'}"
    return _told(desk, where, answer, output, next_=seen)


def duration(text: str) -> timedelta:
    """A duration as people write it. Raises Refused.

    >>> str(duration("1h30m")), str(duration("90s"))
    ('1:30:00', '0:01:30')
    """
    found = _DURATION.fullmatch(text.strip().lower())
    seconds = (
        sum(int(number or 0) * unit for number, unit in zip(found.groups(), _UNITS.values(), strict=True))
        if found
        else 0
    )
    if not 0 < seconds <= LONGEST_S:
        raise Refused(f"--for: got {text!r}; expected a time such as 90s, 30m, 2h, 1d or 1h30m")
    return timedelta(seconds=seconds)


def _where(namespace: str | None, all_: bool) -> str | None:
    """The namespace meant; None: all of them."""
    if all_ and namespace is not None:
        raise Refused("give -n or --all, not both")
    return None if all_ else checked_namespace(namespace or NO_NAMESPACE)


def _told(
    desk: Desk, namespace: str | None, answer: AcceptedAnswer, output: Form | None, *, next_: str
) -> Exit:
    name = namespace or "all namespaces"
    for warning in answer.warnings:
        desk.screen.error(f"{name}: warning: {warning}")
    if output and output.for_programs:
        desk.screen.document(plain(answer), output)
    elif output is Form.NAME:
        desk.screen.line(namespace or "_all")
    else:
        desk.screen.line(safe(f"{name}: {answer.message or 'accepted'}; next: {next_}"))
    return Exit.DONE
