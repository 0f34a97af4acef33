"""The executor finds the pods of bases in a cluster, follows what becomes of them, and contacts no others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cluster.executor_floor import BASE, floor
from tests.cluster.tenant import Tenant
from tests.services.executor_stage import ran
from tranche.bus.nats import NatsBus
from tranche.bus.server import NatsServer
from tranche.contract import subjects
from tranche.runtime import SystemClock, wait_until

pytestmark = pytest.mark.nats


async def test_pods_of_a_base_are_found_and_no_others(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path, pods=2) as here:
        first, second = here.hall.fleet
        await tenant.workloads.deployment("database")
        await tenant.workloads.pod("database", "database-1", second.address.split(":")[0])
        await here.pod(first, labels={"koupleless.io/max-module-count": "3"})
        await here.start()
        record = await here.hall.known(first.name)
        assert (record.source, record.address, record.max_modules) == ("kubernetes", first.address, 3)
        assert await here.hall.record("database-1") is None
        await here.pod(second)
        assert (await here.hall.known(second.name)).max_modules == 5


async def test_a_deployment_that_a_plan_names_is_a_base(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        place = (tenant.namespace, "plain")
        await tenant.workloads.deployment("plain")
        await tenant.workloads.pod("plain", "plain-1", base.address.split(":")[0])
        await here.start()
        # Nothing tells that something does not happen; what follows shows that it could have.
        await asyncio.sleep(1)
        assert await bus.last(subjects.AVAILABILITY, subjects.record(*place, "plain-1")) is None
        await bus.publish(subjects.plan(*place, "cart"), b"{}")

        async def known() -> bool | None:
            return (
                await bus.last(subjects.AVAILABILITY, subjects.record(*place, "plain-1")) is not None or None
            )

        await wait_until(known, SystemClock(), timeout_s=20, every_s=0.02)


async def test_a_pod_comes_goes_and_comes_again(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path, pods=2) as here:
        first, second = here.hall.fleet
        await here.start()
        # Without an address it is known and not ready.
        await tenant.workloads.pod(BASE, first.name)
        await here.hall.seen(first.name, lambda record: not record.ready and record.address == "")
        made = await tenant.workloads.run(first.name, first.address.split(":")[0], ready=False)
        here.hall.uids[first.name] = made.metadata.uid
        await here.hall.seen(first.name, lambda record: not record.ready and record.address == first.address)
        await tenant.workloads.ready(first.name, True)
        await here.hall.known(first.name)
        await here.hall.bring(first.name)
        # Terminating: not ready at once, gone when it is gone.
        await tenant.workloads.delete(first.name)
        await here.hall.seen(first.name, lambda record: record.terminating and not record.ready)
        assert not (await here.hall.record(first.name)).gone
        await tenant.workloads.finish(first.name)
        await here.hall.seen(first.name, lambda record: record.gone)
        # The same name is another pod, at the other base's address.
        made = await tenant.workloads.pod(BASE, first.name, second.address.split(":")[0])
        known = await here.hall.seen(
            first.name, lambda record: record.ready and record.uid == made.metadata.uid
        )
        assert (known.address, known.modules) == (second.address, {})
        # Evicted: over, though the object is still there.
        await here.say(first.name, {"phase": "Failed", "reason": "Evicted"})
        await here.hall.seen(first.name, lambda record: record.gone)


async def test_an_address_given_to_another_pod_is_not_contacted_under_the_old_claim(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        executor = await here.start()
        await here.hall.known(base.name)
        old = here.hall.uids[base.name]
        await executor.kill()
        # While nobody looked the pod went, and its address went to another.
        await tenant.workloads.finish(base.name)
        await tenant.workloads.pod(BASE, "web-base-x", base.address.split(":")[0])
        token = await here.hall.claim(base.name, uid=old)
        await here.start("executor-2")
        record = await here.hall.seen(base.name, lambda record: record.gone, timeout_s=20)
        assert record.operation is None or record.operation.token != token
        await here.hall.known("web-base-x")
        assert ran(base) == []


async def test_pods_that_left_with_their_base_while_nobody_watched_are_gone(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        executor = await here.start()
        await here.hall.known(base.name)
        await executor.kill()
        await tenant.workloads.finish(base.name)
        await tenant.workloads.apps.delete_namespaced_deployment(BASE, tenant.namespace)
        await here.start("executor-2")
        await here.hall.seen(base.name, lambda record: record.gone, timeout_s=40)


async def test_a_deployment_that_leaves_its_pods_behind_takes_none_of_them(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        await here.start()
        await here.hall.known(base.name)
        await here.hall.bring(base.name)
        # Without controllers nobody collects what it owned.
        await tenant.workloads.apps.delete_namespaced_deployment(BASE, tenant.namespace)
        await tenant.workloads.deployment(BASE, labels={"koupleless.io/max-module-count": "7"})
        record = await here.hall.seen(base.name, lambda record: record.max_modules == 7)
        assert record.ready
        assert record.modules["cart"].revision == 1


async def test_a_base_restarted_in_place_is_looked_at_at_once(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        run = {"name": "base", "image": "x", "imageID": "x", "ready": True}
        await here.say(base.name, {"containerStatuses": [{**run, "restartCount": 0, "containerID": "c://1"}]})
        await here.start(observe_s=3600)
        await here.hall.known(base.name)
        await here.hall.bring(base.name)
        await here.labelled(base.name, cart="true", count="1")
        base.restart()
        await here.say(base.name, {"containerStatuses": [{**run, "restartCount": 1, "containerID": "c://2"}]})
        await here.hall.seen(base.name, lambda record: record.ready and not record.modules, timeout_s=5)
        await here.labelled(base.name, cart=None, count="0")


async def test_without_the_rights_it_waits_for_them(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        await tenant.kubectl("delete", "rolebinding", "executor")
        await here.start()
        # Nothing tells that something does not happen: as long as a start takes with rights, many times over.
        await asyncio.sleep(2)
        assert await here.hall.record(base.name) is None
        account = f"--serviceaccount={tenant.namespace}:executor"
        await tenant.kubectl("create", "rolebinding", "executor", "--role=executor", account)
        await here.hall.seen(base.name, lambda record: record.ready, timeout_s=60)


async def test_as_a_process_it_finds_the_cluster_by_its_kubeconfig(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        executor = await here.process()
        await executor.start(wait=False)
        try:
            await here.hall.seen(base.name, lambda record: record.ready, timeout_s=90)
            await here.hall.bring(base.name)
            await here.labelled(base.name, cart="true", count="1")
        finally:
            await executor.kill()
