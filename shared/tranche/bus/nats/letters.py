"""Requests and their answers on one connection: one inbox, one future per question.

Our own rather than nats-py's, because a caller must hear three things at once instead of after its timeout:
that the connection broke (design 4.3), that the server refused the subject, and that nobody listens.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nats import errors as vendor
from nats.aio.client import Client
from nats.aio.msg import Msg

from tranche.bus.nats.failures import refusal, unsent
from tranche.contract.given import quoted
from tranche.errors import Forbidden, Refused, TrancheError, Unavailable, Unknown
from tranche.runtime import Clock

NO_RESPONDERS = "503"
LONGEST_SUBJECTS = 4000
"""Bytes of a subject and its reply: a line of the protocol has 4096, a longer one ends the connection for good."""


@dataclass(slots=True)
class _Question:
    subject: str
    answer: asyncio.Future[Msg]


class Letters:
    """Asks on a connection and gives each answer to who asked."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.client = client
        self._clock = clock
        self._prefix = ""
        self._numbers = itertools.count(1)
        self._open: dict[str, _Question] = {}

    async def open(self) -> None:
        """Take up the inbox; once, after connecting."""
        self._prefix = self.client.new_inbox() + "."
        await self.client.subscribe(self._prefix + "*", cb=self._answered)

    async def send(
        self, subject: str, data: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send without an answer. Raises Unavailable or Refused when nothing was sent."""
        if headers_size(headers or {}) + len(data) > self.client.max_payload:
            # nats-py counts the data only, and the server ends the connection for good.
            raise unsent(vendor.MaxPayloadError(), subject)
        if len(subject.encode()) + len(reply.encode()) > LONGEST_SUBJECTS:
            raise Refused(f"{quoted(subject)}: a subject longer than the server allows")
        try:
            await self.client.publish(subject, data, reply, dict(headers) if headers else None)
        except vendor.Error as error:
            raise unsent(error, subject) from error

    async def ask(
        self, subject: str, data: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """Send and wait for the answer.

        Raises Unavailable (not sent, or nobody listens), Forbidden, Unknown (sent, but no answer came).
        """
        number = str(next(self._numbers))
        question = _Question(subject, asyncio.get_running_loop().create_future())
        self._open[number] = question
        try:
            await self.send(subject, data, reply=self._prefix + number, headers=headers)
            async with self._clock.timeout(timeout_s):
                answer = await question.answer
        except TimeoutError as error:
            raise Unknown(f"{subject}: no answer within {timeout_s:g} s") from error
        finally:
            del self._open[number]
        if answer.headers and answer.headers.get("Status") == NO_RESPONDERS and not answer.data:
            raise Unavailable(
                f"{subject}: nobody answers there: no such stream or service, or it is starting"
            )
        return answer

    async def ask_jetstream(
        self,
        subject: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = 2.0,
        absent: frozenset[int] = frozenset(),
    ) -> dict[str, Any] | None:
        """Ask JetStream's API; None when it answers with an ``absent`` error code. Raises as ``ask`` does."""
        answer = await self.ask(subject, json.dumps(body).encode() if body else b"", timeout_s=timeout_s)
        reply = answered(answer, subject)
        error = reply.get("error")
        if error is None:
            return reply
        if error.get("err_code") in absent:
            return None
        raise refusal(error, subject)

    def broken(self) -> None:
        """The connection broke: whoever waits may as well look now, no answer will come."""
        self._fail_all(lambda subject: Unknown(f"{subject}: the connection broke before the answer came"))

    def closed(self) -> None:
        """The connection has ended for good."""
        self._fail_all(
            lambda subject: Unknown(f"{subject}: the connection was closed before the answer came")
        )

    def forbidden(self, subject: str) -> None:
        """The server refused to take a message. It tells the subject in lower case, and nothing else."""
        for question in self._open.values():
            if question.subject.lower() == subject and not question.answer.done():
                question.answer.set_exception(
                    Forbidden(f"the credentials in use may not publish to {question.subject}")
                )

    def _fail_all(self, error: Any) -> None:
        for question in self._open.values():
            if not question.answer.done():
                failure: TrancheError = error(question.subject)
                question.answer.set_exception(failure)

    async def _answered(self, message: Msg) -> None:
        question = self._open.get(message.subject[len(self._prefix) :])
        if question is not None and not question.answer.done():
            question.answer.set_result(message)


def headers_size(headers: Mapping[str, str]) -> int:
    """Bytes of the headers on the wire.

    >>> headers_size({}), headers_size({"A": "b"})
    (0, 18)
    """
    return sum(len(f"{name}: {text}\r\n".encode()) for name, text in headers.items()) + 12 if headers else 0


def answered(message: Msg, subject: str) -> dict[str, Any]:
    """The JSON object in an answer. Raises Unknown when there is none: look before acting."""
    try:
        reply = json.loads(message.data)
    except ValueError as error:
        raise Unknown(f"{subject}: the answer is not JSON: {message.data[:80]!r}") from error
    if not isinstance(reply, dict):
        raise Unknown(f"{subject}: the answer is not an object: {message.data[:80]!r}")
    return reply
