"""What properties of bad input share: how many examples, anything JSON can say, documents gone wrong, and what a
refusal has to be like."""

from __future__ import annotations

import json
import os
import types
import typing
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tranche.contract.answer import RefusedAnswer, read_answer
from tranche.contract.message import LONGEST_S, Message, Seconds
from tranche.contract.quantity import Quantity

STRESS = os.environ.get("TRANCHE_STRESS") == "1"
EXAMPLES = 10_000
NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def examples(few: int, *, each: int = 1, among: int = 1) -> settings:
    """So many examples in the normal run, 10,000 under ``TRANCHE_STRESS=1``. ``each``: cases in one example,
    where one example begins a service and shows it so many. ``among``: tests that share the 10,000."""
    many = -(-EXAMPLES // (each * among))
    return settings(
        max_examples=many if STRESS else few,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


TEXT = st.text(st.characters(), max_size=8)
"""Lone surrogates and control characters too."""
SANE_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.sampled_from([10**4000, -(10**4000), 2**63, 2**53 + 1, 1e308, -0.0, float("inf"), float("nan")]),
    st.floats(),
    TEXT,
    st.sampled_from(
        ["", "a" * 5000, "\x1b[31m", "line\nbreak", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]
    ),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def places(document: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document."""
    found = [path]
    match document:
        case dict():
            found += [place for key, value in document.items() for place in places(value, (*path, key))]
        case list():
            found += [place for key, value in enumerate(document) for place in places(value, (*path, key))]
    return found


_WHOLE = st.sampled_from([-(10**30), -(2**63), -7, -1, 0, 1, 2, 3, 9, 1000, 10**6, 2**53, 2**63, 10**30])
_NUMBERS = _WHOLE | st.sampled_from([float("nan"), float("inf"), -1e308, 0.5])
_MOMENTS = st.sampled_from(
    [
        *("1970-01-01T00:00:00.000Z", "9000-12-31T23:59:59.999Z", "2026-01-31T09:30:00.001Z"),
        *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-01-31T09:30Z", "2026-01-31"),
    ]
)


def alike(value: Any) -> st.SearchStrategy[Any]:
    """Another value of its kind: what reads well, and nobody would have written."""
    match value:
        case bool():
            return st.just(not value)
        case int() | float():
            return _WHOLE if value else _NUMBERS
        case str() if value.endswith("Z") and value[:1].isdigit():
            return _MOMENTS
        case str():
            return st.sampled_from(["", "x", "cart", "shop", "50%", "0%", "1.0.0", "a" * 300, value * 2])
        case list():
            return st.sampled_from([[], value * 2, value[:1], value[::-1]])
        case dict():
            return st.sampled_from([{}, dict(list(value.items())[:1])])
    return st.none() | st.booleans() | _WHOLE | _MOMENTS


@st.composite
def mutated(draw: st.DrawFn, document: Any, *, most: int = 3) -> Any:
    """The document with one value or a few replaced, taken away, doubled or moved elsewhere."""
    wrong = deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from(places(wrong)))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                wrong = draw(ANYTHING)
            continue
        *outer, last = path
        holder = wrong
        for part in outer:
            holder = holder[part]
        match draw(st.sampled_from(["alike"] * 6 + ["replace", "replace", "take", "wrap", "copy", "add"])):
            case "alike":
                holder[last] = draw(alike(holder[last]))
            case "replace":
                holder[last] = draw(ANYTHING)
            case "take":
                del holder[last]
            case "wrap":
                holder[last] = draw(st.sampled_from([[holder[last]], {"value": holder[last]}]))
            case "copy":
                other: Any = wrong
                for part in draw(st.sampled_from(places(wrong))):
                    other = other[part]
                holder[last] = deepcopy(other)
            case _:
                if isinstance(holder, dict):
                    holder[draw(TEXT)] = draw(ANYTHING)
    return wrong


def spelled(document: Any) -> bytes:
    """JSON as Python writes it: NaN and Infinity as words, lone surrogates as escapes."""
    return json.dumps(document).encode()


@st.composite
def broken(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> bytes:
    """A document as bytes that went wrong on the way: as they are, cut, flipped, doubled, in other clothes."""
    data = spelled(draw(documents))
    match draw(st.sampled_from(["whole"] * 6 + ["cut", "flip", "twice", "doubled key", "deep", "other"])):
        case "cut":
            return data[: draw(st.integers(0, len(data)))]
        case "flip":
            at = draw(st.integers(0, max(0, len(data) - 1)))
            return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at + 1 :]
        case "twice":
            return data + data
        case "doubled key" if data.startswith(b"{") and data != b"{}":
            key = draw(st.sampled_from(data.split(b'"')[1::2] or [b"x"]))
            return b'{"' + key + b'": ' + spelled(draw(ANYTHING)) + b", " + data[1:]
        case "deep":
            depth = draw(st.sampled_from([40, 190, 300, 900, 990, 1000, 5000, 100_000]))
            left, right = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]))
            return b'{"name": "cart", "spec": ' + left * depth + b"1" + right * depth + b"}"
        case "other":
            text = data.decode("ascii")
            coding = draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "utf-7"]))
            return text.encode(coding)
    return data


GARBAGE = st.one_of(
    st.binary(max_size=64),
    st.sampled_from(
        [b"", b"null", b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b"\xff\xfe", b"9" * 5000, b"[]"]
    ),
    broken(ANYTHING),
)


def tellable(answer: RefusedAnswer) -> None:
    """A refusal fits on the wire, each of its lines on one line, and says what was expected."""
    assert answer.errors
    assert read_answer(answer.encode()) == answer
    for error in answer.errors:
        one_line(str(error))
        assert error.message


def one_line(text: str, *, longest: int = 2000) -> None:
    """Fit for a log, a terminal and a status document."""
    assert text
    assert text.isprintable(), ascii(text)
    assert len(text) <= longest
    text.encode()


_TIMES = st.integers(0, 10**12).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-3, 20) | st.integers(),
    str: SANE_TEXT,
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: _TIMES,
    Seconds: st.integers(0, LONGEST_S),
    Quantity: st.builds(Quantity, st.integers(0, 1_000_000))
    | st.builds(Quantity, st.integers(0, 100), percent=st.just(True)),
}


def messages(kind: type[Message]) -> st.SearchStrategy[Any]:
    """Messages of this kind with every field set to anything of its type; some left at their defaults."""
    hints = typing.get_type_hints(kind, include_extras=True)
    required = {name: values(hints[name]) for name, field in kind.model_fields.items() if field.is_required()}
    others = {
        name: values(hints[name]) for name, field in kind.model_fields.items() if not field.is_required()
    }
    return st.fixed_dictionaries(required, optional=others).map(lambda given: kind(**given))


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return values(inner[0])
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(st.none() if one is type(None) else values(one) for one in inner))
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(values(inner[0]), values(inner[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    assert isinstance(hint, type), hint
    assert issubclass(hint, Message), hint
    return st.deferred(lambda: messages(hint))
