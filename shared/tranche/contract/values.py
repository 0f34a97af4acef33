"""Readers of single values: each takes what somebody gave and returns what it means, or what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from tranche.contract.given import shown
from tranche.contract.module_url import url_problem
from tranche.contract.names import NameKind, is_name, rule
from tranche.contract.quantity import EXPECTED, Quantity
from tranche.contract.suggestions import nearest

E = TypeVar("E", bound=StrEnum)

_VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._+~-]{0,126}[A-Za-z0-9])?")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_MOST_ARGUMENTS = 64
_ARGUMENT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Wrong:
    """What was expected, after "expected"; ``given`` where not the whole value is at fault."""

    expected: str
    given: str | None = None


Reader = Callable[[object], object]
"""A value in, its meaning or ``Wrong`` out."""


def whole(low: int, high: int) -> Callable[[object], int | Wrong]:
    """A reader of whole numbers, both bounds included. Numbers are numbers: "3", 3.0 and true are not 3.

    >>> whole(1, 1000)("3")
    Wrong(expected='a whole number from 1 to 1000, without quotes', given=None)
    """
    expected = f"a whole number from {low} to {high}"

    def read(value: object) -> int | Wrong:
        if isinstance(value, int) and not isinstance(value, bool):
            return value if low <= value <= high else Wrong(expected)
        return Wrong(f"{expected}, without quotes" if isinstance(value, str) else expected)

    return read


def switch(value: object) -> bool | Wrong:
    """true or false."""
    if isinstance(value, bool):
        return value
    return Wrong("true or false, without quotes" if isinstance(value, str) else "true or false")


def choice(options: type[E]) -> Callable[[object], E | Wrong]:
    """A reader of one of several words, in any letter case, snake_case or camelCase.

    >>> class Policy(StrEnum):
    ...     ONE_THEN_TWO = "one_then_two"
    >>> [choice(Policy)(text).value for text in ("ONE_THEN_TWO", "oneThenTwo", "OneThenTwo")]
    ['one_then_two', 'one_then_two', 'one_then_two']
    """
    spellings = {spelling: option for option in options for spelling in (option, option.replace("_", ""))}

    def read(value: object) -> E | Wrong:
        text = value.lower() if isinstance(value, str) and value.isascii() else ""
        if text in spellings:
            return spellings[text]
        expected = f"one of {', '.join(options)}"
        close = nearest(text[:64], list(options))
        return Wrong(f"{expected}; did you mean {close}?" if close else expected)

    return read


def quantity(value: object) -> Quantity | Wrong:
    """A number of replicas or a whole percent."""
    return Quantity.parse(value) or Wrong(EXPECTED)


def name(kind: NameKind) -> Callable[[object], str | Wrong]:
    """A reader of names of this kind."""

    def read(value: object) -> str | Wrong:
        if isinstance(value, str):
            return value if is_name(kind, value) else Wrong(f"a {kind}: {rule(kind)}")
        return _not_text(value, f"a {kind}: {rule(kind)}")

    return read


def version(value: object) -> str | Wrong:
    """A module's version: what a jar's manifest, a subject and a status line can all carry."""
    expected = (
        "a version: 1 to 128 letters, digits, '.', '-', '_', '+' and '~', a letter or digit at both ends"
    )
    if isinstance(value, str):
        return value if _VERSION.fullmatch(value) else Wrong(expected)
    return _not_text(value, expected)


def url(value: object) -> str | Wrong:
    """Where the module's jar is; which places are allowed is the operator's word, not the reader's."""
    if not isinstance(value, str):
        return _not_text(value, "an http, https or file URL")
    problem = url_problem(value)
    return Wrong(problem) if problem else value


def sha256(value: object) -> str | Wrong:
    """The digest of the jar, in lower case."""
    if isinstance(value, str):
        return value.lower() if _SHA256.fullmatch(value) else Wrong("64 hexadecimal digits")
    return _not_text(value, "64 hexadecimal digits")


def text(value: object) -> str | Wrong:
    """Any text."""
    return value if isinstance(value, str) else _not_text(value, "text")


def one_of(*known: str) -> Callable[[object], str | Wrong]:
    """A reader of exactly one of these words."""
    expected = known[0] if len(known) == 1 else f"one of {', '.join(known)}"

    def read(value: object) -> str | Wrong:
        return value if isinstance(value, str) and value in known else Wrong(expected)

    return read


def port(value: object) -> int | str | Wrong:
    """A port's number, or its name on the pod, as Kubernetes has them (RFC 6335)."""
    if isinstance(value, str) and _PORT_NAME.fullmatch(value):
        return value
    number = whole(1, 65535)(value)
    return Wrong("a port from 1 to 65535, or a port's name") if isinstance(number, Wrong) else number


def arguments(value: object) -> tuple[str, ...] | Wrong:
    """Arguments for arklet, a list of texts.

    Bounded because every kept revision stores them, and a document must stay below 1 MiB.
    """
    expected = f"a list of at most {_MOST_ARGUMENTS} printable texts, at most {_ARGUMENT_BYTES} bytes as JSON"
    if not isinstance(value, list | tuple) or len(value) > _MOST_ARGUMENTS:
        return Wrong(expected)
    bad = [
        i for i, item in enumerate(value) if not isinstance(item, str) or not item or not item.isprintable()
    ]
    if bad:
        others = "" if len(bad) == 1 else f" (and {len(bad) - 1} more)"
        return Wrong(expected, f"{shown(value[bad[0]])} at [{bad[0]}]{others}")
    if len(json.dumps(value)) > _ARGUMENT_BYTES:
        return Wrong(expected, f"{len(json.dumps(value))} bytes")
    return tuple(value)


def _not_text(value: object, expected: str) -> Wrong:
    # YAML reads 1.0, 2024-01-31 and no as a number, a date and false: say how to keep them text.
    reads_as_text = isinstance(value, bool | int | float | date)
    return Wrong(f"{expected}; write it in quotes" if reads_as_text else expected)
