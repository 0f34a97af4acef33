"""Fixtures for tests on a real apiserver; every test below this directory is marked ``cluster``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.planes import shared_plane
from tests.cluster.tenant import Tenant, tenancy


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark it before anybody asks for the mark."""
    if item.path.is_relative_to(Path(__file__).parent):
        item.add_marker(pytest.mark.cluster)


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> ControlPlane:
    """etcd and an apiserver, and nobody who does anything by himself. One for the whole session."""
    return shared_plane(request.config, controllers=False)


@pytest.fixture
def managed_cluster(request: pytest.FixtureRequest) -> ControlPlane:
    """Another, where kube-controller-manager makes pods of Deployments, endpoints of Services, and cleans up."""
    return shared_plane(request.config, controllers=True)


@pytest.fixture
async def tenant(cluster: ControlPlane) -> AsyncIterator[Tenant]:
    """A fresh namespace of the cluster without controllers."""
    async with tenancy(cluster) as given:
        yield given


@pytest.fixture
async def managed_tenant(managed_cluster: ControlPlane) -> AsyncIterator[Tenant]:
    """A fresh namespace of the cluster with controllers."""
    async with tenancy(managed_cluster) as given:
        yield given
