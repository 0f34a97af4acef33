"""What is known of the objects of one list: pure, so that every order of answers can be tried.

A resource version is a number that grows with every write to the cluster. An answer that is older than what was
seen before (another API server that lags behind, a request that was overtaken) must not bring back what is past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class ObjectKey(NamedTuple):
    """An object of one kind."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """One object: ``value`` is what its reader made of it."""

    uid: str
    version: str
    value: T


@dataclass(slots=True)
class Cache(Generic[T]):
    """The objects by name. ``read``: what is kept of an object; None: nothing, as if it were not there."""

    read: Callable[[dict[str, Any]], T | None]
    known: dict[ObjectKey, Known[T]] = field(default_factory=dict)
    version: str = ""
    """Everything up to this resource version is in it; empty: nothing was listed yet."""

    def is_stale(self, version: str) -> bool:
        """Whether a list at this version is older than what is known."""
        return older(version, self.version)

    def replace(self, items: Iterable[dict[str, Any]], version: str) -> set[ObjectKey]:
        """Take a whole list in; the keys of which something else is known now, what vanished among them."""
        found: dict[ObjectKey, Known[T]] = {}
        for item in items:
            key, known = self._read(item)
            if known is not None:
                found[key] = known
        before, self.known, self.version = self.known, found, version
        return {key for key in before.keys() | found.keys() if _differs(before.get(key), found.get(key))}

    def change(self, kind: str, item: dict[str, Any]) -> ObjectKey | None:
        """Take one event in (ADDED, MODIFIED, DELETED); its key where something else is known now."""
        key, known = self._read(item)
        version = _version(item)
        before = self.known.get(key)
        if before is not None and older(version, before.version):
            return None
        self._advance(version)
        if kind == "DELETED" or known is None:
            self.known.pop(key, None)
            return key if before is not None else None
        self.known[key] = known
        return key if _differs(before, known) else None

    def learn(self, item: dict[str, Any]) -> ObjectKey | None:
        """Take an object in as it was answered to a call: newer, and the watch will still tell all before it."""
        key, known = self._read(item)
        before = self.known.get(key)
        if known is None or (before is not None and not older(before.version, known.version)):
            return None
        if before is None and older(known.version, self.version):
            return None  # deleted meanwhile: the watch is further than this
        self.known[key] = known
        return key if _differs(before, known) else None

    def mark(self, item: dict[str, Any]) -> None:
        """A bookmark: everything up to its version was told."""
        self._advance(_version(item))

    def values(self) -> Mapping[ObjectKey, T]:
        """All values now; a copy."""
        return {key: known.value for key, known in self.known.items()}

    def _advance(self, version: str) -> None:
        if version and not older(version, self.version):
            self.version = version

    def _read(self, item: dict[str, Any]) -> tuple[ObjectKey, Known[T] | None]:
        meta = item.get("metadata") or {}
        key = ObjectKey(meta.get("namespace", ""), meta.get("name", ""))
        value = self.read(item)
        if value is None:
            return key, None
        return key, Known(meta.get("uid", ""), _version(item), value)


def older(one: str, other: str) -> bool:
    """Whether a resource version is before another; what is no number cannot be compared, and is not.

    >>> older("9", "10"), older("10", "10"), older("x", "10"), older("10", "")
    (True, False, False, False)
    """
    return one.isdecimal() and other.isdecimal() and int(one) < int(other)


def _version(item: dict[str, Any]) -> str:
    return str((item.get("metadata") or {}).get("resourceVersion", ""))


def _differs(before: Known[T] | None, after: Known[T] | None) -> bool:
    if before is None or after is None:
        return before is not after
    return (before.uid, before.value) != (after.uid, after.value)
