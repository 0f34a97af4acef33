"""What an event or a request asks for, read from its verb and body; or every reason why it cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from tranche.contract.answer import FieldError, RefusedAnswer, refused
from tranche.contract.given import quoted, shown
from tranche.contract.manifest import Rejected, parse_manifest
from tranche.contract.spec import Spec
from tranche.contract.suggestions import meant

LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Apply:
    """Carry out this wish."""

    spec: Spec
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Uninstall all replicas."""

    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Abort:
    """Back to stable."""

    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """A person has looked at a batch; None: the one that waits."""

    generation: int | None = None
    batch: int | None = None
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop new disruptions."""

    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause."""

    by: str | None = None
    reason: str | None = None


Wish = Apply | Delete | Abort | Confirm | Pause | Resume

_BY: Mapping[str, type] = {"by": str, "reason": str}
FIELDS: Mapping[str, Mapping[str, type]] = {
    "delete": {"abandon": bool, **_BY},
    "confirm": {"generation": int, "batch": int, **_BY},
    "pause": _BY,
    "resume": _BY,
    "abort": _BY,
}
"""What the body of each verb may say."""
KINDS: Mapping[str, type[Abort | Confirm | Pause | Resume]] = {
    "confirm": Confirm,
    "pause": Pause,
    "resume": Resume,
    "abort": Abort,
}
WRITES = ("apply", *FIELDS)
LATER = ("promote", "retry", "restart", "undo", "replace", "scale", "freeze", "unfreeze")
"""Verbs of the contract that a later release carries out."""
READS_LATER = ("plan", "explain", "history")

_EXPECTED = {str: "text", int: "a whole number from 1", bool: "true or false"}


def read_wish(
    verb: str, data: bytes, *, namespace: str, name: str, url_allow: Sequence[str] = ()
) -> Wish | RefusedAnswer:
    """The wish in an event's body.

    >>> read_wish("confirm", b'{"batch": 2}', namespace="shop", name="cart")
    Confirm(generation=None, batch=2, by=None, reason=None)
    """
    if verb in LATER:
        return refused(later(verb))
    if verb not in WRITES:
        return refused(f"got the verb {quoted(verb)}; expected one of {', '.join(WRITES)}")
    body = read_json(data, empty_means_object=verb != "apply")
    if isinstance(body, RefusedAnswer):
        return body
    if verb == "apply":
        parsed = parse_manifest(body.value, namespace=namespace, name=name, url_allow=url_allow)
        if isinstance(parsed, Rejected):
            return RefusedAnswer(errors=parsed.errors)
        return Apply(parsed.spec, parsed.warnings)
    return _read_verb(verb, body.value)


def later(verb: str) -> str:
    """What is answered to a verb that this release does not carry out."""
    return f"{verb} is not supported yet by this release; nothing was changed"


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON document as it was read."""

    value: object


def read_json(data: bytes, *, empty_means_object: bool = False) -> Json | RefusedAnswer:
    """The JSON in a body. NaN and Infinity are none, nor is what nests without end."""
    if not data and empty_means_object:
        return Json({})
    try:
        return Json(json.loads(data, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        given = shown(data[:80].decode(errors="replace")) if data else "nothing"
        why = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
        return refused(f"got {given}; expected a JSON object: {why}")


def read_fields(body: object, known: Mapping[str, type]) -> dict[str, Any] | RefusedAnswer:
    """The fields of a body, each of its kind; null counts as left out. All errors at once."""
    if not isinstance(body, dict):
        return refused(f"got {shown(body)}; expected a JSON object")
    errors = [error for key, value in body.items() if (error := _wrong(key, value, known)) is not None]
    if errors:
        return RefusedAnswer(errors=tuple(errors[:100]))
    return {key: value for key, value in body.items() if value is not None}


def _read_verb(verb: str, body: object) -> Wish | RefusedAnswer:
    fields = read_fields(body, FIELDS[verb])
    if isinstance(fields, RefusedAnswer):
        return fields
    if verb == "delete":
        if fields.pop("abandon", False):
            return refused(
                "abandon true is not supported yet by this release; leave it out, and a pod that does not "
                "answer holds the deletion up until it answers or is gone",
                field="abandon",
            )
        return Delete(**fields)
    return KINDS[verb](**fields)


def _wrong(key: str, value: object, known: Mapping[str, type]) -> FieldError | None:
    if key not in known:
        near = meant(key, here=known, elsewhere={})
        hint = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
        return FieldError(field=_field(key), message=f"got an unknown field with {shown(value)}; {hint}")
    kind = known[key]
    if value is None or (type(value) is kind and _fits(value)):
        return None
    return FieldError(field=key, message=f"got {shown(value)}; expected {_EXPECTED[kind]}")


def _fits(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and value.isprintable()
    return isinstance(value, bool) or (isinstance(value, int) and 1 <= value <= 2**53)


def _field(key: str) -> str:
    return quoted(key)[1:-1]


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
