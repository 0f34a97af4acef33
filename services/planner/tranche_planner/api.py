"""The request API: writes travel through the event stream, reads are answered at once (decision 0003)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog

from tranche.bus.port import Bus, Endpoint, Request
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer, FieldError, RefusedAnswer, refused
from tranche.contract.given import shown
from tranche.contract.manifest import Rejected, parse_manifest
from tranche.contract.names import NameKind, is_name, rule
from tranche.errors import Refused, TrancheError
from tranche_planner.core.wishes import FREEZES, WRITES, Json, read_fields, read_json
from tranche_planner.freezes import Freezes, read_until
from tranche_planner.reads import Reads

NAME = "tranche-planner"
DESCRIPTION = "Applies, confirms, pauses, aborts and shows ModuleDeployments"
_MESSAGE_ID = "Nats-Msg-Id"

Handler = Callable[[Request], Awaitable[bytes | None]]


class Api:
    """The endpoints of the micro service ``tranche-planner``."""

    def __init__(self, bus: Bus, reads: Reads, freezes: Freezes, url_allow: Sequence[str]) -> None:
        self._bus = bus
        self._reads = reads
        self._freezes = freezes
        self._url_allow = url_allow
        self._log = structlog.get_logger()

    def endpoints(self) -> list[Endpoint]:
        """One per verb of the contract."""
        handlers: dict[str, Handler] = {
            **{verb: partial(self._write, verb) for verb in WRITES},
            "freeze": self._freeze,
            "unfreeze": self._unfreeze,
            "get": self._reads.get,
            "list": self._reads.list_,
            "pods": self._reads.pods,
            "plan": self._reads.plan,
            "explain": self._reads.explain,
            "history": self._reads.history,
        }
        return [Endpoint(verb, subjects.api("*", verb), handler) for verb, handler in handlers.items()]

    async def _write(self, verb: str, request: Request) -> bytes | None:
        event = self._event(verb, request)
        if isinstance(event, RefusedAnswer):
            return event.encode()
        subject, data = event
        headers = {subjects.REPLY_HEADER: request.reply, subjects.SCHEMA_HEADER: subjects.SCHEMA}
        try:
            await self._bus.publish(subject, data, msg_id=request.headers.get(_MESSAGE_ID), headers=headers)
        except Refused as error:
            return refused(f"the request was not taken: {error}").encode()
        except TrancheError as error:
            # It may be in the stream or not: only the client's next attempt can tell.
            self._log.info("a request was not appended", subject=subject, error=str(error))
        return None

    async def _freeze(self, request: Request) -> bytes | None:
        asked = _scope(request, "freeze")
        if isinstance(asked, RefusedAnswer):
            return asked.encode()
        scope, fields = asked
        until = read_until(fields.pop("until", None), self._reads.now())
        if isinstance(until, RefusedAnswer):
            return until.encode()
        return await self._kept(
            self._freezes.freeze(scope, until=until, by=fields.get("by"), reason=fields.get("reason"))
        )

    async def _unfreeze(self, request: Request) -> bytes | None:
        asked = _scope(request, "unfreeze")
        if isinstance(asked, RefusedAnswer):
            return asked.encode()
        scope, fields = asked
        return await self._kept(
            self._freezes.unfreeze(scope, by=fields.get("by"), reason=fields.get("reason"))
        )

    async def _kept(self, work: Awaitable[AcceptedAnswer | RefusedAnswer]) -> bytes | None:
        try:
            return (await work).encode()
        except Refused as error:
            return refused(f"this was not taken: {error}").encode()
        except TrancheError as error:
            # Written or not: only the client's next attempt can tell.
            self._log.info("a freeze was not answered", error=str(error))
            return None

    def _event(self, verb: str, request: Request) -> tuple[str, bytes] | RefusedAnswer:
        """The event that this request means: its subject and its body."""
        try:
            namespace, _ = subjects.read_api(request.subject)
        except ValueError as error:
            return refused(f"the subject cannot be read: {error}")
        if namespace == subjects.ALL_NAMESPACES:
            return refused(f"{verb} is for one deployment: give its namespace instead of {namespace}")
        body = read_json(request.data)
        if isinstance(body, RefusedAnswer):
            return body
        if verb == "apply":
            return self._apply(namespace, body, request.data)
        return _verb(namespace, verb, body)

    def _apply(self, namespace: str, body: Json, data: bytes) -> tuple[str, bytes] | RefusedAnswer:
        metadata = body.value.get("metadata") if isinstance(body.value, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        subject = _subject(namespace, name, "apply")
        if subject is not None:
            return subject, data
        # Nowhere to append it to: answered here, with all that is wrong.
        parsed = parse_manifest(body.value, namespace=namespace, url_allow=self._url_allow)
        if isinstance(parsed, Rejected):
            return RefusedAnswer(errors=parsed.errors)
        return refused(f"got {shown(name)}; expected {rule(NameKind.NAME)}", field="metadata.name")


def _scope(request: Request, verb: str) -> tuple[str, dict[str, Any]] | RefusedAnswer:
    """The namespace, or all, that a freeze is about, and the fields of its body."""
    try:
        scope, _ = subjects.read_api(request.subject)
    except ValueError as error:
        return refused(f"the subject cannot be read: {error}")
    if scope != subjects.ALL_NAMESPACES and not is_name(NameKind.NAMESPACE, scope):
        return refused(f"got {shown(scope)}; expected a namespace: {rule(NameKind.NAMESPACE)}, or _all")
    body = read_json(request.data, empty_means_object=True)
    if isinstance(body, RefusedAnswer):
        return body
    fields = read_fields(body.value, FREEZES[verb])
    return fields if isinstance(fields, RefusedAnswer) else (scope, fields)


def _verb(namespace: str, verb: str, body: Json) -> tuple[str, bytes] | RefusedAnswer:
    if not isinstance(body.value, dict):
        return refused(f"got {shown(body.value)}; expected a JSON object")
    fields = {key: value for key, value in body.value.items() if key != "name"}
    name = body.value.get("name")
    subject = _subject(namespace, name, verb)
    if subject is None:
        message = f"got {shown(name)}; expected the deployment's name: {rule(NameKind.NAME)}"
        return RefusedAnswer(errors=(FieldError(field="name", message=message),))
    try:
        return subject, json.dumps(fields).encode()
    except ValueError as error:
        return refused(f"this cannot be sent on: {error}")


def _subject(namespace: str, name: object, verb: str) -> str | None:
    """Where the event goes; None where the name cannot stand in a subject."""
    if not isinstance(name, str) or len(name) > 253:
        return None
    try:
        return subjects.event(namespace, name, verb)
    except ValueError:
        return None
