"""Which Deployments are bases, whose a pod is, and what is read of both."""

from __future__ import annotations

from typing import Any

import pytest

from tranche_executor.core.capacity import SPELLINGS
from tranche_executor.core.pod import KUBERNETES, PodKey
from tranche_executor.core.workload import (
    Deployment,
    Requirement,
    Selector,
    Workload,
    base_of,
    described,
    displaced,
    is_base,
)
from tranche_executor.kubernetes.reading import read_deployment, read_workload

WEB = Deployment("web", Selector({"app": "web"}))


def pod(**facts: Any) -> Workload:
    given = {"namespace": "shop", "name": "web-1-a", "uid": "u1", "ip": "10.0.0.7", "ready": True}
    return Workload(**{**given, "labels": {"app": "web"}, **facts})


@pytest.mark.parametrize(
    ("requirement", "labels", "met"),
    [
        (("zone", "In", {"a", "b"}), {"zone": "a"}, True),
        (("zone", "In", {"a", "b"}), {"zone": "c"}, False),
        (("zone", "In", {"a", "b"}), {}, False),
        (("zone", "NotIn", {"a"}), {}, True),
        (("zone", "NotIn", {"a"}), {"zone": "a"}, False),
        (("zone", "Exists", set()), {"zone": ""}, True),
        (("zone", "Exists", set()), {}, False),
        (("zone", "DoesNotExist", set()), {}, True),
        (("zone", "DoesNotExist", set()), {"zone": "a"}, False),
        (("zone", "Gt", {"1"}), {"zone": "2"}, False),
    ],
)
def test_selectors_match_as_in_kubernetes(requirement: Any, labels: dict[str, str], met: bool) -> None:
    key, operator, values = requirement
    selector = Selector({"app": "web"}, (Requirement(key, operator, frozenset(values)),))
    assert selector.matches({"app": "web", **labels}) is met
    assert not selector.matches(labels)


@pytest.mark.parametrize(
    ("facts", "is_one"),
    [
        ({}, False),
        ({"labels": {"tranche.dev/base": "true"}}, True),
        ({"labels": {"tranche.dev/base": "false"}}, False),
        *[({"labels": {spelling: "5"}}, True) for spelling in SPELLINGS],
        ({"ports": frozenset({("http", 8080)})}, False),
        ({"ports": frozenset({("", 1238)})}, True),
        ({"ports": frozenset({("arklet", 9000)})}, True),
    ],
)
def test_a_deployment_is_a_base_only_where_it_says_so(facts: Any, is_one: bool) -> None:
    assert is_base(Deployment("web", Selector({"app": "web"}), **facts), 1238) is is_one


@pytest.mark.parametrize(
    ("owner", "found"),
    [
        (("ReplicaSet", "web-7d9f"), True),
        (("ReplicaSet", "web-admin-7d9f"), False),
        (("StatefulSet", "web-7d9f"), False),
        (("Job", "web"), False),
        (None, True),
    ],
)
def test_a_pod_is_of_the_deployment_whose_replica_set_owns_it(owner: Any, found: bool) -> None:
    assert (base_of(pod(owner=owner), [WEB]) is not None) is found


def test_of_two_deployments_with_one_selector_the_owner_tells_and_else_nobody() -> None:
    other = Deployment("web-admin", Selector({"app": "web"}))
    assert base_of(pod(owner=("ReplicaSet", "web-admin-1")), [WEB, other]) == other
    assert base_of(pod(owner=("ReplicaSet", "web-1")), [WEB, other]) == WEB
    assert base_of(pod(), [WEB, other]) is None


@pytest.mark.parametrize(
    ("facts", "address", "ready"),
    [
        ({}, "10.0.0.7:1238", True),
        ({"port": 9000}, "10.0.0.7:9000", True),
        ({"ip": "fd00::7"}, "[fd00::7]:1238", True),
        ({"ip": ""}, "", False),
        ({"ready": False}, "10.0.0.7:1238", False),
        ({"terminating": True}, "10.0.0.7:1238", False),
    ],
)
def test_a_pod_is_described_as_any_other(facts: Any, address: str, ready: bool) -> None:
    told = described(pod(**facts), WEB, 1238)
    assert (told.key, told.source) == (PodKey("shop", "web", "web-1-a"), KUBERNETES)
    assert (told.address, told.ready) == (address, ready)
    assert told.terminating is facts.get("terminating", False)
    assert (displaced(told).address, displaced(told).ready) == ("", False)


def test_all_that_is_known_of_it_is_told() -> None:
    limited = Deployment("web", WEB.selector, {"koupleless.io/max-module-count": "5"})
    told = described(pod(incarnation="base:0:c1"), limited, 1238)
    assert (told.labels, told.base_labels) == ({"app": "web"}, limited.labels)
    assert (told.uid, told.incarnation) == ("u1", "base:0:c1")


def test_a_selector_of_several_parts_needs_all_of_them() -> None:
    both = Selector({"app": "web", "zone": "a"})
    assert not both.matches({"app": "web"})
    assert both.matches({"app": "web", "zone": "a"})
    assert Selector(requirements=(Requirement("zone", "Exists"),)).matches({"zone": "a"})
    assert base_of(pod(labels={"app": "other"}), [WEB]) is None


def document(**changes: Any) -> dict[str, Any]:
    """A pod as the server has it."""
    container = {"name": "base", "ports": [{"name": "http", "containerPort": 80}]}
    status = {"podIP": "10.0.0.7", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    meta = {"namespace": "shop", "name": "web-1-a", "uid": "u1", "labels": {"app": "web"}}
    return {
        "metadata": {**meta, **changes.pop("meta", {})},
        "spec": {"containers": changes.pop("containers", [container])},
        "status": {**status, **changes},
    }


def test_a_pod_is_read() -> None:
    assert read_workload(document()) == pod()
    assert read_workload(document(meta={"deletionTimestamp": "2026-01-31T09:30:00Z"})) == pod(
        terminating=True
    )
    owners = [{"kind": "Node", "name": "n"}, {"kind": "ReplicaSet", "name": "web-1", "controller": True}]
    assert read_workload(document(meta={"ownerReferences": owners})) == pod(owner=("ReplicaSet", "web-1"))


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_is_over_is_none(phase: str) -> None:
    assert read_workload(document(phase=phase)) is None


@pytest.mark.parametrize(
    "conditions", [None, [], [{"type": "Ready", "status": "Unknown"}], [{"type": "Initialized"}]]
)
def test_without_the_word_that_it_is_ready_it_is_not(conditions: Any) -> None:
    found = read_workload(document(conditions=conditions))
    assert found is not None
    assert not found.ready


@pytest.mark.parametrize(
    ("annotation", "port"),
    [(None, 9000), ("7000", 7000), ("0", 9000), ("many", 9000), ("70000", 9000), ("1" * 50, 9000)],
)
def test_a_pods_own_port_is_what_its_annotation_says_else_its_container(
    annotation: str | None, port: int
) -> None:
    containers = [
        {"name": "base", "ports": [{"containerPort": 80}, {"name": "arklet", "containerPort": 9000}]}
    ]
    meta = {"annotations": {"tranche.dev/arklet-port": annotation}} if annotation else {}
    found = read_workload(document(containers=containers, meta=meta))
    assert found is not None
    assert found.port == port


def test_another_run_of_the_base_is_seen_and_one_of_a_sidecar_is_none() -> None:
    containers = [{"name": "base", "ports": [{"name": "arklet", "containerPort": 9000}]}, {"name": "proxy"}]

    def run(base: int, proxy: int) -> str:
        statuses = [
            {"name": "base", "restartCount": base, "containerID": f"containerd://b{base}"},
            {"name": "proxy", "restartCount": proxy, "containerID": f"containerd://p{proxy}"},
        ]
        found = read_workload(document(containers=containers, containerStatuses=statuses))
        assert found is not None
        return found.incarnation

    assert run(0, 0) == run(0, 1) != run(1, 1)
    unsaid = read_workload(document(containerStatuses=[{"name": "base", "restartCount": 0}]))
    assert unsaid is not None
    assert unsaid.incarnation == ""


def test_labels_are_ours_as_long_as_nobody_else_writes_them() -> None:
    fields = {"f:metadata": {"f:labels": {".": {}, "f:module.koupleless.io/cart": {}}}}
    managed = [{"manager": "tranche", "fieldsV1": fields}, {"manager": "kubelet"}, {"manager": "kubectl"}]
    found = read_workload(document(meta={"managedFields": managed}))
    assert found is not None
    assert found.ours == {"module.koupleless.io/cart"}


def test_a_deployment_is_read_with_its_own_labels_above_its_templates() -> None:
    template = {
        "metadata": {"labels": {"app": "web", "koupleless.io/max-module-count": "3"}},
        "spec": {"containers": [{"name": "base", "ports": [{"name": "arklet", "containerPort": 9000}]}]},
    }
    expression = {"key": "zone", "operator": "In", "values": ["a"]}
    found = {
        "metadata": {"name": "web", "labels": {"koupleless.io/max-module-count": "5"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [expression]},
            "template": template,
        },
    }
    assert read_deployment(found) == Deployment(
        "web",
        Selector({"app": "web"}, (Requirement("zone", "In", frozenset({"a"})),)),
        {"app": "web", "koupleless.io/max-module-count": "5"},
        frozenset({("arklet", 9000)}),
    )
    assert read_deployment({}) == Deployment("", Selector())
