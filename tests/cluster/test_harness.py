"""The harness itself: a control plane that restarts in place, callers with rights, pods that nobody runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes_asyncio.client import ApiException, CoreV1Api, DiscoveryV1Api

from tests.cluster.binaries import HELP, Missing, look_for
from tests.cluster.control_plane import ControlPlane
from tests.cluster.tenant import Tenant
from tranche.runtime import SystemClock, wait_until


async def test_everybody_has_the_rights_that_rbac_gives(tenant: Tenant) -> None:
    core, place = CoreV1Api(tenant.api), tenant.namespace
    await tenant.kubectl("create", "role", "reader", "--verb=list", "--resource=pods")
    await tenant.kubectl(
        "create", "rolebinding", "readers", "--role=reader", f"--serviceaccount={place}:executor"
    )
    service = await tenant.plane.access.service_account(place, "executor")
    async with service.client() as api:
        assert (await CoreV1Api(api).list_namespaced_pod(place)).items == []
        with pytest.raises(ApiException) as refused:
            await CoreV1Api(api).list_namespaced_secret(place)
        assert refused.value.status == 403
    person = tenant.plane.access.standing_in_for("ann", "developers")
    async with person.client() as api:
        with pytest.raises(ApiException, match='User \\\\"ann\\\\" cannot list resource'):
            await CoreV1Api(api).list_namespaced_pod(place)
    assert (await core.list_namespaced_service_account(place)).items[0].metadata.name == "executor"
    as_service = tenant.kubectl_of(service)
    assert (await as_service("auth", "can-i", "list", "pods")).out.strip() == "yes"
    assert (await as_service("auth", "can-i", "delete", "pods", ok=False)).out.strip() == "no"


async def test_an_apiserver_restarts_with_its_address_and_data(tenant: Tenant) -> None:
    plane = tenant.plane
    await tenant.workloads.deployment("web-base")
    plane.restart()
    assert (await tenant.workloads.apps.read_namespaced_deployment("web-base", tenant.namespace)).metadata.uid
    before = (await CoreV1Api(tenant.api).list_namespaced_pod(tenant.namespace)).metadata.resource_version
    await tenant.workloads.pod("web-base", "web-base-1")
    plane.compact()
    plane.restart()
    with pytest.raises(ApiException) as too_old:
        await CoreV1Api(tenant.api).list_namespaced_pod(
            tenant.namespace, resource_version=before, resource_version_match="Exact"
        )
    assert too_old.value.status == 410


def test_a_test_begins_with_servers_that_run(cluster: ControlPlane) -> None:
    cluster.apiserver.kill()
    cluster.etcd.freeze()
    cluster.revive()
    assert all(server.running for server in cluster.servers.values())


async def test_pods_made_by_hand_are_owned_as_real_ones_and_leave_as_they_do(tenant: Tenant) -> None:
    pods = tenant.workloads
    await pods.deployment("web-base", 2)
    await pods.pod("web-base", "web-base-1")
    made = await pods.pod("web-base", "web-base-2", "10.1.0.2", labels={"a": "b"})
    assert made.status.pod_ip == "10.1.0.2"
    assert made.metadata.owner_references[0].kind == "ReplicaSet"
    assert made.metadata.labels["a"] == "b"
    unready = await pods.ready("web-base-2", False)
    assert {one.type: one.status for one in unready.status.conditions} == {
        "Ready": "False",
        "ContainersReady": "True",
    }
    await pods.delete("web-base-2")
    marked = await CoreV1Api(tenant.api).read_namespaced_pod("web-base-2", tenant.namespace)
    assert marked.metadata.deletion_timestamp is not None
    await pods.finish("web-base-2")
    left = await CoreV1Api(tenant.api).list_namespaced_pod(tenant.namespace)
    assert [one.metadata.name for one in left.items] == ["web-base-1"]


async def test_controllers_make_pods_and_endpoints(managed_tenant: Tenant) -> None:
    pods, place = managed_tenant.workloads, managed_tenant.namespace
    await pods.node("node-1")
    await pods.deployment("web-base", 2)
    first, second = await pods.controlled("web-base", 2)
    for number, name in enumerate((first, second), 1):
        await pods.bind(name, "node-1")
        await pods.run(name, f"10.1.0.{number}")
    await CoreV1Api(managed_tenant.api).create_namespaced_service(
        place,
        {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web-base"}, "ports": [{"port": 80}]}},
    )

    async def served() -> bool | None:
        found = await DiscoveryV1Api(managed_tenant.api).list_namespaced_endpoint_slice(place)
        addresses = [
            address for piece in found.items for end in piece.endpoints or [] for address in end.addresses
        ]
        return True if sorted(addresses) == ["10.1.0.1", "10.1.0.2"] else None

    await wait_until(served, SystemClock(), timeout_s=60, every_s=0.1)
    await wait_until(
        lambda: _ready_replicas(managed_tenant, "web-base", 2), SystemClock(), timeout_s=60, every_s=0.1
    )


async def _ready_replicas(tenant: Tenant, name: str, count: int) -> bool | None:
    found = await tenant.workloads.apps.read_namespaced_deployment(name, tenant.namespace)
    return True if found.status.ready_replicas == count else None


def test_what_is_missing_is_said_with_the_way_to_get_it(tmp_path: Path) -> None:
    nothing = look_for({}, tmp_path / "envtest")
    assert nothing == Missing(HELP, fatal=False)
    wrong = look_for({"KUBEBUILDER_ASSETS": str(tmp_path)}, tmp_path / "envtest")
    assert isinstance(wrong, Missing)
    assert wrong.fatal
    assert (
        f"KUBEBUILDER_ASSETS is {tmp_path}, and etcd, kube-apiserver, kubectl cannot be found" in wrong.reason
    )
    assert "setup-envtest" in HELP
