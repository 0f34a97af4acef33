"""Calls to one Kubernetes API server: JSON in, JSON out, errors of ours.

What is not there is None, not an error. Paths are written out by whoever calls, as they are in the server's own
documentation.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tranche.errors import Unavailable
from tranche.kubernetes.failures import Unauthorized, failure, translated
from tranche.runtime import Clock

MANAGER = "tranche"
"""The field manager under which everything is written."""
CALL_S = 10.0
RENEW_S = 10.0
"""Who we are is read anew at most so often."""

Object = dict[str, Any]
_PATCHES = {
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
    "json": "application/json-patch+json",
}


class Answer(Protocol):
    """An HTTP answer whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    content: Any

    async def read(self) -> bytes: ...

    def close(self) -> None: ...


class Calls(Protocol):
    """The vendor's client, as far as we use it: who we are, whom we trust, and HTTP."""

    async def call_api(self, path: str, method: str, /, **how: Any) -> Any: ...


@dataclass(slots=True)
class Cluster:
    """One API server. ``namespace``: the one we live in, or that the kubeconfig names."""

    calls: Calls
    clock: Clock
    namespace: str = "default"
    renew: Callable[[], Awaitable[None]] | None = None
    """Reads anew who we are, after the server did not know us."""
    call_s: float = CALL_S
    _renewed_at: float = float("-inf")

    async def get(self, path: str, **query: str) -> Object | None:
        """An object or a list. Raises Unavailable, Refused, Forbidden, Expired."""
        return await self._call("GET", path, query)

    async def patch(
        self, path: str, body: Any, *, kind: Literal["merge", "apply", "json"] = "merge", **query: str
    ) -> Object | None:
        """The object as it is afterwards; None: it is not there. Raises Conflict, Unknown too."""
        query.setdefault("fieldManager", MANAGER)
        return await self._call("PATCH", path, query, body, _PATCHES[kind])

    async def create(self, path: str, body: Object) -> Object | None:
        """The object as the server took it. Raises Conflict where it is there already, Unknown too."""
        return await self._call("POST", path, {"fieldManager": MANAGER}, body)

    async def replace(self, path: str, body: Object) -> Object | None:
        """The whole object; Raises Conflict where its version is not the newest, Unknown too."""
        return await self._call("PUT", path, {"fieldManager": MANAGER}, body)

    async def delete(self, path: str, body: Object | None = None) -> Object | None:
        """What it said; None: it was not there. ``body``: DeleteOptions. Raises Conflict, Unknown too."""
        return await self._call("DELETE", path, {}, body)

    @asynccontextmanager
    async def watch(self, path: str, **query: str) -> AsyncIterator[AsyncIterator[Object]]:
        """The events of a watch, until the server ends it. Raises as ``get`` does."""
        what = f"watch {path}"
        answer = await self._send("GET", path, {**query, "watch": "true"}, None, None, what)
        try:
            if answer.status != 200:
                raise await self._failed(answer, what)
            yield _events(answer, what)
        finally:
            answer.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        content_type: str | None = None,
    ) -> Object | None:
        what, writes = f"{method.lower()} {path}", method != "GET"
        answer = await self._send(method, path, query, body, content_type, what)
        try:
            if answer.status == 404:
                return None
            if not 200 <= answer.status < 300:
                raise await self._failed(answer, what, writes=writes)
            with translated(what, writes=writes):
                async with self.clock.timeout(self.call_s):
                    found = json.loads(await answer.read())
            if not isinstance(found, dict):
                raise Unavailable(f"{what}: no object was answered")
            return found
        finally:
            answer.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        content_type: str | None,
        what: str,
    ) -> Answer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type or "application/json"
        with translated(what, writes=method != "GET"):
            async with self.clock.timeout(self.call_s):
                answer: Answer = await self.calls.call_api(
                    path,
                    method,
                    query_params=list(query.items()),
                    header_params=headers,
                    body=body,
                    auth_settings=["BearerToken"],
                    _preload_content=False,
                )
        return answer

    async def _failed(self, answer: Answer, what: str, *, writes: bool = False) -> Exception:
        try:
            async with self.clock.timeout(self.call_s):
                body = json.loads(await answer.read())
        except Exception:  # whatever is wrong with the words, the status is what counts
            body = None
        error = failure(answer.status, body, what, writes=writes, headers=answer.headers)
        if isinstance(error, Unauthorized):
            await self._renew()
        return error

    async def _renew(self) -> None:
        now = self.clock.monotonic()
        if self.renew is not None and now - self._renewed_at >= RENEW_S:
            self._renewed_at = now
            await self.renew()


async def _events(answer: Answer, what: str) -> AsyncIterator[Object]:
    while True:
        with translated(what):
            line = await answer.content.readline()
            if not line:
                return
            event = json.loads(line)
        if isinstance(event, dict):
            yield event
