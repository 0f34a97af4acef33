"""Manifests as files hold them: several YAML documents each, read strictly (design 3.4).

Only what is no YAML, or no object, is refused here; the planner judges everything else: one truth.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tranche.contract.bounds import MOST_VALUES, too_much
from tranche.contract.given import quoted, shown
from tranche.yaml_bounds import FAULTS, Bounded, fault_words

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Document:
    """One manifest, and where it stands."""

    place: str
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file or a document in it cannot be taken for a manifest."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


def read_files(names: Sequence[str]) -> tuple[list[Document], list[Unreadable]]:
    """All documents of these files in order, and everything that is wrong with them."""
    documents: list[Document] = []
    faults: list[Unreadable] = []
    for name in names:
        place = "standard input" if name == STDIN else name
        try:
            data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
        except OSError as error:
            faults.append(Unreadable(place, f"cannot be read: {error.strerror or error}"))
            continue
        for found in parse(data, place):
            if isinstance(found, Document):
                documents.append(found)
            else:
                faults.append(found)
    return documents, faults


def parse(data: bytes, place: str) -> list[Document | Unreadable]:
    """The documents in the text of one file.

    >>> parse(b"a: 1", "x.yaml")
    [Document(place='x.yaml', manifest={'a': 1})]
    >>> print(*parse(b"a: 1\\na: 2", "x.yaml"))
    x.yaml: line 2, column 1: the key "a" stands twice
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return [Unreadable(place, f"is not UTF-8 text (byte {error.start + 1})")]
    try:
        values = [value for value in yaml.load_all(text, _Strict) if value is not None]
    except yaml.YAMLError as error:
        return [Unreadable(place, _words(error))]
    except RecursionError:
        return [Unreadable(place, "is nested too deeply")]
    except FAULTS as error:
        return [Unreadable(place, f"holds a value that cannot be read: {fault_words(error)}")]
    if not values:
        return [Unreadable(place, "holds no document")]
    several = len(values) > 1
    return [
        _document(value, f"{place}, document {number}" if several else place)
        for number, value in enumerate(values, 1)
    ]


def _document(value: object, place: str) -> Document | Unreadable:
    if not isinstance(value, dict):
        return Unreadable(place, f"got {shown(value)}; expected an object, a ModuleDeployment manifest")
    # Aliases can make a few lines endless; nothing of that size can be sent.
    excess = too_much(value)
    return Unreadable(place, excess) if excess else Document(place, value)


def _words(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        return f"{where}{error.problem or error.context or 'is no YAML'}"
    return f"is no YAML: {fault_words(error)}"


class _Strict(Bounded, yaml.SafeLoader):
    """YAML as Kubernetes reads it: a key stands once, and what looks like a date is text."""

    most_merged = MOST_VALUES

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {quoted(key.value)} stands twice", key.start_mark
                )
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep=deep)
