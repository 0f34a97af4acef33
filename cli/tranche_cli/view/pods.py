"""The pods that move or are wrong, and the problems that hold a rollout."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from tranche.contract.progress import PodSample, Problem
from tranche.contract.status import Status
from tranche_cli.view.marks import MODULES
from tranche_cli.view.tables import noted_table
from tranche_cli.view.words import age, count, left, safe

NAMED = 5
NARROW = 72


def problems(status: Status) -> RenderableType | None:
    """One line per problem, with a few of its pods; None where there are none."""
    return Group(*map(problem_line, status.problems)) if status.problems else None


def moving_or_wrong(status: Status, now: datetime, *, rows: int, width: int) -> RenderableType | None:
    """At most ``rows`` of the pods the status names, a line each; None where it names none.

    What is cut from a note stands in full among the problems.
    """
    if not status.pods:
        return None
    shown = status.pods[: max(1, rows)]
    wide = width >= NARROW
    columns = ("POD", *(("VERSION",) if wide else ()), "STATE", "SINCE:r")
    table = noted_table(columns, [(_cells(one, now, wide=wide), _note(one, now)) for one in shown], width)
    known = count(len(status.pods), "pod")
    title = Text(
        f"{known} moving or not as it should be; {status.available} of {status.replicas} are available, "
        "-o wide lists all",
        "dim",
        overflow="fold",
    )
    hidden = len(status.pods) - len(shown)
    return Group(title, table, *([Text(f"… and {hidden} more", "dim")] if hidden else []))


def _cells(sample: PodSample, now: datetime, *, wide: bool) -> list[str | Text]:
    mark = MODULES[sample.state]
    return [
        safe(sample.pod),
        *((safe(sample.version),) if wide else ()),
        Text(f"{mark.sign} {sample.state}", mark.style),
        age(sample.since, now) if sample.since else "",
    ]


def problem_line(problem: Problem) -> Text:
    """What is wrong, how often, in whose words, and on which pods."""
    words = Text("✖ ", "red", overflow="fold")
    words.append(problem.reason, "bold")
    if problem.count > 1:
        words.append(f" ({problem.count})")
    words.append(f": {safe(problem.message)}", "default")
    if problem.pods:
        more = problem.count - NAMED if len(problem.pods) > NAMED else problem.count - len(problem.pods)
        names = ", ".join(map(safe, problem.pods[:NAMED]))
        words.append(f"  [{names}{f' and {more} more' if more > 0 else ''}]", "dim")
    return words


def _note(sample: PodSample, now: datetime) -> str:
    tried = f"try {sample.tries} failed" if sample.tries else ""
    again = f"again in {left(sample.retry_at, now)}" if sample.retry_at and sample.retry_at > now else ""
    said = safe(sample.message or sample.reason)
    return ": ".join(filter(None, (", ".join(filter(None, (tried, again))), said)))
