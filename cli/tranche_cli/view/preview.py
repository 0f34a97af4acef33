"""What would happen, batch by batch and pod by pod (design 9.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tranche.contract.preview import Preview, PreviewBatch, PreviewStep, Skipped
from tranche_cli.view.names import folded
from tranche_cli.view.pods import problem_line
from tranche_cli.view.tables import plain_table
from tranche_cli.view.words import count, lasting, safe

LINES_OF_NAMES = 4
"""Of each group of pods; whoever wants all of them asks for -o wide."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """A preview with what it is about, and what would carry it out."""

    name: str
    preview: Preview
    next: str = ""
    wanted: int | None = None
    """Replicas the percent is of; None where nobody knows: a peer counts its pods."""


def preview(what: Previewed, *, width: int) -> RenderableType:
    """The whole plan on one screen, however many pods: neighbours are folded, long lists are cut."""
    parts: list[RenderableType] = [_header(what, width)]
    if what.preview.batches:
        parts.append(_batches(what.preview.batches, width))
    if what.preview.skipped:
        parts.append(_skipped(what.preview.skipped, width))
    notes = [Text(f"! {safe(one)}", "yellow", overflow="fold") for one in what.preview.warnings]
    notes += map(problem_line, what.preview.problems)
    if notes:
        parts.append(Group(*notes))
    return Group(*_with_gaps(parts))


def steps(previews: Sequence[Previewed]) -> Table:
    """A row per pod, in the order in which they are taken."""
    several = len(previews) > 1
    table = plain_table(*(("NAME",) if several else ()), "BATCH:r", "POD", "STEP", "FROM", "TO")
    for what in previews:
        for batch in what.preview.batches:
            for step in batch.pods:
                cells = (str(batch.index), step.pod, step.step, step.from_ or "-", step.to or "-")
                table.add_row(*((what.name,) if several else ()), *map(safe, cells))
    return table


def summary(what: Previewed) -> str:
    """One line: what would happen."""
    plan = what.preview
    if not plan.changes:
        return f"{what.name}: no replica would change"
    batches = sum(1 for batch in plan.batches if batch.size)
    return f"{what.name}: {count(plan.changes, 'change')} in {count(batches, 'batch', 'batches')}"


def budget_words(what: Previewed) -> str:
    """The promise, resolved.

    >>> from tranche.contract.status import BudgetStatus
    >>> promise = BudgetStatus(max_unavailable="50%", resolved=3, unavailable=0, headroom=3)
    >>> told = Preview(generation=1, changes=7, budget=promise, lowest_available=4)
    >>> budget_words(Previewed("shop/cart", told, wanted=7))
    'maxUnavailable 50% of 7 is 3; 0 unavailable now, never fewer than 4 available'
    """
    budget = what.preview.budget
    promise = f"maxUnavailable {budget.max_unavailable}"
    if isinstance(budget.max_unavailable, str):
        of = "" if what.wanted is None else f" of {what.wanted}"
        promise += f"{of} is {budget.resolved}"
    return (
        f"{promise}; {budget.unavailable} unavailable now, "
        f"never fewer than {what.preview.lowest_available} available"
    )


def _header(what: Previewed, width: int) -> RenderableType:
    plan = what.preview
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, style="bold", min_width=8)
    grid.add_column(overflow="fold")
    title = Text(safe(summary(what)), "bold", overflow="fold")
    title.append(f"    generation {plan.generation}", "dim not bold")
    grid.add_row("Next", Text(safe(what.next), "bold cyan"))
    grid.add_row("Budget", Text(budget_words(what)))
    if plan.changes:
        grid.add_row("Time", Text(_time(plan)))
    return Group(title, grid)


def _time(plan: Preview) -> str:
    words = "no waiting in between"
    if plan.earliest_finish_seconds:
        words = f"at least {lasting(plan.earliest_finish_seconds)} of waiting"
    if plan.confirms:
        words += f" and {count(plan.confirms, 'confirm')} by a person"
    return f"{words}; installing comes on top"


def _batches(batches: Sequence[PreviewBatch], width: int) -> RenderableType:
    table = plain_table("BATCH", "PODS:r", "STEP", "WHICH")
    for batch in batches:
        name = f"{batch.index} beta" if batch.beta else str(batch.index)
        for place, (step, pods) in enumerate(_groups(batch.pods)):
            room = max(20, width - 24 - len(step))
            table.add_row(name if place == 0 else "", str(len(pods)), step, _names(pods, room))
        if not batch.pods:
            table.add_row(name, str(batch.size), "nothing left to do" if not batch.size else "-", "")
    return table


def _groups(pods: Sequence[PreviewStep]) -> Iterator[tuple[str, list[str]]]:
    """Pods with the same step, in the order in which the steps come first."""
    groups: dict[str, list[str]] = {}
    for step in pods:
        groups.setdefault(step_words(step), []).append(step.pod)
    yield from groups.items()


def step_words(step: PreviewStep) -> str:
    """What is done on a pod.

    >>> step_words(PreviewStep(pod="web-1", step="replace", from_="1.0.0", to="2.0.0"))
    'replace 1.0.0 -> 2.0.0'
    """
    match step.step:
        case "install":
            return f"install {safe(step.to or '')}".rstrip()
        case "remove":
            return f"remove {safe(step.from_ or '')}".rstrip()
        case "replace":
            return f"replace {safe(step.from_ or 'another')} -> {safe(step.to or '')}".rstrip()


def _skipped(skipped: Sequence[Skipped], width: int) -> RenderableType:
    table = plain_table("SKIPPED:r", "WHY", "WHICH")
    for one in skipped:
        why = safe(one.reason)
        table.add_row(str(one.count), why, _names(one.pods, max(20, width - 16 - len(why)), of=one.count))
    return table


def _names(pods: Sequence[str], room: int, *, of: int = 0) -> Text:
    """As many names as a few lines hold, and how many are not told."""
    told: list[str] = []
    length = 0
    shown = 0
    parts = folded(map(safe, pods))
    for part in parts:
        length += len(part) + 2
        if told and length > room * LINES_OF_NAMES:
            break
        told.append(part)
        shown += 1
    words = Text(", ".join(told), overflow="fold")
    if shown < len(parts):
        words.append(" … -o wide lists all", "dim")
    elif of > len(pods):
        words.append(f" and {of - len(pods)} more" if pods else "", "dim")
    return words


def _with_gaps(parts: Sequence[RenderableType]) -> list[RenderableType]:
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [Text(""), part] if spaced else [part]
    return spaced
