"""YAML that somebody else wrote: what reading it may raise, and how far merge keys may go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from tranche.contract.given import quoted

FAULTS: tuple[type[Exception], ...] = (yaml.YAMLError, ValueError, OverflowError, RecursionError)
"""All that loading with a ``Bounded`` loader raises for a text that is at fault."""
_TAG = "tag:yaml.org,2002:"


class Bounded:
    """Beside a safe loader: merge keys of merge keys would make a few lines endless, and a scalar that is not what
    its tag says, such as ``!!bool maybe`` or ``!!int ""``, would raise whatever reading it stumbles over."""

    most_merged = 100_000
    """Keys that merging may copy in one document."""
    _merged = 0

    def flatten_mapping(self, node: Any) -> None:
        """As the loader does it, unless it comes to too much."""
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                for inner in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                    self._take(inner)
        super().flatten_mapping(node)  # type: ignore[misc]  # a mix-in: a loader stands behind it

    def _take(self, inner: Any) -> None:
        if not isinstance(inner, yaml.MappingNode):
            return
        self.flatten_mapping(inner)
        self._merged += len(inner.value)
        if self._merged > self.most_merged:
            raise _fault(f"merge keys copy more than {self.most_merged} keys", inner)

    yaml_constructors: dict[Any, Any] = {}


def _tagged(name: str, construct: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def constructed(loader: Any, node: Any) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, OverflowError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise _fault(f"got {quoted(node.value)}; expected a value that is {name}", node) from error

    return constructed


def _fault(problem: str, node: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


Bounded.yaml_constructors = yaml.SafeLoader.yaml_constructors | {
    f"{_TAG}{tag}": _tagged(name, yaml.SafeLoader.yaml_constructors[f"{_TAG}{tag}"])
    for tag, name in {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "timestamp": "a date or a time",
    }.items()
}


def fault_words(error: Exception) -> str:
    """What is wrong, in a line of bounded length.

    >>> fault_words(ValueError("no\\n  number"))
    'no number'
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    words = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in " ".join(str(error).split()))
    return words if len(words) <= 300 else f"{words[:299]}…"
