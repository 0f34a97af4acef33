"""The batches as a table; of many only those around the current one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tranche.contract.status import BatchStatus, Status
from tranche_cli.view.gates import behind
from tranche_cli.view.marks import BATCHES
from tranche_cli.view.tables import noted_table
from tranche_cli.view.words import age, clock, count, safe

NARROW = 72


def batches(status: Status, now: datetime, *, width: int, rows: int) -> RenderableType | None:
    """At most ``rows`` of them; None where there are none."""
    if not status.batches:
        return None
    shown = around(status.batches, status.batch.current, rows)
    table = batch_table(status, shown, now, width=width)
    hidden = status.batch.count - len(shown)
    return (
        Group(table, Text(f"… and {count(hidden, 'more batch', 'more batches')}", "dim"))
        if hidden > 0
        else table
    )


def batch_table(status: Status, shown: Sequence[BatchStatus], now: datetime, *, width: int) -> Table:
    """One row per batch; when it was and who confirmed it only where there is room."""
    wide = width >= NARROW
    columns = ("BATCH", "SIZE:r", "STATE", *(("STARTED", "TOOK:r") if wide else ()))
    rows = [(_cells(batch, status, now, wide=wide), note(batch) if wide else "") for batch in shown]
    return noted_table(columns, rows, width)


def around(every: Sequence[BatchStatus], current: int, rows: int) -> Sequence[BatchStatus]:
    """The current batch with its neighbours, as many as ``rows``.

    >>> ten = [BatchStatus(index=i, size=1, state="Pending") for i in range(1, 11)]
    >>> [batch.index for batch in around(ten, 7, 4)]
    [5, 6, 7, 8]
    """
    rows = max(1, rows)
    at = next((place for place, batch in enumerate(every) if batch.index == current), 0)
    start = max(0, min(at - rows // 2, len(every) - rows))
    return every[start : start + rows]


def note(batch: BatchStatus) -> str:
    """Who let it go on, when and why."""
    if not batch.confirmed_by and not batch.confirmed_at:
        return ""
    words = [f"confirmed by {safe(batch.confirmed_by or 'somebody')}"]
    if batch.confirmed_at:
        words.append(clock(batch.confirmed_at))
    if batch.confirm_reason:
        words.append(f'"{safe(batch.confirm_reason)}"')
    return " ".join(words)


def _cells(batch: BatchStatus, status: Status, now: datetime, *, wide: bool) -> list[str | Text]:
    started = clock(batch.started_at) if batch.started_at else ""
    return [
        f"{batch.index} beta" if batch.beta else str(batch.index),
        str(batch.size),
        _state(batch, status, now),
        *((started, _took(batch, now)) if wide else ()),
    ]


def _state(batch: BatchStatus, status: Status, now: datetime) -> Text:
    mark = BATCHES[batch.state]
    waits = batch.state == "Waiting" and batch.index == status.batch.current
    return Text(f"{mark.sign} {behind(status, now) if waits else batch.state.lower()}", mark.style)


def _took(batch: BatchStatus, now: datetime) -> str:
    if batch.started_at is None:
        return ""
    if batch.verified_at is None:
        return age(batch.started_at, now) if batch.state == "Releasing" else ""
    return age(batch.started_at, batch.verified_at)
