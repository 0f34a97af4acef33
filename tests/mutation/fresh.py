"""A mutant that acts when its module is imported: the service and its tests are imported anew in a fork."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import pkgutil
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.cores import WITHOUT
from tests.mutation.judging import Trial, allow
from tests.mutation.sitting import failed, few_examples, sit

BEFOREHAND = (
    *("aiohttp", "coverage", "hypothesis.strategies", "nats", "prometheus_client", "pydantic_settings"),
    *("rich.console", "sortedcontainers", "structlog", "typer", "yaml"),
)
"""Imported once before all forks, with the shared package: no core is in them."""


def prepare() -> None:
    """Import what every fork needs."""
    shared = importlib.import_module("tranche")
    names = [found.name for found in pkgutil.walk_packages(shared.__path__, "tranche.")]
    for name in [*BEFOREHAND, *(name for name in names if not name.endswith(("__main__", ".leash")))]:
        importlib.import_module(name)


@dataclass
class InOrder:
    """The plugin: these tests in this order, then the others of their files, until one fails."""

    tests: Sequence[str]
    seconds: Mapping[str, float]
    noticed: str = field(default="(it cannot be imported)")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            return True
        few_examples(session.items)
        # A constant may be part of a test's name: such a test comes last, under its other name.
        rank = {name: number for number, name in enumerate(self.tests)}
        for item in sorted(session.items, key=lambda one: rank.get(one.nodeid, len(rank))):
            allow(5 + 10 * self.seconds.get(item.nodeid, 1))
            if failed(item):
                self.noticed = item.nodeid
                return True
        self.noticed = ""
        return True


class _Mutated(importlib.machinery.SourceFileLoader):
    code: types.CodeType

    def get_code(self, fullname: str) -> types.CodeType:
        return self.code


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, path: str, code: types.CodeType) -> None:
        self.name, self.path, self.code = name, path, code

    def find_spec(
        self, fullname: str, path: Any, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        loader = _Mutated(fullname, self.path)
        loader.code = self.code
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


def trial(
    name: str,
    path: str,
    code: types.CodeType,
    tests: Sequence[str],
    seconds: Mapping[str, float],
    temporary: Path,
) -> Trial:
    """Import module ``name`` with this code, then run the tests."""

    def run() -> str:
        sys.meta_path.insert(0, _Finder(name, path, code))
        sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115
        files = list(dict.fromkeys(one.partition("::")[0] for one in tests))
        plugin = InOrder(tests, seconds)
        sit(files, WITHOUT, plugin, temporary)
        return plugin.noticed

    return run
