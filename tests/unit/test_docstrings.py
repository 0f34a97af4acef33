"""The examples in docstrings run, and say what they claim."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tranche
import tranche_cli
import tranche_executor
import tranche_fleet
import tranche_planner
import tranche_scheduler

PACKAGES = (tranche, tranche_planner, tranche_scheduler, tranche_executor, tranche_cli, tranche_fleet)
MODULES = sorted(
    found.name
    for package in PACKAGES
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith(("__main__", ".leash"))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0
