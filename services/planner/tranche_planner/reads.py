"""What is answered at once: a status, a list of them, the pods of a pool; in pages below 1 MiB."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from tranche.bus.port import Bus, Request
from tranche.contract import subjects
from tranche.contract.answer import RefusedAnswer, refused
from tranche.contract.explanation import History
from tranche.contract.given import quoted
from tranche.contract.message import Message
from tranche.contract.record import PodRecord
from tranche.errors import TrancheError
from tranche_planner.asking import PlanAsked, read_plan
from tranche_planner.core.document import Document
from tranche_planner.core.explaining import explanation, history
from tranche_planner.core.status import status
from tranche_planner.core.wishes import read_fields, read_json
from tranche_planner.desk import Desk
from tranche_planner.previews import preview_of
from tranche_planner.store import Unreadable

LIMIT = 500
PAGE_BYTES = 900_000
"""An answer stays below the 1 MiB that a message may have, envelope included."""
PARALLEL = 50

_PAGES = {"limit": int, "continue": str}


class Reads:
    """Answers questions from documents and pod records, and changes nothing."""

    def __init__(self, desk: Desk, url_allow: Sequence[str]) -> None:
        self._desk = desk
        self._bus: Bus = desk.bus
        self._url_allow = url_allow
        self._log = structlog.get_logger()

    def now(self) -> datetime:
        """The time, as documents keep it."""
        return self._desk.now()

    async def get(self, request: Request) -> bytes | None:
        """The status of one deployment."""
        return await self._answered(self._get(request))

    async def list_(self, request: Request) -> bytes | None:
        """The statuses of a namespace, or of all; deleted ones left out."""
        return await self._answered(self._list(request))

    async def pods(self, request: Request) -> bytes | None:
        """The records of a deployment's pool."""
        return await self._answered(self._pods(request))

    async def plan(self, request: Request) -> bytes | None:
        """What a manifest, or a deployment's wish as it stands, would lead to."""
        return await self._answered(self._plan(request))

    async def explain(self, request: Request) -> bytes | None:
        """Every gate and every clause of one deployment."""
        return await self._answered(self._explain(request))

    async def history(self, request: Request) -> bytes | None:
        """The revisions of one deployment that are kept."""
        return await self._answered(self._history(request))

    async def _answered(self, answer: Awaitable[bytes | RefusedAnswer]) -> bytes:
        try:
            found = await answer
        except TrancheError as error:
            return refused(f"this cannot be read now, ask again: {error}").encode()
        return found.encode() if isinstance(found, RefusedAnswer) else found

    async def _get(self, request: Request) -> bytes | RefusedAnswer:
        asked = _asked(request, {"name": str})
        if isinstance(asked, RefusedAnswer):
            return asked
        document = await self._document(*asked)
        if isinstance(document, RefusedAnswer):
            return document
        return status(document, self._desk.now()).encode()

    async def _list(self, request: Request) -> bytes | RefusedAnswer:
        asked = _asked(request, _PAGES)
        if isinstance(asked, RefusedAnswer):
            return asked
        namespace, fields = asked
        names = await self._desk.store.names(None if namespace == subjects.ALL_NAMESPACES else namespace)

        async def read(key: str) -> bytes | None:
            try:
                held = await self._desk.store.load(*key.split("/", 1))
            except Unreadable as error:
                self._log.error("a deployment was left out of a list", deployment=key, error=str(error))
                return None
            if held is None or held.value.deleted:
                return None
            return status(held.value, self._desk.now()).encode()

        return await self._page(["/".join(name) for name in names], read, fields)

    async def _pods(self, request: Request) -> bytes | RefusedAnswer:
        asked = _asked(request, {"name": str, **_PAGES})
        if isinstance(asked, RefusedAnswer):
            return asked
        document = await self._document(*asked)
        if isinstance(document, RefusedAnswer):
            return document
        pool = document.namespace, document.spec.base
        found = await self._bus.subjects(subjects.AVAILABILITY, subjects.records_of(*pool))
        names = sorted(pod.pod for pod in subjects.read_pods(found))

        async def read(pod: str) -> bytes | None:
            stored = await self._bus.last(subjects.AVAILABILITY, subjects.record(*pool, pod))
            try:
                record = PodRecord.decode(stored.data) if stored else None
            except ValueError:
                return None
            return record.encode() if record and not record.gone else None

        return await self._page(names, read, asked[1])

    async def _explain(self, request: Request) -> bytes | RefusedAnswer:
        asked = _asked(request, {"name": str})
        if isinstance(asked, RefusedAnswer):
            return asked
        document = await self._document(*asked)
        if isinstance(document, RefusedAnswer):
            return document
        return explanation(document, self._desk.now()).encode()

    async def _history(self, request: Request) -> bytes | RefusedAnswer:
        asked = _asked(request, {"name": str, **_PAGES})
        if isinstance(asked, RefusedAnswer):
            return asked
        document = await self._document(*asked)
        if isinstance(document, RefusedAnswer):
            return document
        limit, after = min(asked[1].get("limit", LIMIT), LIMIT), asked[1].get("continue", "")
        all_ = history(document).revisions
        left = [one for one in all_ if not after.isdecimal() or one.revision > int(after)]
        more = str(left[limit - 1].revision) if len(left) > limit else None
        return _some(History(revisions=tuple(left[:limit]), continue_=more))

    async def _plan(self, request: Request) -> bytes | RefusedAnswer:
        asked = read_plan(request, self._url_allow)
        if isinstance(asked, RefusedAnswer):
            return asked
        after, warnings = await self._wished(asked)
        if isinstance(after, RefusedAnswer):
            return after
        found = await preview_of(
            self._bus, after, warnings, self._desk.now(), skip=asked.skip, limit=asked.limit
        )
        return found if isinstance(found, RefusedAnswer) else _some(found)

    async def _wished(self, asked: PlanAsked) -> tuple[Document | RefusedAnswer, tuple[str, ...]]:
        """The document as it would be, and what to warn of."""
        if asked.wish is None:
            return await self._document(asked.namespace, {"name": asked.name}), ()
        held = await self._desk.store.load(asked.namespace, asked.name)
        return await self._desk.tried(held.value if held else None, asked.wish)

    async def _document(self, namespace: str, fields: dict[str, Any]) -> Document | RefusedAnswer:
        name = fields.get("name", "")
        try:
            held = await self._desk.store.load(namespace, name)
        except ValueError:
            held = None
        wanted = quoted(f"{namespace}/{name}")[1:-1]
        return held.value if held else refused(f"there is no deployment {wanted}", field="name")

    async def _page(
        self, keys: Sequence[str], read: Callable[[str], Awaitable[bytes | None]], fields: dict[str, Any]
    ) -> bytes:
        """As many items as fit, after the key that the page before ended with."""
        limit = min(fields.get("limit", LIMIT), LIMIT)
        after = fields.get("continue", "")
        left = [key for key in sorted(keys) if key > after]
        items: list[bytes] = []
        size, last = 0, ""
        for begin in range(0, len(left), PARALLEL):
            for key, item in await self._side_by_side(left[begin : begin + PARALLEL], read):
                if len(items) >= limit or (items and size + len(item or b"") > PAGE_BYTES):
                    return _pages(items, last)
                last = key
                if item is not None:
                    items.append(item)
                    size += len(item) + 1
        return _pages(items, "")

    async def _side_by_side(
        self, keys: Sequence[str], read: Callable[[str], Awaitable[bytes | None]]
    ) -> list[tuple[str, bytes | None]]:
        """All of them at once. Raises what the first that could not be read raised."""
        found: dict[str, bytes | None] = {}
        failed: list[TrancheError] = []

        async def one(key: str) -> None:
            try:
                found[key] = await read(key)
            except TrancheError as error:
                failed.append(error)

        async with self._desk.runtime.tasks.group() as group:
            for key in keys:
                group.spawn(one(key), name=f"read {key}")
        if failed:
            raise failed[0]
        return [(key, found[key]) for key in keys]


def _some(message: Message) -> bytes:
    """A page; the last one has no place to continue from."""
    page = message.model_dump(mode="json", by_alias=True)
    return json.dumps({key: value for key, value in page.items() if key != "continue" or value}).encode()


def _asked(request: Request, known: dict[str, type]) -> tuple[str, dict[str, Any]] | RefusedAnswer:
    """The namespace and the fields of a question."""
    try:
        namespace, _ = subjects.read_api(request.subject)
    except ValueError as error:
        return refused(f"the subject cannot be read: {error}")
    body = read_json(request.data, empty_means_object=True)
    if isinstance(body, RefusedAnswer):
        return body
    fields = read_fields(body.value, known)
    return fields if isinstance(fields, RefusedAnswer) else (namespace, fields)


def _pages(items: Sequence[bytes], more: str) -> bytes:
    where = b', "continue": ' + json.dumps(more).encode() if more else b""
    return b'{"items": [' + b",".join(items) + b"]" + where + b"}"
