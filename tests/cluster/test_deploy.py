"""deploy/: what an apiserver says of it, the rights it gives, and the settings and configuration it hands out."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from tests.cluster.roles import DEPLOY
from tests.cluster.tenant import Tenant
from tranche.bus.server import server_program
from tranche.settings import Settings
from tranche_executor.settings import ExecutorSettings
from tranche_planner.settings import PlannerSettings

OVERLAYS = ("one-node", "three-nodes")
RIGHTS = {
    "tranche-planner": {
        ("koupleless.io", "moduledeployments", "get list patch watch"),
        ("koupleless.io", "moduledeployments/status", "patch"),
        ("koupleless.io", "moduledeployments/finalizers", "update"),
        ("", "events", "create"),
    },
    "tranche-executor": {
        ("", "pods", "get list patch watch"),
        ("apps", "deployments", "get list watch"),
    },
}
"""Group, resource and verbs: neither Secrets nor commands in pods, nothing outside the namespace."""

Json = dict[str, Any]


async def rendered(tenant: Tenant, folder: str) -> list[Json]:
    told = await tenant.kubectl("kustomize", str(DEPLOY / folder))
    return list(yaml.safe_load_all(told.out))


def templates(documents: list[Json]) -> dict[str, Json]:
    """The pods that come of it, by what they come of."""
    found = {}
    for one in documents:
        if one["kind"] in ("Deployment", "StatefulSet"):
            template = found[one["metadata"]["name"]] = one["spec"]["template"]
            claimed = [claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", ())]
            template["spec"]["volumes"] += [{"name": name, "emptyDir": {}} for name in claimed]
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
async def test_an_apiserver_takes_all_of_it(tenant: Tenant, overlay: str) -> None:
    documents = await rendered(tenant, f"overlays/{overlay}")
    told = await tenant.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "-f", "-"), stdin=yaml.safe_dump_all(documents)
    )
    assert len(told.out.splitlines()) == len(documents)
    # The custom resource is there already, made by other hands than kubectl's.
    assert [line for line in told.err.splitlines() if "customresourcedefinitions" not in line] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
async def test_pods_run_where_only_restricted_ones_may(tenant: Tenant, overlay: str) -> None:
    level = "pod-security.kubernetes.io/enforce=restricted"
    await tenant.kubectl("label", "namespace", tenant.namespace, level)
    for name, template in templates(await rendered(tenant, f"overlays/{overlay}")).items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": template["spec"]}
        told = await tenant.kubectl("create", "--dry-run=server", "--validate=false", "-f", "-", stdin=pod)
        assert (told.out, told.err) == (f"pod/{name} created (server dry run)\n", "")
    loose = {"containers": [{"name": "x", "image": "x"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"}, "spec": loose}
    refused = await tenant.kubectl("create", "--dry-run=server", "-f", "-", stdin=pod, ok=False)
    assert 'violates PodSecurity "restricted' in refused.err


async def test_nobody_may_more_than_he_has_to(tenant: Tenant) -> None:
    documents = await rendered(tenant, "base")
    found = {
        one["metadata"]["name"]: {
            (group, resource, " ".join(sorted(rule["verbs"])))
            for rule in one["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }
        for one in documents
        if one["kind"] == "Role"
    }
    assert found == RIGHTS
    assert not [one for one in documents if one["kind"].startswith("Cluster")]
    assert {
        name: template["spec"]["automountServiceAccountToken"]
        for name, template in templates(documents).items()
    } == {"tranche-planner": True, "tranche-scheduler": False, "tranche-executor": True}


async def test_each_service_scales_on_its_own(tenant: Tenant) -> None:
    services = [one for one in await rendered(tenant, "base") if one["kind"] == "Deployment"]
    await tenant.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(services))
    wanted = {"tranche-planner": 2, "tranche-scheduler": 2, "tranche-executor": 2}
    for name, count in (("tranche-executor", 7), ("tranche-scheduler", 3), ("tranche-planner", 1)):
        wanted[name] = count
        await tenant.kubectl("scale", f"deployment/{name}", f"--replicas={count}")
        told = await tenant.kubectl("get", "deployments", "-o", "json")
        assert {one["metadata"]["name"]: one["spec"]["replicas"] for one in told.json["items"]} == wanted


SETTINGS: dict[str, type[Settings]] = {
    "tranche-planner": PlannerSettings,
    "tranche-scheduler": Settings,
    "tranche-executor": ExecutorSettings,
}


@pytest.mark.parametrize("overlay", OVERLAYS)
async def test_services_know_every_setting_they_are_given(
    tenant: Tenant, overlay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = templates(await rendered(tenant, f"overlays/{overlay}"))
    for name, kind in SETTINGS.items():
        (container,) = found[name]["spec"]["containers"]
        with monkeypatch.context() as environment:
            for variable in container["env"]:
                assert variable["name"].removeprefix("TRANCHE_").lower() in kind.model_fields
                environment.setenv(variable["name"], variable["value"])
            given = kind()
        assert (given.http_port, given.http_host, given.log) == (8080, "0.0.0.0", "json")
        assert given.replicas == (3 if overlay == "three-nodes" else 1)


@pytest.mark.parametrize("kind", ["one", "three"])
def test_a_real_server_takes_its_configuration(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "tranche-nats-0")
    configuration = DEPLOY / "nats" / kind / "nats.conf"
    found = subprocess.run(
        [server_program(), "-t", "-c", str(configuration)], capture_output=True, text=True, check=False
    )
    assert (found.returncode, "is valid" in found.stderr) == (0, True), found.stderr
    assert "sync_interval: always" in configuration.read_text()
