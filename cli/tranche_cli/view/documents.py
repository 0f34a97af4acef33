"""Documents for programs: the same JSON the wire has, one document at a time (design 3.4)."""

from __future__ import annotations

import json
from typing import Any, Literal

import yaml

from tranche.contract.message import Message


def plain(message: Message) -> Any:
    """A message as JSON's own values, camelCase as on the wire."""
    return message.model_dump(mode="json", by_alias=True)


def written(document: Any, form: Literal["json", "yaml"], *, one_line: bool = False) -> str:
    """The document as text, without the last line break.

    >>> written({"name": "größe"}, "json", one_line=True), written({"name": "größe"}, "yaml")
    ('{"name": "größe"}', 'name: größe')
    """
    if form == "yaml":
        text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
        return text.rstrip("\n")
    return json.dumps(document, ensure_ascii=False, indent=None if one_line else 2)
