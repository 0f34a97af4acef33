"""Why something happens, or does not: every gate and every clause on one screen (design 9.3)."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tranche.contract.explanation import Explanation, GateExplained
from tranche_cli.view.marks import PHASES
from tranche_cli.view.pods import problem_line
from tranche_cli.view.tables import plain_table
from tranche_cli.view.words import age, left, safe

OPEN, SHUT = ("✔", "green"), ("✖", "yellow")


def explanation(told: Explanation, now: datetime) -> RenderableType:
    """Phase and next command, the gates, the budget's arithmetic, the problems."""
    parts: list[RenderableType] = [_header(told), Text(""), _gates(told, now), Text(""), _clauses(told)]
    if told.problems:
        parts += [Text(""), *map(problem_line, told.problems)]
    return Group(*parts)


def _header(told: Explanation) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, style="bold", min_width=8)
    grid.add_column(overflow="fold")
    mark = PHASES[told.phase]
    words = Text(f"{mark.sign} {told.phase}", mark.style)
    words.append(f": {safe(told.message)}" if told.message else "", "default")
    grid.add_row("Status", words)
    name = f"{told.namespace}/{told.name}"
    grid.add_row("Next", Text(safe(told.next or f"tranche status {name} -w"), "bold cyan"))
    title = Text(safe(name), "bold", overflow="fold")
    title.append(f"    generation {told.generation}", "dim not bold")
    return Group(title, grid)


def _gates(told: Explanation, now: datetime) -> RenderableType:
    table = plain_table("GATE", "OPEN", "SINCE:r", "LEFT:r", "WHY, AND WHAT OPENS IT")
    for gate in told.gates:
        table.add_row(
            gate.gate,
            _mark(gate.open, "open", "shut"),
            age(gate.since, now) if gate.since else "-",
            left(gate.until, now) if gate.until and not gate.open else "-",
            _why(gate),
        )
    return table


def _clauses(told: Explanation) -> RenderableType:
    budget = told.budget
    title = Text("Budget  ", "bold")
    title.append(
        f"{budget.unavailable} of {budget.resolved} unavailable (maxUnavailable {budget.max_unavailable}), "
        f"{budget.headroom} more may go",
        "not bold",
    )
    if not told.clauses:
        return title
    table = plain_table("CLAUSE", "HOLDS", "WHY")
    for clause in told.clauses:
        table.add_row(safe(clause.clause), _mark(clause.holds, "yes", "no"), safe(clause.message))
    return Group(title, table)


def _mark(yes: bool, word: str, other: str) -> Text:
    sign, style = OPEN if yes else SHUT
    return Text(f"{sign} {word if yes else other}", style)


def _why(gate: GateExplained) -> Text:
    words = Text(safe(gate.message), overflow="fold")
    if gate.unblock and not gate.open:
        words.append("  " if words else "").append(safe(gate.unblock), "bold cyan")
    return words
