"""Tables as kubectl has them: no frames, capitals above, and the tables of `tranche get`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from tranche.contract.record import ModuleEntry, PodRecord
from tranche.contract.status import Status
from tranche_cli.view.advice import advice
from tranche_cli.view.marks import MODULES, PHASES
from tranche_cli.view.remaining import remaining
from tranche_cli.view.words import age, safe

GAP = 2
LEAST_NOTE = 12
ROOMY = 76
"""Columns from which the next command has a place in the table of deployments."""


def plain_table(*columns: str) -> Table:
    """A table without frames; ``NAME:r`` is a column of numbers, to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for column in columns:
        name, _, how = column.partition(":")
        table.add_column(
            name,
            justify="right" if how else "left",
            overflow="fold",
        )
    return table


def noted_table(
    columns: Sequence[str],
    rows: Sequence[tuple[Sequence[str | Text], str]],
    width: int,
    *,
    note: str = "NOTE",
) -> Table:
    """A table whose last column takes the room that is left, a line per row; without room there is none."""
    names = [column.partition(":")[0] for column in columns]
    widest = [
        max([len(name), *(cell_len(str(cells[place])) for cells, _ in rows)])
        for place, name in enumerate(names)
    ]
    room = width - sum(widest) - GAP * len(columns)
    noted = room >= LEAST_NOTE and any(words for _, words in rows)
    table = plain_table(*columns, *(("NOTE",) if noted else ()))
    for cells, told in rows:
        words = Text(told)
        words.truncate(room, overflow="ellipsis")
        table.add_row(*cells, *((words,) if noted else ()))
    return table


def deployments(
    statuses: Iterable[Status], now: datetime, *, wide: bool, namespaces: bool, width: int
) -> Table:
    """A row per deployment, with how much longer and the next command where there is room."""
    columns = (
        *(("NAMESPACE",) if namespaces else ()),
        *("NAME", "PHASE", "VERSION", "UPDATED:r", "AVAILABLE:r", "BATCH:r"),
        *(("BASE", "MODULE", "STABLE", "BUDGET") if wide else ()),
    )
    rows = [
        (_deployment(status, wide=wide, namespaces=namespaces), _told(status, now)) for status in statuses
    ]
    if not wide:
        # A command that is cut helps nobody: it takes a second line.
        table = plain_table(*columns, *(("NEXT",) if width >= ROOMY else ()))
        for cells, (_, next_) in rows:
            table.add_row(*cells, *((next_,) if width >= ROOMY else ()))
        return table
    table = plain_table(*columns, "MESSAGE", "NEXT")
    for cells, notes in rows:
        table.add_row(*cells, *notes)
    return table


def _deployment(status: Status, *, wide: bool, namespaces: bool) -> list[str | Text]:
    mark = PHASES[status.phase]
    budget = f"{status.budget.unavailable} of {status.budget.resolved}"
    more = (status.base, status.module, status.stable_version or "-", budget)
    return [
        *((status.namespace,) if namespaces else ()),
        status.name,
        Text(f"{mark.sign} {status.phase}", mark.style),
        safe(status.target_version),
        f"{status.updated}/{status.replicas}",
        str(status.available),
        f"{status.batch.current}/{status.batch.count}" if status.batch.count else "-",
        *(map(safe, more) if wide else ()),
    ]


def _told(status: Status, now: datetime) -> tuple[str, str]:
    """What is the matter, and the next command with the time left."""
    still = remaining(status, now)
    next_ = safe(advice(status).command)
    return safe(status.message), f"{next_} · {still}" if still else next_


def pods(records: Iterable[PodRecord], module: str, now: datetime, *, wide: bool) -> Table:
    """A row per pod of the pool, with this module on it."""
    table = plain_table(
        *("POD", "READY", "VERSION", "STATE", "SINCE:r", "MODULES:r", "NOTE"),
        *(("ADDRESS", "UID", "TOKEN:r") if wide else ()),
    )
    for record in records:
        if record.gone:
            continue
        entry = record.modules.get(module)
        room = "" if record.max_modules is None else f"/{record.max_modules}"
        operation = record.operation
        more = (record.address, record.uid, str(operation.token) if operation else "-")
        table.add_row(
            safe(record.pod),
            _ready(record),
            safe(_version(entry)),
            _state(entry),
            age(entry.since, now) if entry else "-",
            f"{len(record.modules)}{room}",
            safe(_note(record, entry)),
            *(map(safe, more) if wide else ()),
        )
    return table


def not_gone(records: Sequence[PodRecord]) -> list[PodRecord]:
    """Pods that are there."""
    return [record for record in records if not record.gone]


def wrong_first(records: Sequence[PodRecord], module: str, target: str) -> list[PodRecord]:
    """Those that move or are wrong before those that are at the target before those without the module."""

    def rank(record: PodRecord) -> int:
        entry = record.modules.get(module)
        if not record.ready or (entry and entry.state != "available"):
            return 0
        return 1 if entry and entry.version != target else 2 if entry else 3

    return sorted(records, key=rank)


def _ready(record: PodRecord) -> Text:
    return Text("yes", "green") if record.ready else Text("no", "red")


def _version(entry: ModuleEntry | None) -> str:
    if entry is None:
        return "-"
    meanwhile = entry.serving
    return f"{meanwhile.version} -> {entry.version}" if meanwhile else entry.version


def _state(entry: ModuleEntry | None) -> Text:
    if entry is None:
        return Text("-", "dim")
    mark = MODULES[entry.state]
    return Text(f"{mark.sign} {entry.state}", mark.style)


def _note(record: PodRecord, entry: ModuleEntry | None) -> str:
    operation = record.operation
    words = [
        record.message or record.reason if not record.ready else "",
        "terminating" if record.terminating else "",
        "cordoned" if record.cordoned else "",
        record.capacity_problem,
        operation.message if operation and operation.state == "stuck" else "",
        (entry.message or entry.reason) if entry else "",
        "not ours" if entry and entry.revision == 0 else "",
    ]
    return "; ".join(filter(None, words))
