"""Lists that can be shown once or followed: what they hold, and how it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.text import Text

import tranche
from tranche.contract.message import Message
from tranche.contract.record import PodRecord
from tranche.contract.status import BatchStatus, Status
from tranche_cli.app.desk import Desk
from tranche_cli.app.following import picture
from tranche_cli.app.options import Form
from tranche_cli.view.advice import advice
from tranche_cli.view.batches import around, batch_table
from tranche_cli.view.documents import plain
from tranche_cli.view.line import batch_line, line, pod_line, pod_summary, summary
from tranche_cli.view.tables import deployments, not_gone, pods, wrong_first

LOOK_S = 2.0
"""Records of pods are asked for at most so often: there may be ten thousand."""
ROWS_OF_PIPES = 1_000_000
WIDE = 400
"""Columns of -o wide, once: a row stays a line, however narrow the terminal."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of a list: as a document, by name, as a line; ``same`` tells whether it is worth a new line."""

    document: Message
    name: str
    line: str
    same: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A list as it stands; each form is made when it is asked for: there may be ten thousand rows."""

    whole: Callable[[], Any]
    """One document for programs."""
    rows: Callable[[], Mapping[str, Row]]
    """By key."""
    count: int
    empty: str
    """What to say where there is nothing."""
    shown: Callable[[datetime, int, int, bool], RenderableType]
    """With the time, the width, at most so many rows, and whether it is wide: what to draw."""


class Listing(Protocol):
    """What `tranche get` lists."""

    async def once(self, client: tranche.Client) -> Rows: ...

    def live(self, desk: Desk, client: tranche.Client) -> AsyncIterator[Rows]: ...


class Deployments:
    """All of a namespace, of every namespace, or one."""

    def __init__(self, namespace: str | None, name: str | None) -> None:
        self._namespace = namespace
        self._name = name

    async def once(self, client: tranche.Client) -> Rows:
        if self._namespace is not None and self._name is not None:
            return self._rows([await client.get(self._namespace, self._name)])
        return self._rows(await client.list(self._namespace))

    async def live(self, desk: Desk, client: tranche.Client) -> AsyncIterator[Rows]:
        first = await self.once(client)
        yield first
        latest = {key: row.document for key, row in first.rows().items()}
        async for status in client.watch(self._namespace, self._name):
            key = f"{status.namespace}/{status.name}"
            known = latest.get(key)
            if known is None and status.phase == "Deleted":
                # The stream remembers for a week what the list no longer has.
                continue
            if isinstance(known, Status) and known.document_revision > status.document_revision:
                continue
            latest[key] = status
            yield self._rows([one for _, one in sorted(latest.items()) if isinstance(one, Status)])

    def _rows(self, statuses: tuple[Status, ...] | list[Status]) -> Rows:
        def shown(now: datetime, width: int, rows: int, wide: bool) -> RenderableType:
            hidden = len(statuses) - rows
            table = deployments(
                statuses[:rows], now, wide=wide, namespaces=self._namespace is None, width=width
            )
            return Group(table, Text(f"… and {hidden} more", "dim")) if hidden > 0 else table

        where = f" in namespace {self._namespace}; -A lists those of all" if self._namespace else ""

        def whole() -> Any:
            return plain(statuses[0]) if self._name else {"items": [plain(one) for one in statuses]}

        def rows() -> dict[str, Row]:
            named = {f"{one.namespace}/{one.name}": one for one in statuses}
            return {name: Row(one, name, line(one), summary(one)) for name, one in named.items()}

        return Rows(whole, rows, len(statuses), f"there are no deployments{where}", shown)


class Pods:
    """The pods of the pool of one deployment, with its module on them."""

    def __init__(self, deployment: tuple[str, str]) -> None:
        self._deployment = deployment

    async def once(self, client: tranche.Client) -> Rows:
        status = await client.get(*self._deployment)
        return self._rows(status, await client.pods(*self._deployment))

    async def live(self, desk: Desk, client: tranche.Client) -> AsyncIterator[Rows]:
        while True:
            yield await self.once(client)
            await desk.runtime.clock.sleep(LOOK_S)

    def _rows(self, status: Status, records: tuple[PodRecord, ...]) -> Rows:
        module = status.module
        there = not_gone(records)

        def shown(now: datetime, width: int, rows: int, wide: bool) -> RenderableType:
            next_ = Text(f"\nNext  {advice(status).command}", "bold cyan")
            if len(there) <= rows:
                return Group(pods(there, module, now, wide=wide), next_)
            told = wrong_first(there, module, status.target_version)[:rows]
            more = Text(f"… and {len(there) - rows} more; those that move or are wrong come first", "dim")
            return Group(pods(told, module, now, wide=wide), more, next_)

        def whole() -> Any:
            return {"items": [plain(record) for record in records]}

        def rows() -> dict[str, Row]:
            return {one.pod: self._row(one, status) for one in there}

        return Rows(whole, rows, len(there), f"the pool {status.base} has no pods", shown)

    def _row(self, record: PodRecord, status: Status) -> Row:
        module = status.module
        return Row(record, record.pod, pod_line(record, module), pod_summary(record, module))


class Batches:
    """The batches of one deployment."""

    def __init__(self, deployment: tuple[str, str]) -> None:
        self._deployment = deployment

    async def once(self, client: tranche.Client) -> Rows:
        return self._rows(await client.get(*self._deployment))

    async def live(self, desk: Desk, client: tranche.Client) -> AsyncIterator[Rows]:
        first = await client.get(*self._deployment)
        yield self._rows(first)
        async for status in client.watch(*self._deployment):
            if status.document_revision >= first.document_revision:
                yield self._rows(status)

    def _rows(self, status: Status) -> Rows:
        def shown(now: datetime, width: int, rows: int, _wide: bool) -> RenderableType:
            told = around(status.batches, status.batch.current, rows)
            table = batch_table(status, told, now, width=width)
            return Group(table, Text(f"\nNext  {advice(status)}", "bold cyan"))

        name = "/".join(self._deployment)

        def whole() -> Any:
            return {"items": [plain(batch) for batch in status.batches]}

        def rows_() -> dict[str, Row]:
            return {str(batch.index): self._row(status, batch) for batch in status.batches}

        empty = f"{name} has no batches: {status.phase}: {status.message}"
        return Rows(whole, rows_, len(status.batches), empty, shown)

    def _row(self, status: Status, batch: BatchStatus) -> Row:
        return Row(batch, str(batch.index), batch_line(status, batch), batch.model_dump_json())


async def once(desk: Desk, client: tranche.Client, listing: Listing, output: Form | None) -> None:
    """The list now."""
    found = await listing.once(client)
    if output and output.for_programs:
        desk.screen.document(found.whole(), output)
    elif output is Form.NAME:
        for row in found.rows().values():
            desk.screen.line(row.name)
    elif found.count:
        wide = output is Form.WIDE
        width = max(WIDE, desk.screen.out.width) if wide else desk.screen.out.width
        drawn = found.shown(desk.now(), width, ROWS_OF_PIPES, wide)
        desk.screen.show(drawn, width=width if wide else None)
    else:
        desk.screen.error(found.empty)


async def watched(desk: Desk, client: tranche.Client, listing: Listing, output: Form | None) -> None:
    """The list, kept up to date for ever: drawn over on a terminal, elsewhere what changed, a line each."""
    if desk.screen.live and (output is None or output is Form.WIDE):
        await _drawn(desk, client, listing, wide=output is Form.WIDE)
        return
    told: dict[str, str] = {}
    async for found in listing.live(desk, client):
        for key, row in found.rows().items():
            if told.get(key) != row.same:
                _tell(desk, row, output, new=key not in told)
            told[key] = row.same


def _tell(desk: Desk, row: Row, output: Form | None, *, new: bool) -> None:
    if output and output.for_programs:
        desk.screen.document(plain(row.document), output, one_line=True)
    elif output is not Form.NAME:
        desk.screen.line(row.line)
    elif new:
        desk.screen.line(row.name)


async def _drawn(desk: Desk, client: tranche.Client, listing: Listing, *, wide: bool) -> None:
    latest: Rows | None = None

    def draw(now: datetime) -> RenderableType:
        if latest is None:
            return Text("")
        if not latest.count:
            return Text(latest.empty, "dim")
        size = desk.screen.out.size
        return latest.shown(now, size.width, max(3, size.height - 6), wide)

    async with picture(desk, draw) as shown:
        async for found in listing.live(desk, client):
            latest = found
            shown.changed()
