"""A static inventory: what its YAML means, or all that is wrong with it (design 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tranche.contract.given import quoted, shown
from tranche.contract.names import NameKind, is_name, rule
from tranche.errors import Refused
from tranche.yaml_bounds import FAULTS, Bounded, fault_words
from tranche_executor.arklet.address import read_address
from tranche_executor.core.pod import Pod, PodKey

POOL_FIELDS = ("namespace", "base", "labels", "pods")
POD_FIELDS = ("name", "address", "labels", "ready", "uid")
_SHOWN = 60
_MOST_PROBLEMS = 20

# The C loader reads 100,000 pods in seconds instead of a minute; it is not built everywhere.
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(Bounded, _SAFE):  # type: ignore[misc]  # found when it is imported
    """Labels may be merged into each of many pods."""

    most_merged = 1_000_000


def read_inventory(text: str, where: str) -> dict[PodKey, Pod]:
    """The pods of an inventory. Raises Refused naming file, field, value and what was expected of each fault.

    >>> list(read_inventory("pools: [{namespace: shop, base: web, pods: [{name: web-1, address: 'h:1'}]}]", "f"))
    [PodKey(namespace='shop', base='web', pod='web-1')]
    """
    try:
        document = yaml.load(text, Loader=_Loader)
    except FAULTS as error:
        raise Refused(f"{where}: not YAML: {fault_words(error)}") from error
    reader = _Reader()
    pods = reader.inventory(document)
    if reader.problems:
        named = [*reader.problems, *([f"and {reader.more} more"] if reader.more else [])]
        raise Refused("\n".join(f"{where}: {problem}" for problem in named))
    return pods


class _Reader:
    """Reads on after a fault, so that all are told at once."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        """The first of them; ``more``: how many there are besides."""
        self.more = 0
        self._pods: dict[PodKey, Pod] = {}
        self._paths: dict[object, str] = {}

    def inventory(self, document: object) -> dict[PodKey, Pod]:
        top = self._mapping("the document", document, ("pools",))
        for number, pool in enumerate(self._list("pools", top.get("pools"))):
            self._pool(f"pools[{number}]", pool)
        return self._pods

    def _pool(self, path: str, given: object) -> None:
        pool = self._mapping(path, given, POOL_FIELDS)
        namespace = self._name(f"{path}.namespace", pool.get("namespace"), NameKind.NAMESPACE)
        base = self._name(f"{path}.base", pool.get("base"), NameKind.BASE)
        labels = self._labels(f"{path}.labels", pool.get("labels"))
        for number, pod in enumerate(self._list(f"{path}.pods", pool.get("pods"))):
            self._pod(f"{path}.pods[{number}]", pod, namespace, base, labels)

    def _pod(
        self, path: str, given: object, namespace: str, base: str, base_labels: Mapping[str, str]
    ) -> None:
        pod = self._mapping(path, given, POD_FIELDS)
        name = self._name(f"{path}.name", pod.get("name"), NameKind.POD)
        address = self._text(f"{path}.address", pod.get("address"), _address_problem)
        uid = self._text(f"{path}.uid", pod["uid"], _uid_problem) if "uid" in pod else f"{name}@{address}"
        ready = pod.get("ready", True)
        if not isinstance(ready, bool):
            self._wrong(f"{path}.ready", ready, "true or false, without quotes")
        key = PodKey(namespace, base, name)
        if name and namespace and base:
            self._once(path, key, f"{path}.name", name)
        if address:
            self._once(path, address, f"{path}.address", address)
        labels = self._labels(f"{path}.labels", pod.get("labels"))
        self._pods[key] = Pod(key, uid, address, ready=ready is True, labels=labels, base_labels=base_labels)

    def _once(self, path: str, what: object, field: str, value: str) -> None:
        first = self._paths.setdefault(what, path)
        if first != path:
            self._wrong(field, value, f"each only once; {first} has it too")

    def _mapping(self, path: str, given: object, known: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(given, dict):
            self._wrong(path, given, f"a mapping with {', '.join(known)}")
            return {}
        for field in given:
            if field not in known:
                name = quoted(field)[1:-1] if isinstance(field, str) else shown(field)
                self._problem(f"{path}.{name}: unknown field, expected one of {', '.join(known)}")
        return given

    def _list(self, path: str, given: object) -> list[object]:
        if not isinstance(given, list):
            self._wrong(path, given, "a list")
            return []
        return given

    def _labels(self, path: str, given: object) -> Mapping[str, str]:
        if given is None:
            return {}
        if not isinstance(given, dict):
            self._wrong(path, given, "a mapping of labels")
            return {}
        for label, value in given.items():
            if not isinstance(label, str):
                self._wrong(path, label, "a label's name as text")
            elif not isinstance(value, str):
                self._wrong(f"{path}.{quoted(label)[1:-1]}", value, "text; write it in quotes")
        return {str(label): str(value) for label, value in given.items()}

    def _name(self, path: str, given: object, kind: NameKind) -> str:
        return self._text(path, given, lambda text: None if is_name(kind, text) else rule(kind))

    def _text(self, path: str, given: object, problem: Callable[[str], str | None]) -> str:
        if not isinstance(given, str):
            needs = problem("") or "text"
            quoted = (
                "; write it in quotes" if given is not None and not isinstance(given, dict | list) else ""
            )
            self._wrong(path, given, f"{needs}{quoted}")
            return ""
        if expected := problem(given):
            self._wrong(path, given, expected)
            return ""
        return given

    def _wrong(self, path: str, given: object, expected: str) -> None:
        if given is None:
            self._problem(f"{path} is missing: expected {expected}")
            return
        # Aliases can make a few lines endless: what is no text is named, not written out.
        text = ascii(given[:_SHOWN]) if isinstance(given, str) else shown(given)
        self._problem(
            f"{path} is {text if len(text) <= _SHOWN else f'{text[: _SHOWN - 1]}…'}: expected {expected}"
        )

    def _problem(self, words: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(words)
        else:
            self.more += 1


def _address_problem(text: str) -> str | None:
    address = read_address(text)
    return address if isinstance(address, str) else None


def _uid_problem(text: str) -> str | None:
    return None if 0 < len(text) <= 253 and text.isprintable() else "1 to 253 printable characters"
