"""The upper part of the screen: what it is, which phase and why, what to do next, versions, budget, numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tranche.contract.status import Status
from tranche_cli.view.advice import advice
from tranche_cli.view.gates import gates
from tranche_cli.view.marks import PHASES
from tranche_cli.view.remaining import remaining
from tranche_cli.view.words import age, clock, count, safe

LONGEST_BAR = 30


def header(status: Status, now: datetime, *, width: int) -> RenderableType:
    """All that can be said without a table."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, style="bold", min_width=8)
    grid.add_column(overflow="fold")
    for label, words in _rows(status, now, width):
        grid.add_row(label, words)
    return Group(_title(status), grid)


def _title(status: Status) -> Text:
    title = Text(overflow="fold")
    title.append(f"{status.namespace}/{status.name}", "bold")
    title.append(f"    base {status.base}")
    if status.module != status.name:
        title.append(f", module {status.module}")
    ways = " · ".join(filter(None, (status.policy, status.upgrade_policy)))
    if ways:
        title.append(f"    {ways}", "dim")
    return title


def _rows(status: Status, now: datetime, width: int) -> Iterator[tuple[str, Text]]:
    yield "Status", _phase(status, now)
    if shut := gates(status, now):
        yield "Waits", Text(f"for {shut}" if not shut.startswith(("paused", "frozen")) else shut)
    yield "Next", _next(status)
    yield "Version", _version(status)
    yield "Budget", _budget(status)
    yield "", _numbers(status, now, width)


def _phase(status: Status, now: datetime) -> Text:
    mark = PHASES[status.phase]
    words = Text(f"{mark.sign} {status.phase}", mark.style)
    if status.message:
        words.append(f": {safe(status.message)}", "default")
    shut = [gate.since for gate in status.gates if gate.gate != "verified"]
    if shut:
        words.append(f" ({age(min(shut), now)})", "dim")
    return words


def _next(status: Status) -> Text:
    command, why = advice(status)
    words = Text(safe(command), "bold cyan")
    if why:
        words.append(f"    {why}", "dim not bold")
    coming = next((batch for batch in status.batches if batch.index == status.batch.current + 1), None)
    if coming and status.phase == "Waiting":
        words.append(f"    then batch {coming.index}: {count(coming.size, 'replica')}", "dim")
    return words


def _version(status: Status) -> Text:
    before, target = status.stable_version, status.target_version
    words = Text(safe(f"{before} -> {target}" if before and before != target else target))
    about = [f"revision {status.revision}", f"generation {status.generation}"]
    if status.by:
        about.append(f"by {safe(status.by)}")
    if status.started_at:
        about.append(clock(status.started_at))
    words.append(f"    {', '.join(about)}", "dim")
    if status.observed_generation < status.generation:
        words.append(f"    (numbers: still generation {status.observed_generation})", "yellow")
    return words


def _budget(status: Status) -> Text:
    budget = status.budget
    style = "yellow" if budget.headroom <= 0 and status.unavailable else "default"
    return Text(
        f"{budget.unavailable} of {budget.resolved} unavailable (maxUnavailable {budget.max_unavailable})",
        style,
    )


def _numbers(status: Status, now: datetime, width: int) -> Text:
    numbers = [f"{status.updated}/{status.replicas} updated", f"{status.available} available"]
    if status.moving:
        numbers.append(f"{status.moving} moving")
    words = Text(overflow="fold")
    room = min(LONGEST_BAR, width - 50)
    if room >= 10 and status.replicas > 0:
        full = min(room, room * status.updated_available // status.replicas)
        # At the target and not serving: begun, and not yet worth anything.
        begun = min(room, room * status.updated // status.replicas) - full
        words.append("[").append("█" * full, "green").append("░" * begun, "green")
        words.append(" " * (room - full - max(0, begun))).append("] ")
    words.append(" · ".join(numbers))
    if status.failed:
        words.append(" · ").append(f"{status.failed} failed", "red")
    if still := remaining(status, now):
        words.append(f" · {still}")
    return words
