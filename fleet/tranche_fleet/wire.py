"""Arklet's odd HTTP, without IO: bytes in, one request out; answers as bytes (design 5.1).

An answer has no header and ends with the connection; keep-alive is ignored; what is not a POST gets a 500; a
body over 1 MiB gets a 413 and the connection stays open; a body that is no JSON object gets nothing at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

BODY_LIMIT = 1 << 20
HEAD_LIMIT = 64 << 10
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\n\r\n"
POST_ONLY = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent_Length: 42\r\n\r\n"
    b"POST http request only supported by arklet"
)


class Event(Enum):
    """What the reader found besides a whole request."""

    CONTINUE_WANTED = "continue"
    TOO_LARGE = "too large"
    GARBAGE = "garbage"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    body: bytes

    @property
    def command(self) -> str:
        """The path without its first slash; a query string is ignored."""
        return self.path.partition("?")[0].removeprefix("/")


class NotACommand(ValueError):
    """The body is not a JSON object: arklet never answers such a request."""


class RequestReader:
    """Collects the bytes of one connection until its first request is whole; the rest is swallowed."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None
        self._done = False
        self._continued = False

    def feed(self, data: bytes) -> Request | Event | None:
        """Take bytes; tell the request once it is there, None while it is not."""
        if self._done:
            return None
        self._buffer += data
        if self._head is None and (event := self._read_head()) is not None:
            return event
        if self._head is None:
            return None
        body = self._body(self._head[2])
        if body is None:
            wants = self._head[2].get("expect", "").lower() == "100-continue"
            if wants and not self._continued:
                self._continued = True
                return Event.CONTINUE_WANTED
            return None
        self._buffer.clear()
        if isinstance(body, Event):
            return self._end(body)
        self._done = True
        return Request(self._head[0], self._head[1], body)

    def _end(self, event: Event) -> Event:
        self._done = True
        self._buffer.clear()
        return event

    def _read_head(self) -> Event | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return self._end(Event.GARBAGE) if len(self._buffer) > HEAD_LIMIT else None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return self._end(Event.GARBAGE)
        pairs = (line.partition(":") for line in lines[1:])
        self._head = words[0], words[1], {key.strip().lower(): value.strip() for key, _, value in pairs}
        return None

    def _body(self, headers: dict[str, str]) -> bytes | Event | None:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return Event.GARBAGE
        if int(length) > BODY_LIMIT:
            return Event.TOO_LARGE
        return bytes(self._buffer[: int(length)]) if len(self._buffer) >= int(length) else None

    def _chunks(self) -> bytes | Event | None:
        """The body from its chunks, read anew each time: they are few and small."""
        body, position = bytearray(), 0
        while (end := self._buffer.find(b"\r\n", position)) >= 0:
            size = self._buffer[position:end].partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                return Event.GARBAGE
            if length == 0:
                return bytes(body)
            if len(body) + length > BODY_LIMIT:
                return Event.TOO_LARGE
            position = end + 2 + length + 2
            if len(self._buffer) < position:
                return None
            body += self._buffer[end + 2 : position - 2]
        return None


def parse_body(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a request; None without a body or for `null`. Raises NotACommand for others."""
    if not body.strip():
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotACommand(str(error)) from error
    if value is not None and not isinstance(value, dict):
        raise NotACommand(f"a JSON {type(value).__name__}")
    return value


def answer_bytes(answer: dict[str, Any]) -> bytes:
    """An answer: a status line, no header, the JSON."""
    text = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
    return b"HTTP/1.1 200 OK\r\n\r\n" + text.encode("utf-8", "replace")
