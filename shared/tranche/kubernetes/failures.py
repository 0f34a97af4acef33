"""What the Kubernetes API refuses and how it fails, in Tranche's words: translated once, here.

Unavailable ─ Busy      again later, not before the time the server named
Conflict    ─ Expired   the version asked for is no longer kept: list again
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from tranche.errors import Conflict, Forbidden, Refused, TrancheError, Unavailable, Unknown

LONGEST_RETRY_S = 60.0
"""A server, or whoever stands before it, does not get to silence us for longer."""
_WORDS = 300


class Busy(Unavailable):
    """The server asks not to be asked again for ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Expired(Conflict):
    """The resource version is older than what the server keeps."""


class Unauthorized(Forbidden):
    """The server does not know who we are: a token that has run out, perhaps."""


def failure(
    status: int, body: Any, what: str, *, writes: bool = False, headers: Mapping[str, str] | None = None
) -> TrancheError:
    """The error of an answer with this HTTP status; ``body``: the Status object in it, if any.

    >>> failure(410, {"message": "too old resource version"}, "watch of pods")
    Expired('watch of pods: too old resource version')
    """
    told = body.get("message") if isinstance(body, dict) else None
    words = f"{what}: {str(told)[:_WORDS] if told else f'answered {status}'}"
    match status:
        case 401:
            return Unauthorized(words)
        case 403:
            return Forbidden(words)
        case 409:
            return Conflict(words)
        case 410:
            return Expired(words)
        case 429 | 503:
            return Busy(words, _retry_after_s(headers or {}, body))
        case _ if status >= 500:
            return Unknown(words) if writes else Busy(words, _retry_after_s(headers or {}, body))
        case _:
            return Refused(words)


@contextmanager
def translated(what: str, *, writes: bool = False) -> Iterator[None]:
    """Failures of the connection as our errors: not sent is Unavailable, a write without an answer Unknown."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise Unavailable(f"{what}: {error}") from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        words = f"{what}: {str(error)[:_WORDS] or type(error).__name__}"
        raise (Unknown(words) if writes else Unavailable(words)) from error


def _retry_after_s(headers: Mapping[str, str], body: Any) -> float:
    details = body.get("details") if isinstance(body, dict) else None
    named = headers.get("Retry-After") or (
        details.get("retryAfterSeconds") if isinstance(details, dict) else None
    )
    try:
        seconds = float(named or 0)
    except (TypeError, ValueError):
        return 0.0
    return min(max(0.0, seconds), LONGEST_RETRY_S) if seconds == seconds else 0.0
