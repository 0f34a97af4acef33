"""ModuleDeployments as people meet them through kubectl: tables, explanations, refusals and changes."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_asyncio.client import ApiException, ApiextensionsV1Api

from tests.cluster import crd
from tests.cluster.differences import made
from tests.cluster.field_values import RIGHT
from tests.cluster.submission import creations
from tests.cluster.tenant import PLACE, Tenant
from tests.cluster.workloads import MERGE
from tests.unit.test_manifest_examples import EXAMPLES
from tranche.contract.fields import LEAVES
from tranche.runtime import SystemClock, wait_until

STRATEGY = "spec.operationStrategy"
STATUS = {
    "phase": "Waiting",
    "message": "batch 1 of 3 is verified and waits for a person",
    "batch": {"current": 1, "count": 3, "state": "Waiting", "text": "1/3"},
    "releaseStatus": {"currentBatch": 1, "realBatchCount": 3},
    "replicas": 10,
    "updatedReplicas": 1,
    "availableReplicas": 9,
    "conditions": [
        {"type": "Available", "status": "True", "reason": "Enough", "message": "", "of": "tomorrow"}
    ],
    "ofTomorrow": {"kept": True},
}


async def say(tenant: Tenant, name: str, status: Any) -> Any:
    return await tenant.objects.patch_namespaced_custom_object_status(
        *PLACE, tenant.namespace, crd.PLURAL, name, {"status": status}, _content_type=MERGE
    )


async def test_its_table_tells_where_a_rollout_stands(tenant: Tenant) -> None:
    await tenant.create(made())
    await say(tenant, "cart", STATUS)
    head, row = (await tenant.kubectl("get", "mddeploy", "-o", "wide")).rows
    assert head == [
        *("NAME", "MODULE", "VERSION", "PHASE", "BATCH", "UPDATED", "AVAILABLE", "DESIRED", "AGE", "MESSAGE")
    ]
    assert row[:8] == ["cart", "cart", "1", "Waiting", "1/3", "1", "9", "10"]
    assert row[9] == STATUS["message"]
    assert "MESSAGE" not in (await tenant.kubectl("get", "moduledeployments")).out


async def test_what_a_newer_planner_says_is_kept_and_no_user_writes_status(tenant: Tenant) -> None:
    created = await tenant.create({**made(), "status": {"phase": "Healthy"}})
    assert "status" not in created
    told = (await say(tenant, "cart", STATUS))["status"]
    assert told == STATUS
    changed = await tenant.change("cart", {"spec": {"replicas": 3}, "status": {"phase": "Healthy"}})
    assert (changed["status"]["phase"], changed["metadata"]["generation"]) == ("Waiting", 2)


@pytest.mark.parametrize(
    "place",
    ["spec", "spec.operationStrategy", "spec.operationStrategy.serviceStrategy", "spec.template.spec.module"],
)
async def test_kubectl_explains_every_field(tenant: Tenant, place: str) -> None:
    text = (await tenant.kubectl("explain", f"mddeploy.{place}")).out
    here = tuple(place.split("."))
    fields = [path[-1] for path in LEAVES if path[:-1] == here]
    assert len(fields) >= 3
    for field in fields:
        assert f"\n  {field}\t<" in text, text
    assert place != STRATEGY or "Seconds to wait after each batch" in " ".join(text.split())


def examples_in(path: Path) -> list[Any]:
    """They go to the tenant's namespace."""
    documents = [one for one in yaml.safe_load_all(path.read_text()) if one.get("kind") == "ModuleDeployment"]
    for document in documents:
        del document["metadata"]["namespace"]
    return documents


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
async def test_an_example_applies(tenant: Tenant, path: Path) -> None:
    documents = examples_in(path)
    told = await tenant.kubectl.apply(*documents)
    assert told.out.splitlines() == [
        f"moduledeployment.koupleless.io/{document['metadata']['name']} created" for document in documents
    ]
    assert "unchanged" in (await tenant.kubectl.apply(*documents)).out


async def test_every_spelling_is_taken(tenant: Tenant) -> None:
    documents = []
    for path, values in RIGHT.items():
        # Ready for longer than the default deadline it needs another one.
        beside = {"spec.progressDeadlineSeconds": 0} if path == "spec.minReadySeconds" else {}
        documents += [made(**{**beside, path: deepcopy(value)}) for value in values]
    assert len(documents) > 150
    assert {verdict.message for verdict in await creations(tenant, documents)} == {""}


TOGETHER = [
    (
        {f"{STRATEGY}.useBeta": True, f"{STRATEGY}.batchCount": 1},
        "got 1 with useBeta true; expected 2 or more",
    ),
    (
        {"spec.replicas": -1, "spec.template.spec.upgradePolicy": "scaleupThenScaledown"},
        "got -1 with upgradePolicy scaleup_then_scaledown; expected 0 or more",
    ),
    ({"spec.minReadySeconds": 600}, "expected 0 for none, or more than minReadySeconds"),
    (
        {f"{STRATEGY}.grayTime": 1, f"{STRATEGY}.grayTimeBetweenBatchSeconds": 2},
        "expected the same as spec.operationStrategy.grayTime: both mean one field",
    ),
    (
        {"spec.maxUnavailable": "50%", f"{STRATEGY}.maxUnavailable": 5},
        "expected the same as spec.operationStrategy.maxUnavailable: both mean one field",
    ),
    (
        {f"{STRATEGY}.upgradePolicy": "recreate"},
        "expected one of uninstall_then_install, install_then_uninstall",
    ),
]


@pytest.mark.parametrize(("values", "words"), TOGETHER)
async def test_a_refusal_names_the_field_and_what_was_expected(
    tenant: Tenant, values: dict[str, Any], words: str
) -> None:
    told = await tenant.kubectl.apply(made(**values), ok=False)
    assert told.code == 1
    assert words in told.err


async def test_kubectl_refuses_an_unknown_field(tenant: Tenant) -> None:
    told = await tenant.kubectl.apply(made(spec__replcas=3), ok=False)
    assert told.code == 1
    assert 'unknown field "spec.replcas"' in told.err


@pytest.mark.parametrize(
    ("path", "old"), [("spec.baseDeploymentName", "web-base"), ("spec.template.spec.module.name", "cart")]
)
async def test_what_is_another_deployment_cannot_be_changed(tenant: Tenant, path: str, old: str) -> None:
    await tenant.kubectl.apply(made())
    told = await tenant.kubectl.apply(made(**{path: "other"}), ok=False)
    assert told.code == 1
    # The value itself is not shown by an apiserver, which says "string"; our words carry it.
    assert f'The ModuleDeployment "cart" is invalid: {path}: Invalid value' in told.err
    words = f'got "other"; expected "{old}" as before: it cannot be changed, '
    assert words + "give the other one a ModuleDeployment of its own" in told.err


async def test_a_peer_is_legal_because_kubectl_scale_writes_elsewhere(tenant: Tenant) -> None:
    """An apiserver that is told where the replicas stand refuses a number below 0."""
    await tenant.kubectl.apply(made(spec__replicas=-1))
    await tenant.kubectl("scale", "mddeploy/cart", "--replicas=3")
    spec = (await tenant.read("cart"))["spec"]
    assert (spec["replicas"], spec["scaledReplicas"]) == (-1, 3), "what follows is the planner's to say"
    variant = crd.definition()
    group = "scaled.koupleless.io"
    variant["metadata"]["name"] = f"{crd.PLURAL}.{group}"
    variant["spec"]["group"] = group
    variant["spec"]["names"]["shortNames"] = []
    variant["spec"]["versions"][0]["subresources"]["scale"] = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
    }
    extensions = ApiextensionsV1Api(tenant.api)
    await extensions.create_custom_resource_definition(variant)
    try:
        peer = {**made(spec__replicas=-1), "apiVersion": f"{group}/{crd.VERSION}"}

        async def refused() -> str | None:
            try:
                await tenant.objects.create_namespaced_custom_object(
                    group, crd.VERSION, tenant.namespace, crd.PLURAL, peer, dry_run="All"
                )
            except ApiException as error:
                # Until it is served nobody finds it.
                return None if error.status == 404 else str(json.loads(error.body)["message"])
            return "it was taken"

        words = await wait_until(refused, SystemClock(), timeout_s=60, every_s=0.1)
        assert ".spec.replicas: Invalid value: -1: should be a non-negative integer" in words
    finally:
        await extensions.delete_custom_resource_definition(variant["metadata"]["name"])
