"""Fixtures for tests on real Koupleless bases; every test below this directory is marked ``real``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.assets import Assets
from tests.real.bases import RealBases, shared_bases
from tests.real.jar_server import JarServer


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark it before anybody asks for the mark."""
    if item.path.is_relative_to(Path(__file__).parent):
        item.add_marker(pytest.mark.real)


@pytest.fixture
def real_bases(request: pytest.FixtureRequest) -> RealBases:
    """Two real bases, running and without modules. JVMs are shared: a test pays only for what it does."""
    bases = shared_bases(request.config)
    bases.clear()
    return bases


@pytest.fixture
def assets(real_bases: RealBases) -> Assets:
    """The jars, as files: ``assets.file_url("cart-1.0.0.jar")``."""
    return real_bases.assets


@pytest.fixture
def jars(assets: Assets) -> Iterator[JarServer]:
    """The jars over HTTP, counted: ``jars.url("cart-1.0.0.jar")``, ``jars.fetched``."""
    with JarServer(assets.directory) as server:
        yield server
