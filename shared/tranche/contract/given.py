"""How a value that somebody gave is shown back in a message: short, on one line, safe to print."""

from __future__ import annotations

from datetime import date

_LONGEST = 80


def shown(value: object) -> str:
    """The value as a person would recognise it: text in quotes, everything else without.

    >>> shown("3"), shown(3.0), shown(True), shown(None)
    ('"3"', '3.0', 'true', 'null')
    >>> shown({"a": 1}), shown([1, 2])
    ('an object (a)', 'a list of 2')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int():
            return _number(value)
        case float():
            return repr(value)
        case date():
            return f"{value.isoformat()} (a date)"
        case dict():
            return f"an object ({_keys(value)})" if value else "an empty object"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return f"a value of kind {quoted(type(value).__name__)}"


def quoted(text: str, *, longest: int = _LONGEST) -> str:
    """Text in quotes, cut where it is longer than ``longest``; what does not print is written as an escape.

    >>> quoted('line\\nbreak'), quoted("x" * 200)[-7:]
    ('"line\\\\nbreak"', 'xxx..."')
    """
    cut = text if len(text) <= longest else text[: longest - 3] + "..."
    return '"' + "".join(_character(character) for character in cut) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    # Lone surrogates, control and direction characters do not print: they could not be encoded or would
    # rewrite the line they stand in.
    return character if character.isprintable() else ascii(character)[1:-1]


def _number(value: int) -> str:
    # Python refuses to write out integers beyond some thousand digits, and nobody wants to read them.
    return str(value) if value.bit_length() <= 128 else f"a number of {value.bit_length()} bits"


def _keys(value: dict[object, object]) -> str:
    names = [key if isinstance(key, str) else shown(key) for key in list(value)[:3]]
    shortened = ", ".join(quoted(name)[1:-1] for name in names)
    return shortened if len(value) <= 3 else f"{shortened}, ..."
