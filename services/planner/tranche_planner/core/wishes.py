"""What an event or a request asks for, read from its verb and body; or every reason why it cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from tranche.contract.answer import FieldError, RefusedAnswer, refused
from tranche.contract.given import quoted, shown
from tranche.contract.manifest import Rejected, parse_manifest
from tranche.contract.names import NameKind, is_name, rule
from tranche.contract.quantity import MOST
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
    """Uninstall all replicas. ``abandon``: what is on pods that do not answer is left behind."""

    abandon: bool = False
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


@dataclass(frozen=True, slots=True)
class Promote:
    """Open the gates of the batch that waits; ``full``: all remaining ones of this rollout."""

    full: bool = False
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Try what failed again."""

    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Restart:
    """Install the same content again everywhere."""

    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """Roll out an older revision's content; None: the last stable one before. ``fast``: without gates."""

    revision: int | None = None
    fast: bool = False
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Take the replica off a pod and place it anew."""

    pod: str
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """Another number of replicas, and nothing else."""

    replicas: int
    by: str | None = None
    reason: str | None = None


Verb = Delete | Abort | Confirm | Pause | Resume | Promote | Retry | Restart | Undo | Replace | Scale
Wish = Apply | Verb

_BY: Mapping[str, type] = {"by": str, "reason": str}
FIELDS: Mapping[str, Mapping[str, type]] = {
    "delete": {"abandon": bool, **_BY},
    "confirm": {"generation": int, "batch": int, **_BY},
    "pause": _BY,
    "resume": _BY,
    "abort": _BY,
    "promote": {"full": bool, **_BY},
    "retry": _BY,
    "restart": _BY,
    "undo": {"revision": int, "fast": bool, **_BY},
    "replace": {"pod": str, **_BY},
    "scale": {"replicas": int, **_BY},
}
"""What the body of each verb may say."""
KINDS: Mapping[str, type[Verb]] = {
    "delete": Delete,
    "confirm": Confirm,
    "pause": Pause,
    "resume": Resume,
    "abort": Abort,
    "promote": Promote,
    "retry": Retry,
    "restart": Restart,
    "undo": Undo,
    "replace": Replace,
    "scale": Scale,
}
REQUIRED: Mapping[str, str] = {"replace": "pod", "scale": "replicas"}
WRITES = ("apply", *FIELDS)
FREEZES: Mapping[str, Mapping[str, type]] = {"freeze": {"until": str, **_BY}, "unfreeze": _BY}
"""What the bodies of the request API's own verbs may say: they are about a namespace, not a deployment."""
READS = ("get", "list", "pods", "plan", "explain", "history")

_EXPECTED: Mapping[type, str] = {
    str: f"text of at most {LONGEST_TEXT} printable characters",
    bool: "true or false",
}
_NUMBERS: Mapping[str, tuple[int, int]] = {"replicas": (0, MOST)}
"""Bounds of whole numbers that do not begin at 1."""


def read_wish(
    verb: str, data: bytes, *, namespace: str, name: str, url_allow: Sequence[str] = ()
) -> Wish | RefusedAnswer:
    """The wish in an event's body.

    >>> read_wish("confirm", b'{"batch": 2}', namespace="shop", name="cart")
    Confirm(generation=None, batch=2, by=None, reason=None)
    """
    if verb in (*FREEZES, *READS):
        return refused(f"{verb} is asked for through the request API alone: tranche.api.<namespace>.{verb}")
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
    required = REQUIRED.get(verb)
    if required is not None and required not in fields:
        return refused(f"got nothing; expected {_expected(required, FIELDS[verb][required])}", field=required)
    pod = fields.get("pod")
    if pod is not None and not is_name(NameKind.POD, pod):
        return refused(f"got {shown(pod)}; expected a pod's name: {rule(NameKind.POD)}", field="pod")
    return KINDS[verb](**fields)


def _wrong(key: str, value: object, known: Mapping[str, type]) -> FieldError | None:
    if key not in known:
        near = meant(key, here=known, elsewhere={})
        hint = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
        return FieldError(field=_field(key), message=f"got an unknown field with {shown(value)}; {hint}")
    kind = known[key]
    if value is None or (type(value) is kind and _fits(key, value)):
        return None
    return FieldError(field=key, message=f"got {shown(value)}; expected {_expected(key, kind)}")


def _fits(key: str, value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and value.isprintable()
    if isinstance(value, bool):
        return True
    low, high = _NUMBERS.get(key, (1, 2**53))
    return isinstance(value, int) and low <= value <= high


def _expected(key: str, kind: type) -> str:
    low, high = _NUMBERS.get(key, (1, 0))
    most = f" to {high}" if high else ""
    return f"a whole number from {low}{most}" if kind is int else _EXPECTED[kind]


def _field(key: str) -> str:
    return quoted(key)[1:-1] or '""'


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
