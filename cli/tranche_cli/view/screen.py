"""The one screen that answers: which phase, why, which versions where, what next (design 9.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from tranche.contract.record import PodRecord
from tranche.contract.status import Status
from tranche_cli.view.batches import batches
from tranche_cli.view.header import header
from tranche_cli.view.pods import moving_or_wrong, problems
from tranche_cli.view.tables import pods

FIXED_ROWS = 16
"""Lines of header, titles and gaps: what is left of a terminal's height is shared by the tables."""


def screen(
    status: Status,
    now: datetime,
    *,
    width: int = 100,
    height: int = 50,
    records: Sequence[PodRecord] | None = None,
) -> RenderableType:
    """A status as a screen; with ``records`` every pod is listed, else only those that move or are wrong."""
    rows = max(3, (height - FIXED_ROWS) // 2)
    parts = [header(status, now, width=width), batches(status, now, width=width, rows=rows), problems(status)]
    if records is None:
        parts.append(moving_or_wrong(status, now, rows=rows, width=width))
    elif records:
        parts.append(pods(records, status.module, now, wide=True))
    return Group(*_with_gaps([part for part in parts if part is not None]))


def _with_gaps(parts: list[RenderableType]) -> list[RenderableType]:
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [Text(""), part] if spaced else [part]
    return spaced
