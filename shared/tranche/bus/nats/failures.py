"""What NATS says when it says no, in the words of ``tranche.errors``: by ``err_code`` (design 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nats import errors as vendor

from tranche.errors import Conflict, Full, LostHistory, Refused, TrancheError, Unavailable, Unknown

NO_CONSUMER = 10014
NO_MESSAGE = 10037
NO_STREAM = 10059
CONSUMER_EXISTS = 10148
STREAM_EXISTS = 10058

_STORE_REFUSED = 10077
_SUBJECT_FULL = "per subject"
"""The one text we must read: 10077 also stands for a stream that is full and for a disk that is."""

_BY_CODE: Mapping[int, type[TrancheError]] = {
    10003: Unavailable,  # bad request while the server starts its streams
    10071: Conflict,  # wrong last sequence
    10164: Conflict,  # the same, of another write still in flight
    10158: Unknown,  # a cluster is still storing the same message, sent before
    10049: Unavailable,  # a stream of that name is being deleted
    10023: Unavailable,  # insufficient resources
    NO_STREAM: Unavailable,
    NO_CONSUMER: Unavailable,
}


def refusal(error: Mapping[str, Any], about: str) -> TrancheError:
    """The error that JetStream answered with, named in our words.

    >>> refusal({"code": 400, "err_code": 10071, "description": "wrong last sequence: 7"}, "a.b")
    Conflict('a.b: wrong last sequence: 7 (10071)')
    >>> refusal({"code": 409, "err_code": 10158, "description": "duplicate message id is in process"}, "a.b")
    Unknown('a.b: duplicate message id is in process (10158)')
    """
    code, kind = int(error.get("err_code", 0)), int(error.get("code", 0))
    text = str(error.get("description", "no reason given"))
    told = f"{about}: {text} ({code})"
    if code == _STORE_REFUSED:
        return Full(told) if _SUBJECT_FULL in text else Unavailable(told)
    if code in _BY_CODE:
        return _BY_CODE[code](told)
    # 503 and 500 are the server's troubles of the moment; what is left is about our request itself.
    return Unavailable(told) if kind >= 500 else Refused(told)


def unsent(error: Exception, about: str) -> TrancheError:
    """A failure of the client before anything left this process."""
    if isinstance(error, vendor.MaxPayloadError):
        return Refused(f"{about}: the message is larger than the server allows")
    if isinstance(error, vendor.BadSubjectError | vendor.BadHeaderError):
        return Refused(f"{about}: not a valid subject or header")
    if isinstance(error, vendor.OutboundBufferLimitError):
        return Unavailable(f"{about}: not connected to NATS")
    return Unavailable(f"{about}: {error or type(error).__name__}")


def shrunk(stream: str, last_sequence: int, known: int) -> LostHistory:
    """A stream that ends before a sequence we have read."""
    return LostHistory(
        f"stream {stream} ends at sequence {last_sequence}, but {known} was read from it before: "
        "acknowledged writes are gone"
    )
