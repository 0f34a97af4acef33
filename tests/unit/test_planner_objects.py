"""What a ModuleDeployment object says, and what is said back: wish, status, Events, Service."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.unit.planner_desk import BEGAN, Case
from tranche.contract.answer import FieldError
from tranche.contract.progress import Problem
from tranche.contract.status import GateStatus, Status
from tranche_planner.core.objects.notices import event_of, news, refused_notice, unheard_notice
from tranche_planner.core.objects.seen import Owner, Seen, seen
from tranche_planner.core.objects.services import Cannot, is_ours, service_of
from tranche_planner.core.objects.telling import (
    Mirrored,
    carried,
    describes,
    mirrored,
    refused_status,
    same,
    status_of,
    urgent,
)
from tranche_planner.core.objects.wishes import digest, manifest_of, spec_in, written_back

BODY: dict[str, Any] = {
    "apiVersion": "koupleless.io/v1alpha1",
    "kind": "ModuleDeployment",
    "metadata": {
        "namespace": "shop",
        "name": "cart",
        "uid": "u-1",
        "resourceVersion": "7",
        "generation": 3,
        "finalizers": ["tranche.dev/uninstall"],
        "annotations": {
            "tranche.dev/pause": '{"batch": 1}',
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": {"pause": False}}),
        },
        "managedFields": [
            {"manager": "tranche", "operation": "Apply", "fieldsV1": {"f:spec": {"f:pause": {}}}},
            {
                "manager": "kubectl-client-side-apply",
                "operation": "Update",
                "fieldsV1": {
                    "f:metadata": {
                        "f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}
                    },
                    "f:spec": {"f:replicas": {}},
                },
            },
            {
                "manager": "other",
                "operation": "Apply",
                "subresource": "status",
                "fieldsV1": {"f:spec": {"f:pause": {}}},
            },
        ],
    },
    "spec": {
        "baseDeploymentName": "web-base",
        "replicas": 4,
        "pause": True,
        "operationStrategy": {"maxUnavailable": "50%", "batchCount": 2},
        "template": {
            "spec": {"module": {"name": "cart", "version": "1.0.0", "url": "https://jars/cart.jar"}}
        },
    },
}


def changed(path: str, value: object, body: dict[str, Any] = BODY) -> Seen:
    """The object with another value at a place."""
    after = deepcopy(body)
    *where, last = path.split(".")
    inner = after
    for part in where:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return seen(after)


def test_an_object_is_read_once() -> None:
    object_ = seen(BODY)
    assert (object_.namespace, object_.name, object_.generation, object_.version) == ("shop", "cart", 3, "7")
    assert object_.finalized
    assert not object_.deleting
    pause = object_.pause
    assert (pause.value, pause.owners, pause.memory) == (
        True,
        {Owner("tranche", declares=True)},
        '{"batch": 1}',
    )
    assert (pause.declared, pause.appliers) == (False, {"kubectl-client-side-apply"})


@pytest.mark.parametrize("body", [{}, {"metadata": None}, {"metadata": {"name": "cart"}}])
def test_what_is_no_object_is_said_to_be_none(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="without metadata"):
        seen(body)


def test_fields_of_a_strange_kind_are_passed_over() -> None:
    odd = seen({"metadata": {**BODY["metadata"], "managedFields": [{"fieldsV1": {"f:spec": 3}}]}, "spec": []})
    assert (odd.spec, odd.pause.owners) == ({}, frozenset())


def test_the_wish_is_sent_without_what_has_ways_of_its_own() -> None:
    manifest = manifest_of(seen(BODY))
    assert manifest["metadata"] == {"namespace": "shop", "name": "cart"}
    assert manifest["spec"] == {key: value for key, value in BODY["spec"].items() if key != "pause"}
    assert manifest_of(seen(BODY), paused=True)["spec"]["pause"] is True


@pytest.mark.parametrize(
    ("path", "value", "another"),
    [
        ("spec.pause", False, False),
        ("metadata.labels", {"a": "b"}, False),
        ("status", {"phase": "Healthy"}, False),
        ("spec.replicas", 5, True),
        ("spec.confirmBatchNum", 1, True),
    ],
)
def test_the_digest_tells_another_wish(path: str, value: object, another: bool) -> None:
    assert (digest(changed(path, value)) != digest(seen(BODY))) is another


@pytest.mark.parametrize(
    ("change", "patch"),
    [
        ({"replicas": 9}, {"replicas": 9}),
        ({"pause": True, "confirm_batch_num": 2}, {}),
        ({"max_unavailable": None}, {"operationStrategy": {"maxUnavailable": None}}),
        ({"gray_time_s": 5}, {"operationStrategy": {"grayTime": 5}}),
    ],
)
def test_what_was_agreed_elsewhere_is_written_where_it_differs(
    change: dict[str, Any], patch: dict[str, Any]
) -> None:
    stands = spec_in(seen(BODY))
    assert stands is not None
    assert written_back(seen(BODY), stands) == {}
    assert written_back(seen(BODY), stands.but(**change)) == patch


def test_an_older_content_is_written_back_as_a_whole() -> None:
    stands = spec_in(changed("spec.template.spec.module.args", ["--a"]))
    assert stands is not None
    older = stands.but(module=stands.module.but(version="0.9.0", url="https://jars/old.jar", args=()))
    assert written_back(changed("spec.template.spec.module.args", ["--a"]), older) == {
        "template": {
            "spec": {"module": {"version": "0.9.0", "url": "https://jars/old.jar", "args": None}},
        }
    }


def test_nothing_is_written_into_an_object_that_is_not_valid() -> None:
    stands = spec_in(seen(BODY))
    assert stands is not None
    assert written_back(changed("spec.replicas", "many"), stands.but(replicas=9)) == {}


def healthy() -> Status:
    case = Case()
    case.apply("1.0.0", replicas=4)
    case.finish()
    return case.status


def test_the_status_has_our_names_and_those_that_tools_read() -> None:
    body = status_of(healthy(), Mirrored(digest="d", generation=7, rollout_generation=1))
    assert (body["phase"], body["observedGeneration"], body["rolloutGeneration"]) == ("Healthy", 7, 1)
    assert (body["replicas"], body["availableReplicas"], body["updatedReplicas"]) == (4, 4, 4)
    assert (body["readyReplicas"], body["unavailableReplicas"]) == (4, 0)
    assert body["releaseStatus"] == {
        "currentBatch": body["batch"]["current"],
        "realBatchCount": body["batch"]["count"],
        "progress": "Completed",
        "batchProgress": "Completed",
    }
    assert {condition["observedGeneration"] for condition in body["conditions"]} == {7}
    assert {condition["type"]: condition["status"] for condition in body["conditions"]}["Completed"] == "True"
    assert "namespace" not in body
    assert mirrored(body) == Mirrored(digest="d", generation=7, rollout_generation=1)


def test_a_batch_that_waits_for_a_person_is_called_as_tools_know_it() -> None:
    waits = healthy().but(gates=(GateStatus(gate="confirm", since=BEGAN),))
    assert status_of(waits, Mirrored())["releaseStatus"]["progress"] == "WaitingForConfirmation"


def test_a_status_of_an_earlier_wish_does_not_describe_this_one() -> None:
    wish = Mirrored(generation=8, rollout_generation=2)
    assert not describes(None, wish)
    assert not describes(healthy(), wish)
    assert describes(healthy().but(generation=2), wish)
    stands = {"phase": "Healthy", "observedGeneration": 7}
    assert carried(stands, wish) | {"mirrored": 0} == {
        **stands,
        "reason": "Accepted",
        "message": "accepted",
    } | {
        "mirrored": 0,
        "service": "",
    }


def test_a_wish_that_never_led_to_a_deployment_is_invalid() -> None:
    errors = (FieldError(field="spec.replicas", message="got -5"), FieldError(field="", message="and so on"))
    wish = Mirrored(digest="d", generation=2, errors=errors)
    body = refused_status(wish)
    assert (body["phase"], body["observedGeneration"]) == ("Invalid", 2)
    assert body["message"] == "spec.replicas: got -5; and so on"
    assert mirrored(body) == wish
    assert mirrored({"mirrored": 3}) == Mirrored()


def test_only_counts_may_wait() -> None:
    before = status_of(healthy(), Mirrored())
    assert not urgent(before, {**before, "available": 3})
    assert urgent(before, {**before, "phase": "Degraded"})
    assert same(before, {**before, "at": "later", "documentRevision": 99})
    assert not same(before, {**before, "available": 3})


def test_an_event_is_told_once() -> None:
    status = healthy()
    notice = news(status, {})
    assert notice is not None
    assert news(status, status_of(status, Mirrored())) is None
    event = event_of(notice, seen(BODY))
    assert (event["reason"], event["type"]) == ("RolloutCompleted", "Normal")
    assert event["involvedObject"]["uid"] == "u-1"
    assert event == event_of(notice, seen(BODY))
    others = {
        event_of(one, seen(BODY))["metadata"]["name"]
        for one in (
            refused_notice(Mirrored(digest="d"), BEGAN),
            unheard_notice(("argocd",), 2, 1, BEGAN),
            notice,
        )
    }
    assert len(others) == 3
    assert event_of(refused_notice(Mirrored(), BEGAN), seen(BODY))["type"] == "Warning"


def test_problems_beside_the_rollout_are_told_too() -> None:
    problem = Problem(reason="ServiceConflict", message="there is one")
    assert (
        status_of(healthy(), Mirrored(), problems=(problem,))["problems"][-1]["reason"] == "ServiceConflict"
    )


STRATEGY = "spec.operationStrategy.serviceStrategy"


def test_a_service_selects_the_pods_that_serve_the_module() -> None:
    object_ = changed(STRATEGY, {"enableModuleService": True, "port": 80, "targetPort": "http"})
    service = service_of(object_)
    assert isinstance(service, dict)
    assert service["metadata"]["name"] == "cart-service"
    assert service["spec"]["selector"] == {"module.koupleless.io/cart": "true"}
    assert service["spec"]["ports"] == [
        {"name": "module", "protocol": "TCP", "port": 80, "targetPort": "http"}
    ]
    assert is_ours(service, object_)
    assert not is_ours({"metadata": {}}, object_)


@pytest.mark.parametrize("strategy", [None, {}, {"enableModuleService": False, "port": 80}])
def test_no_service_where_none_is_asked_for(strategy: object) -> None:
    assert service_of(changed(STRATEGY, strategy)) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (STRATEGY, {"enableModuleService": True}),
        (STRATEGY, {"enableModuleService": True, "port": 80, "targetPort": 0}),
        ("spec.template.spec.module.name", "Cart.Module"),
    ],
)
def test_a_service_that_cannot_be_is_a_problem(path: str, value: object) -> None:
    body = deepcopy(BODY)
    body["spec"]["operationStrategy"]["serviceStrategy"] = {"enableModuleService": True, "port": 80}
    assert isinstance(service_of(changed(path, value, body)), Cannot)
