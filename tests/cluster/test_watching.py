"""The list that is kept up to date, on a real apiserver: what it tells, and what it does when it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from tests.cluster.tenant import Tenant
from tranche.kubernetes.cache import ObjectKey
from tranche.kubernetes.cluster import Cluster
from tranche.kubernetes.watching import Pace, Watch
from tranche.runtime import SystemClock, system_runtime, wait_until


@asynccontextmanager
async def watched(tenant: Tenant, **pace: Any) -> AsyncIterator[tuple[Watch[str], list[set[str]]]]:
    """The pods of the tenant, by the value of their label ``v``."""
    told: list[set[str]] = []

    def tell(keys: Collection[ObjectKey]) -> None:
        told.append({key.name for key in keys})

    async with tenant.plane.access.client() as calls:
        watch = Watch(
            Cluster(calls, SystemClock()),
            system_runtime(),
            f"/api/v1/namespaces/{tenant.namespace}/pods",
            lambda pod: str((pod["metadata"].get("labels") or {}).get("v", "")),
            tell,
            Pace(pause_s=(0.05, 0.5), page=2, **pace),
        )
        task = asyncio.ensure_future(watch.run())
        try:
            yield watch, told
        finally:
            task.cancel()
            await asyncio.wait({task})


async def _until(watch: Watch[str], **wanted: str) -> None:
    async def known() -> bool | None:
        return {key.name: value for key, value in watch.items().items()} == wanted or None

    try:
        await wait_until(known, SystemClock(), timeout_s=20, every_s=0.005)
    except TimeoutError:
        raise AssertionError(f"known is {watch.items()}, expected {wanted}") from None


async def test_pods_come_change_and_go(tenant: Tenant) -> None:
    await tenant.workloads.deployment("web")
    for name in "abc":
        await tenant.workloads.pod("web", name, "127.9.0.1")
    async with watched(tenant) as (watch, told):
        await _until(watch, a="", b="", c="")
        assert told == [{"a", "b", "c"}], "three pages are one list"
        patch = {"metadata": {"labels": {"v": "2"}}}
        await tenant.workloads.core.patch_namespaced_pod(
            "a", tenant.namespace, patch, _content_type="application/merge-patch+json"
        )
        await tenant.workloads.finish("b")
        await _until(watch, a="2", c="")


async def test_what_happened_while_the_server_was_away_and_forgot_is_found(tenant: Tenant) -> None:
    await tenant.workloads.deployment("web")
    for name in "ab":
        await tenant.workloads.pod("web", name, "127.9.0.1")
    async with watched(tenant, watch_s=(2.0, 3.0)) as (watch, _):
        await _until(watch, a="", b="")
        # The version our watch stands at is forgotten, and so is what the apiserver had in memory.
        await tenant.workloads.finish("a")
        tenant.plane.compact()
        tenant.plane.restart()
        await tenant.workloads.pod("web", "c", "127.9.0.1")
        await _until(watch, b="", c="")


async def test_a_frozen_server_is_waited_for(tenant: Tenant) -> None:
    await tenant.workloads.deployment("web")
    await tenant.workloads.pod("web", "a", "127.9.0.1")
    async with watched(tenant, silence_s=1.0) as (watch, _):
        await _until(watch, a="")
        tenant.plane.apiserver.freeze()
        await asyncio.sleep(2.5)
        tenant.plane.apiserver.thaw()
        await tenant.workloads.finish("a")
        await _until(watch)
