"""The modules of one base: which are listed, which is active, who holds which context path."""

from __future__ import annotations

from tranche_fleet.biz import Biz, State
from tranche_fleet.javamap import java_order


class Registry:
    """Modules by name and version, listed in the order of Java's hash maps, as arklet does."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, Biz]] = {}
        self._zombies: list[Biz] = []

    def get(self, name: str, version: str) -> Biz | None:
        return self._by_name.get(name, {}).get(version)

    def versions(self, name: str) -> list[Biz]:
        """The versions of one module, in listing order."""
        versions = self._by_name.get(name, {})
        return [versions[version] for version in java_order(versions)]

    def listed(self) -> list[Biz]:
        """All modules; the base itself is not among them."""
        return [biz for name in java_order(self._by_name) for biz in self.versions(name)]

    def zombies(self) -> list[Biz]:
        """Modules that run but are in no list."""
        return list(self._zombies)

    def active(self, name: str) -> Biz | None:
        """The active version of a module; with several the one listed first."""
        return next((biz for biz in self.versions(name) if biz.state is State.ACTIVATED), None)

    def holds_path(self, path: str) -> bool:
        """Whether a module on this base already has the context path."""
        return any(biz.path == path for biz in (*self.listed(), *self._zombies))

    def add(self, biz: Biz) -> None:
        self._by_name.setdefault(biz.name, {})[biz.version] = biz

    def remove(self, biz: Biz) -> None:
        """Off the list, its context path free again. Of one that is not listed: nothing."""
        versions = self._by_name.get(biz.name, {})
        if versions.get(biz.version) is biz:
            del versions[biz.version]
            if not versions:
                del self._by_name[biz.name]

    def lose(self, biz: Biz) -> None:
        """Off the list while it starts: it goes on, holds its path, and nothing can remove it any more."""
        self.remove(biz)
        biz.zombie = True
        self._zombies.append(biz)
