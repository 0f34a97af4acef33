"""What the sources say of single fields, added to the schemas: the sentence below a field in its class."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent
from typing import Any

from tranche.asyncapi.describing import schema_name
from tranche.contract.message import Message


def add_notes(description: dict[str, Any]) -> None:
    """Describe every field whose class says something of it."""
    schemas = description["components"]["schemas"]
    for model in _models(Message):
        apart = schema_name(f"{model.__module__.replace('.', '__')}__{model.__name__}")
        properties = (schemas.get(apart) or schemas.get(model.__name__, {})).get("properties", {})
        for name, words in field_notes(model).items():
            alias = model.model_fields[name].alias or name
            if alias in properties:
                properties[alias].setdefault("description", words)


def field_notes(model: type[Message]) -> dict[str, str]:
    """
    >>> from tranche.contract.ledger import Ledger
    >>> field_notes(Ledger)["counter"]
    'The highest token given out.'
    """
    body = ast.parse(dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(below.value.value.replace("``", "`").split())
        for field, below in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _models(base: type[Message]) -> Iterator[type[Message]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)
