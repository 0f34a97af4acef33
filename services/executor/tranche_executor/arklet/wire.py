"""What arklet answers: the envelope of every answer, and the list of modules (design 5.1).

Nothing here trusts a base: any bytes become one of three kinds of ``Answer``, and what cannot be read is said
to make no sense instead of being guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tranche_executor.arklet.words import last_cause, tidy

FIRST_BYTES = 120
"""So much of an answer that makes no sense is shown."""
MOST_BIZZES = 256
"""Modules one base can list: all of them are kept in its pod's record, which is one message."""
LONGEST_NAME = 253
"""Of a module's name, its version and the base's identity."""


@dataclass(frozen=True, slots=True)
class Done:
    """``SUCCESS``. ``base_identity`` only from arklet 2.1.11 on."""

    data: object = None
    base_identity: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The base understood and said no. ``inner``: the code inside ``data``, e.g. ``REPEAT_BIZ``."""

    code: str
    message: str = ""
    inner: str = ""
    inner_message: str = ""
    trace: str = ""
    base_identity: str | None = None


@dataclass(frozen=True, slots=True)
class Nonsense:
    """Not an answer of arklet's: what was wrong, and how it began."""

    why: str
    first_bytes: str = ""

    def __str__(self) -> str:
        return f"{self.why}: {self.first_bytes}" if self.first_bytes else self.why


Answer = Done | Declined | Nonsense

DECLINED = frozenset({"FAILED", "CMD_NOT_FOUND", "CMD_PROCESS_INTERNAL_ERROR"})


class BizState(StrEnum):
    """Where a module stands. ``resolved``: it is starting. Only ``activated`` serves calls inside the JVM."""

    RESOLVED = "resolved"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    BROKEN = "broken"
    STOPPED = "stopped"
    UNKNOWN = "unknown"

    @classmethod
    def read(cls, text: object) -> BizState:
        """Upper case in 2.1.3, lower case in 2.1.11.

        >>> BizState.read("ACTIVATED"), BizState.read("activated"), BizState.read(None)
        (<BizState.ACTIVATED: 'activated'>, <BizState.ACTIVATED: 'activated'>, <BizState.UNKNOWN: 'unknown'>)
        """
        return _STATES.get(text.lower(), cls.UNKNOWN) if isinstance(text, str) else cls.UNKNOWN


_STATES = {state.value: state for state in BizState}


@dataclass(frozen=True, slots=True)
class Biz:
    """One version of one module on a base."""

    name: str
    version: str
    state: BizState
    web_context_path: str | None = None
    changed_at: int | None = None
    """When this installation began, in ms since 1970 by the base's clock: tells one installation from the
    next. None on 2.1.3, whose records are empty."""
    message: str = ""
    """Why it is ``broken``, in the base's words, where the base keeps them."""


@dataclass(frozen=True, slots=True)
class Bizzes:
    """All modules a base runs, as it tells them."""

    bizzes: tuple[Biz, ...] = ()
    base_identity: str | None = None

    def of(self, name: str) -> tuple[Biz, ...]:
        """All versions of a module."""
        return tuple(biz for biz in self.bizzes if biz.name == name)

    def find(self, name: str, version: str) -> Biz | None:
        """This version of a module, None where it is not there."""
        return next((biz for biz in self.bizzes if (biz.name, biz.version) == (name, version)), None)


def read_answer(body: bytes, *, status: int = 200) -> Answer:
    """The answer in these bytes. ``status`` is HTTP's: arklet says no with 200.

    >>> read_answer(b'{"code":"SUCCESS","data":[]}')
    Done(data=[], base_identity=None)
    >>> read_answer(b'<html>')
    Nonsense(why='not JSON', first_bytes='<html>')
    """
    if status != 200:
        return Nonsense(f"HTTP status {status}", first_bytes(body))
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return Nonsense("not JSON" if body else "an empty answer", first_bytes(body))
    if not isinstance(envelope, dict):
        return Nonsense("not a JSON object", first_bytes(body))
    return _open(envelope, body)


def _open(envelope: Mapping[str, object], body: bytes) -> Answer:
    code = text_of(envelope, "code").upper()
    identity = tidy(text_of(envelope, "baseIdentity"), limit=LONGEST_NAME) or None
    data = envelope.get("data")
    if code == "SUCCESS":
        return Done(data, identity)
    if code not in DECLINED:
        return Nonsense("no code that arklet knows", first_bytes(body))
    inner = data if isinstance(data, dict) else {}
    return Declined(
        code=code,
        message=text_of(envelope, "message"),
        inner=text_of(inner, "code").upper(),
        inner_message=text_of(inner, "message"),
        trace=text_of(envelope, "errorStackTrace"),
        base_identity=identity,
    )


def read_bizzes(answer: Done) -> Bizzes | Nonsense:
    """The modules in an answer to ``queryAllBiz``.

    One entry that cannot be read spoils all: a module overlooked would be taken for absent.
    """
    if not isinstance(answer.data, list):
        return Nonsense("not a list of modules", first_bytes(repr(answer.data).encode(errors="replace")))
    if len(answer.data) > MOST_BIZZES:
        return Nonsense(f"a list of {len(answer.data)} modules, more than {MOST_BIZZES}")
    bizzes = [read_biz(entry) for entry in answer.data]
    readable = tuple(biz for biz in bizzes if biz is not None)
    if len(readable) < len(bizzes):
        wrong = repr(answer.data[bizzes.index(None)])
        return Nonsense("a module without a name or version", first_bytes(wrong.encode(errors="replace")))
    return Bizzes(readable, answer.base_identity)


def read_biz(entry: object) -> Biz | None:
    """One module as arklet describes it, None where it has no name or version, or one that nobody could write."""
    if not isinstance(entry, dict):
        return None
    name, version = text_of(entry, "bizName"), text_of(entry, "bizVersion")
    if not _is_name(name) or not _is_name(version):
        return None
    listed = entry.get("bizStateRecords")
    records = [record for record in listed if isinstance(record, dict)] if isinstance(listed, list) else []
    changed = records[0].get("changeTime") if records else None
    return Biz(
        name=name,
        version=version,
        state=BizState.read(entry.get("bizState")),
        web_context_path=text_of(entry, "webContextPath") or None,
        changed_at=changed if isinstance(changed, int) and not isinstance(changed, bool) else None,
        message=_why(records[-1]) if records else "",
    )


def _is_name(text: str) -> bool:
    # Lone surrogates do not print either: no record could carry them.
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()


def _why(record: Mapping[str, object]) -> str:
    message = text_of(record, "message")
    return tidy(last_cause(message) or message)


def text_of(mapping: Mapping[str, object], key: str) -> str:
    """The text under a key; empty where there is none: arklet leaves nulls out."""
    value = mapping.get(key)
    return value if isinstance(value, str) else ""


def first_bytes(body: bytes) -> str:
    """How an answer begins, fit to be shown.

    >>> first_bytes(bytes([27, 91, 50, 74, 104, 105, 255]))
    '[2Jhi\ufffd'
    """
    return tidy(body[: 4 * FIRST_BYTES].decode("utf-8", errors="replace"), limit=FIRST_BYTES)
