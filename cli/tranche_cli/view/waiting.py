"""All that waits for a person, with the command that lets each go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from tranche.contract.status import Status
from tranche_cli.view.advice import advice
from tranche_cli.view.tables import plain_table
from tranche_cli.view.words import age, safe

ROOMY = 100
"""Columns from which the version has a place too; the command must never be cut."""


def waiting(statuses: Sequence[Status], now: datetime, *, width: int) -> Table:
    """A row per deployment, whoever waits longest first."""
    roomy = width >= ROOMY
    table = plain_table("NAME", *(("VERSION",) if roomy else ()), "BATCH:r", "SINCE:r", "WAITS FOR", "NEXT")
    for status in sorted(statuses, key=lambda one: (since(one), one.namespace, one.name)):
        table.add_row(
            safe(f"{status.namespace}/{status.name}"),
            *((safe(status.target_version),) if roomy else ()),
            f"{status.batch.current}/{status.batch.count}" if status.batch.count else "-",
            age(since(status), now),
            ", ".join(gate.gate for gate in status.gates if gate.gate in ("confirm", "pause")),
            Text(safe(advice(status).command), "bold cyan", overflow="fold"),
        )
    return table


def since(status: Status) -> datetime:
    """Since when a person is waited for."""
    return min((gate.since for gate in status.gates if gate.gate in ("confirm", "pause")), default=status.at)
