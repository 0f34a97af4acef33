"""The revisions that are kept, and which of them can be gone back to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from tranche.contract.explanation import RevisionHistory
from tranche_cli.view.tables import plain_table
from tranche_cli.view.words import age, day, safe


def history(name: str, revisions: Sequence[RevisionHistory], now: datetime, *, wide: bool) -> RenderableType:
    """A row per revision, oldest first, and the command that goes back."""
    table = plain_table(
        *("REVISION:r", "VERSION", "GENERATION:r", "STARTED", "TOOK:r", "OUTCOME", "BY"),
        *(("URL",) if wide else ()),
    )
    for one in revisions:
        marks = [word for word, is_ in (("target", one.target), ("stable", one.stable)) if is_]
        outcome = one.outcome or "under way"
        table.add_row(
            str(one.revision),
            safe(one.version),
            str(one.generation),
            day(one.started_at),
            age(one.started_at, one.finished_at or now),
            safe(f"{outcome} ({', '.join(marks)})" if marks else outcome),
            safe(one.by or "-"),
            *((safe(one.url),) if wide else ()),
        )
    return Group(table, Text(""), Text(f"Next  {next_command(name, revisions)}", "bold cyan"))


def next_command(name: str, revisions: Sequence[RevisionHistory]) -> str:
    """Going back to the last that completed before the target; else looking."""
    target = next((one.revision for one in revisions if one.target), None)
    # An older one whose rollout completed: the outcome's word is the planner's, its end is known.
    older = [
        one
        for one in revisions
        if one.finished_at and not one.target and (target is None or one.revision < target)
    ]
    if older:
        back = next((one for one in reversed(older) if one.stable), older[-1])
        return f"tranche undo {name} --to-revision {back.revision}"
    return f"tranche status {name}"
