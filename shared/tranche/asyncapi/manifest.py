"""The JSON schema of a ModuleDeployment manifest, made of the table of its fields."""

from __future__ import annotations

import re
from typing import Any

from tranche.contract import values
from tranche.contract.fields import CONTAINERS, FIELDS, IGNORED, KIND, LEAVES, Field, Path
from tranche.contract.quantity import EXPECTED as QUANTITY
from tranche.contract.quantity import MOST

Json = dict[str, Any]

_WHOLE = re.compile(r"a whole number from (-?\d+) to (-?\d+)")
_ONE_OF = re.compile(r"one of ([^;]+)")
_KNOWN: tuple[Path, ...] = (*LEAVES, *(tuple(path.split(".")) for path in IGNORED))


def manifest_schema() -> Json:
    """All spellings that are understood; what is ignored may hold anything, what is unknown is refused."""
    return {"title": "ModuleDeployment", **_container(())}


def expected(field: Field) -> str:
    """What a field wants, in the words of its own refusals.

    >>> expected(LEAVES["spec", "replicas"])
    'a whole number from -1 to 1000000'
    """
    wrong = field.read(None)
    return wrong.expected.partition(";")[0] if isinstance(wrong, values.Wrong) else "anything"


def field_schema(field: Field) -> Json:
    """
    >>> field_schema(LEAVES["spec", "replicas"])
    {'type': 'integer', 'minimum': -1, 'maximum': 1000000}
    """
    words = expected(field)
    if whole := _WHOLE.fullmatch(words):
        return {"type": "integer", "minimum": int(whole[1]), "maximum": int(whole[2])}
    if words == "true or false":
        return {"type": "boolean"}
    if words == QUANTITY:
        return {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MOST},
                {"type": "string", "pattern": "^(0|[1-9][0-9]?|100)%$"},
            ]
        }
    if words == KIND:
        return {"const": KIND}
    if field.read is values.arguments:
        return {"type": "array", "items": {"type": "string", "minLength": 1}, "description": words}
    if field.read is values.port:
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]}
    if one := _ONE_OF.fullmatch(words):
        options = one[1].split(", ")
        if isinstance(field.read(options[0].upper()), values.Wrong):
            return {"type": "string", "enum": options}
        # Any letter case, snake_case or camelCase (design 1.1).
        return {"anyOf": [{"type": "string", "enum": options}, *map(_any_case, options)]}
    return {"type": "string", "description": words}


def _any_case(word: str) -> Json:
    letters = "".join("_?" if letter == "_" else f"[{letter.lower()}{letter.upper()}]" for letter in word)
    return {"type": "string", "pattern": f"^{letters}$"}


def _container(path: Path) -> Json:
    inner = {
        child: _at((*path, child))
        for child in dict.fromkeys(
            known[len(path)] for known in _KNOWN if known[: len(path)] == path != known
        )
    }
    schema: Json = {"type": "object", "properties": inner, "additionalProperties": False}
    needed = [child for child in inner if _needed((*path, child))]
    return {**schema, "required": needed} if needed else schema


def _at(path: Path) -> Json:
    if path in LEAVES:
        return field_schema(LEAVES[path])
    return _container(path) if path in CONTAINERS else {}


def _needed(path: Path) -> bool:
    return any(field.required and tuple(field.path.split("."))[: len(path)] == path for field in FIELDS)
