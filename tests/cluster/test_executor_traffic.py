"""Labels follow what was verified and lead what is to be taken down: judged by the bases and a watch on pods."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest
from kubernetes_asyncio.client import CoreV1Api, DiscoveryV1Api

from tests.cluster.executor_floor import BASE, CART, floor
from tests.cluster.tenant import Tenant
from tests.services.executor_stage import ran
from tranche.bus.nats import NatsBus
from tranche.bus.server import NatsServer
from tranche_fleet.arklet import Settings

pytestmark = pytest.mark.nats


async def test_a_label_is_there_exactly_while_the_module_serves_and_goes_before_it_is_taken_down(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path, settings=Settings(install_s=0.3)) as here:
        (base,) = here.hall.fleet
        await here.pods()
        await here.start()
        await here.hall.known(base.name)
        await here.labelled(base.name, cart=None, count="0")
        await here.hall.bring(base.name)
        assert (await here.labels(base.name)).get(CART) == "true", "in traffic when it counts as available"
        await here.hall.bring(base.name, "replace", 2, drain_s=2)
        assert ran(base) == ["install cart:1.0.0", "uninstall cart:1.0.0", "install cart:2.0.0"]
        await here.hall.bring(base.name, "replace", 1, beside=True, drain_s=2)
        await here.labelled(base.name, cart="true", count="1")
        beside = here.spans(base.name)
        await here.hall.bring(base.name, "remove", drain_s=1)
        await here.labelled(base.name, cart=None, count="0")
        assert len(beside) == 2, "one version served throughout: the label stayed"
        here.judge(base, drain_s=1)
        taken_down = [one.at for one in base.timeline.commands if one.command.startswith("uninstall")]
        assert here.spans(base.name)[0][1] is not None
        assert taken_down[0] - (here.spans(base.name)[0][1] or 0) >= 1.85


async def test_a_failed_installation_is_not_labelled(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        here.hall.contents[3] = here.hall.contents[2].but(revision=3, version="9.9.9")
        await here.pods()
        await here.start()
        await here.hall.known(base.name)
        record = await here.hall.bring(base.name, "install", 3)
        assert record.modules["cart"].state == "failed"
        await here.labelled(base.name, cart=None, count="1")
        here.judge(base)


async def test_an_apiserver_that_does_not_answer_holds_up_the_step_and_nothing_is_taken_down(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        await here.start()
        await here.hall.known(base.name)
        await here.hall.bring(base.name)
        tenant.plane.apiserver.freeze()
        token = await here.hall.claim(base.name, "remove")
        stuck = await here.hall.seen(
            base.name,
            lambda record: bool(record.operation and record.operation.state == "stuck"),
            timeout_s=30,
        )
        assert stuck.operation is not None
        assert "out of traffic" in stuck.operation.message
        assert ran(base) == ["install cart:1.0.0"]
        tenant.plane.apiserver.thaw()
        await here.hall.over(base.name, token, timeout_s=30)
        assert ran(base) == ["install cart:1.0.0", "uninstall cart:1.0.0"]
        await here.labelled(base.name, cart=None, count="0")
        here.judge(base)


async def test_who_takes_over_in_the_wait_waits_anew(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        first = await here.start()
        await here.hall.known(base.name)
        await here.hall.bring(base.name)
        token = await here.hall.claim(base.name, "replace", 2, drain_s=4)
        await here.labelled(base.name, cart=None)
        await first.kill()
        began = time.time()
        await here.start("executor-2")
        await here.hall.over(base.name, token, timeout_s=40)
        await here.labelled(base.name, cart="true")
        (down,) = [one for one in base.timeline.commands if one.command.startswith("uninstall")]
        assert down.at - began >= 4
        here.judge(base, drain_s=4)


async def test_labels_that_others_change_are_mended(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        await here.start()
        await here.hall.known(base.name)
        await here.hall.bring(base.name)
        theirs = "module.koupleless.io/theirs"
        await here.write(base.name, {CART: None, theirs: "true"})
        await here.labelled(base.name, cart="true", count="1")
        await here.write(base.name, {CART: "false"})
        await here.labelled(base.name, cart="true")
        assert (await here.labels(base.name))[theirs] == "true"
        here.judge(base)


async def test_a_pod_that_is_not_ready_or_ends_is_out_of_traffic(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        await here.start()
        await here.hall.known(base.name)
        await here.hall.bring(base.name)
        await tenant.workloads.ready(base.name, False)
        await here.labelled(base.name, cart=None)
        await tenant.workloads.ready(base.name, True)
        await here.labelled(base.name, cart="true")
        await tenant.workloads.delete(base.name)
        await here.labelled(base.name, cart=None)
        here.judge(base)


async def test_a_base_that_does_not_answer_stays_in_traffic(
    tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    """An executor that reaches no base must not take the whole pool out of traffic."""
    async with floor(tenant, nats_server, bus, tmp_path) as here:
        (base,) = here.hall.fleet
        await here.pods()
        await here.start()
        await here.hall.known(base.name)
        await here.hall.bring(base.name)
        base.kill_listener()
        await here.hall.seen(base.name, lambda record: record.reason == "PodUnreachable")
        # The record was written by the very look after which a label would be: a moment for that.
        await asyncio.sleep(1)
        assert (await here.labels(base.name))[CART] == "true"
        base.revive_listener()
        await here.hall.known(base.name)


async def test_endpoints_follow_the_label(
    managed_tenant: Tenant, nats_server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    address = _own_address()
    if address is None:
        pytest.skip("endpoints may not be loopback addresses, and this machine has no other")
    async with floor(managed_tenant, nats_server, bus, tmp_path) as here:
        base = await here.hall.fleet.add(
            f"{BASE}-x", namespace=managed_tenant.namespace, pool=BASE, address=f"{address}:0"
        )
        service = {
            "metadata": {"name": "cart-service"},
            "spec": {"selector": {CART: "true"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
        await CoreV1Api(managed_tenant.api).create_namespaced_service(managed_tenant.namespace, service)
        (name,) = await managed_tenant.workloads.controlled(BASE, 1)
        core = managed_tenant.workloads.core
        port = {"metadata": {"annotations": {"tranche.dev/arklet-port": base.address.rpartition(":")[2]}}}
        await core.patch_namespaced_pod(
            name, managed_tenant.namespace, port, _content_type="application/merge-patch+json"
        )
        await managed_tenant.workloads.node("node-1")
        await managed_tenant.workloads.bind(name, "node-1")
        made = await managed_tenant.workloads.run(name, address)
        here.hall.uids[name] = made.metadata.uid
        await here.start()
        await here.hall.known(name)

        endpoints: list[str] = []

        async def look() -> None:
            found = await DiscoveryV1Api(managed_tenant.api).list_namespaced_endpoint_slice(
                managed_tenant.namespace, label_selector="kubernetes.io/service-name=cart-service"
            )
            endpoints[:] = [end.target_ref.name for one in found.items for end in one.endpoints or []]

        async def until_endpoints(*wanted: str) -> None:
            async with asyncio.timeout(20):
                await look()
                while endpoints != list(wanted):
                    await asyncio.sleep(0.05)
                    await look()

        await here.hall.bring(name)
        await until_endpoints(name)
        token = await here.hall.claim(name, "replace", 2, drain_s=3)
        await until_endpoints()
        assert base.serves("cart") == "1.0.0", "the endpoint went first"
        await here.hall.over(name, token, timeout_s=20)
        await until_endpoints(name)
        assert base.serves("cart") == "2.0.0"


def _own_address() -> str | None:
    """An address of this machine that others could reach; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(unsent.getsockname()[0])
    return None if address.startswith("127.") else address
