"""Objects word for word: whole statuses, Events and Services, and every edge of reading an object."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from tests.unit.planner_desk import Case
from tests.unit.test_planner_objects import BODY, STRATEGY, changed, healthy
from tranche.contract.answer import FieldError
from tranche.contract.message import rfc3339
from tranche.contract.progress import Problem
from tranche.contract.quantity import Quantity
from tranche.contract.spec import UpgradePolicy
from tranche.contract.status import BatchState, Phase
from tranche_planner.core.objects.notices import (
    LONGEST,
    WARNINGS,
    Notice,
    event_of,
    news,
    refused_notice,
    unheard_notice,
)
from tranche_planner.core.objects.seen import OURS, Owner, PauseField, seen
from tranche_planner.core.objects.services import REASON, Cannot, foreign, service_of
from tranche_planner.core.objects.telling import (
    MOST_ERRORS,
    Mirrored,
    carried,
    mirrored,
    refusal,
    refused_status,
    status_of,
    urgent,
)
from tranche_planner.core.objects.wishes import digest, spec_in, written_back

AT = datetime(2026, 1, 31, 9, 30, 5, 123000, tzinfo=UTC)
OWN = {"digest": "d", "generation": 7, "rolloutGeneration": 1, "errors": []}
WISH = Mirrored(digest="d", generation=7, rollout_generation=1)


# --- status ---


def test_a_status_as_a_whole() -> None:
    status = healthy()
    batch = status.batch
    assert status_of(status, WISH, service="cart-service") == {
        "at": rfc3339(status.at),
        "event": {"reason": status.event.reason, "message": status.event.message},
        "observedGeneration": 7,
        "rolloutGeneration": 1,
        "revision": 1,
        "phase": "Healthy",
        "reason": status.reason,
        "message": status.message,
        "next": "tranche history shop/cart",
        "base": "web-base",
        "module": "cart",
        "targetVersion": "1.0.0",
        "stableVersion": "1.0.0",
        "replicas": 4,
        "updated": 4,
        "available": 4,
        "updatedAvailable": 4,
        "unavailable": 0,
        "failed": 0,
        "moving": 0,
        "availableReplicas": 4,
        "readyReplicas": 4,
        "updatedReplicas": 4,
        "unavailableReplicas": 0,
        "batch": {"current": batch.current, "count": batch.count, "state": "Verified", "text": "1/1"},
        "batches": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in status.batches],
        "gates": [],
        "budget": status.budget.model_dump(mode="json", by_alias=True),
        "problems": [],
        "conditions": [
            {**one.model_dump(mode="json", by_alias=True), "observedGeneration": 7}
            for one in status.conditions
        ],
        "pods": [],
        "startedAt": rfc3339(status.started_at) if status.started_at else None,
        "policy": "scatter",
        "upgradePolicy": "uninstall_then_install",
        "documentRevision": status.document_revision,
        "releaseStatus": {
            "currentBatch": 1,
            "realBatchCount": 1,
            "progress": "Completed",
            "batchProgress": "Completed",
        },
        "labelSelector": "module.koupleless.io/cart=true",
        "mirrored": OWN,
        "service": "cart-service",
    }
    assert status_of(status, WISH)["service"] == ""


@pytest.mark.parametrize(
    ("phase", "progress"),
    [
        ("Pending", "Init"),
        ("Progressing", "Executing"),
        ("Waiting", "Executing"),
        ("Paused", "Paused"),
        ("Blocked", "Executing"),
        ("Healthy", "Completed"),
        ("Degraded", "Executing"),
        ("Aborting", "Executing"),
        ("Aborted", "Aborted"),
        ("Invalid", "Init"),
        ("Deleting", "Terminating"),
        ("Deleted", "Terminated"),
    ],
)
def test_every_phase_has_a_word_that_tools_know(phase: Phase, progress: str) -> None:
    assert status_of(healthy().but(phase=phase), WISH)["releaseStatus"]["progress"] == progress


def test_no_phase_is_left_out() -> None:
    told = {phase: status_of(healthy().but(phase=phase), WISH)["phase"] for phase in get_args(Phase)}
    assert told == {phase: phase for phase in get_args(Phase)}


@pytest.mark.parametrize(
    ("state", "progress"),
    [
        ("Pending", "Init"),
        ("Releasing", "Executing"),
        ("Waiting", "Executing"),
        ("Verified", "Completed"),
        ("Failed", "Executing"),
    ],
)
def test_every_state_of_a_batch_has_one_too(state: BatchState, progress: str) -> None:
    status = healthy()
    told = status_of(status.but(batch=status.batch.but(state=state, current=2, count=3)), WISH)
    assert told["releaseStatus"]["batchProgress"] == progress
    assert told["batch"] == {"current": 2, "count": 3, "state": state, "text": "2/3"}


def test_nothing_that_is_not_known_is_told() -> None:
    case = Case()
    case.apply("1.0.0", replicas=4)
    assert "stableVersion" not in status_of(case.status, WISH)


ERRORS = (FieldError(field="spec.replicas", message="got -5"), FieldError(field="", message="and so on"))


def test_a_refusal_as_a_whole() -> None:
    wish = Mirrored(digest="d", generation=2, errors=ERRORS)
    other = Problem(reason="ServiceConflict", message="there is one")
    assert refused_status(wish, (other,)) == {
        "phase": "Invalid",
        "reason": "Invalid",
        "message": "spec.replicas: got -5; and so on",
        "next": "mend the object: the message names the field, what was given and what is expected",
        "observedGeneration": 2,
        "problems": [
            {"reason": "Invalid", "message": "spec.replicas: got -5; and so on", "count": 2, "pods": []},
            {"reason": "ServiceConflict", "message": "there is one", "count": 1, "pods": []},
        ],
        "mirrored": {
            "digest": "d",
            "generation": 2,
            "rolloutGeneration": 0,
            "errors": [
                {"field": "spec.replicas", "message": "got -5"},
                {"field": "", "message": "and so on"},
            ],
        },
        "service": "",
    }


def test_a_long_refusal_is_told_in_part() -> None:
    many = tuple(FieldError(field="", message=str(number)) for number in range(MOST_ERRORS + 5))
    told = refused_status(Mirrored(errors=many))
    assert told["message"] == "; ".join(map(str, range(20)))
    assert (told["problems"][0]["count"], len(told["mirrored"]["errors"])) == (25, 20)
    assert len(refusal(Mirrored(errors=(FieldError(field="", message="x" * 9000),))).message) == 4000


def test_a_refusal_without_a_reason_is_one() -> None:
    assert refusal(Mirrored()) == Problem(reason="Invalid", message="it was refused", count=1)


def test_what_stands_is_carried_on() -> None:
    assert carried({}, WISH) == {
        "phase": "Pending",
        "reason": "Accepted",
        "message": "accepted",
        "mirrored": OWN,
        "service": "",
    }
    assert carried({"phase": "Healthy", "reason": "x", "message": "y"}, WISH, "s") == {
        "phase": "Healthy",
        "reason": "x",
        "message": "y",
        "mirrored": OWN,
        "service": "s",
    }


def test_what_was_mirrored_is_read_back() -> None:
    assert mirrored({"mirrored": OWN}) == WISH
    assert mirrored({}) == mirrored({"mirrored": None}) == mirrored({"mirrored": "x"}) == Mirrored()
    assert Mirrored() == Mirrored(digest="", generation=0, rollout_generation=0, errors=())


@pytest.mark.parametrize(
    "key",
    ["phase", "reason", "observedGeneration", "rolloutGeneration", "mirrored", "batch", "service"],
)
def test_what_is_told_at_once(key: str) -> None:
    assert urgent({}, {key: 1})
    assert not urgent({key: 1}, {key: 1, "available": 3})


# --- Events ---


def test_an_event_as_a_whole() -> None:
    notice = Notice("Paused", "x" * 2000, "1/2", AT)
    event = event_of(notice, seen(BODY))
    name = event["metadata"].pop("name")
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "shop"},
        "involvedObject": {
            "apiVersion": "koupleless.io/v1alpha1",
            "kind": "ModuleDeployment",
            "namespace": "shop",
            "name": "cart",
            "uid": "u-1",
        },
        "type": "Normal",
        "reason": "Paused",
        "message": "x" * LONGEST,
        "firstTimestamp": "2026-01-31T09:30:05Z",
        "lastTimestamp": "2026-01-31T09:30:05Z",
        "count": 1,
        "source": {"component": "tranche"},
        "reportingComponent": "tranche",
        "reportingInstance": "tranche",
    }
    stem, _, word = name.partition(".")
    assert (stem, len(word)) == ("cart", 16)
    assert LONGEST == 1024


@pytest.mark.parametrize(
    "other",
    [
        Notice("Resumed", "words", "1/2", AT),
        Notice("Paused", "other words", "1/2", AT),
        Notice("Paused", "words", "1/3", AT),
    ],
)
def test_what_makes_it_another_event(other: Notice) -> None:
    notice, object_ = Notice("Paused", "words", "1/2", AT), seen(BODY)
    name = event_of(notice, object_)["metadata"]["name"]
    assert event_of(other, object_)["metadata"]["name"] != name
    assert event_of(notice, changed("metadata.uid", "u-2"))["metadata"]["name"] != name
    assert event_of(Notice("Paused", "words", "1/2", AT.replace(hour=3)), object_)["metadata"]["name"] == name


def test_a_long_name_is_cut() -> None:
    event = event_of(Notice("Paused", "", "", AT), changed("metadata.name", "n" * 253))
    assert event["metadata"]["name"].partition(".")[0] == "n" * 200


@pytest.mark.parametrize("reason", sorted(WARNINGS))
def test_what_is_a_warning(reason: str) -> None:
    assert Notice(reason, "", "", AT).type == "Warning"


def test_which_reasons_are_warnings() -> None:
    assert {
        "Invalid",
        "BudgetExhausted",
        "InsufficientCapacity",
        "OperationStuck",
        "InvalidCapacity",
        "InstallFailed",
        "UninstallFailed",
        "PodUnreachable",
        "PodLost",
        "ProgressDeadlineExceeded",
        "PoolFrozen",
        "Aborted",
        "ServiceConflict",
    } == WARNINGS


def test_what_happened_is_news_until_it_is_told() -> None:
    status = healthy()
    told = {"event": status.event.model_dump(), "rolloutGeneration": status.generation}
    about = f"{status.generation}/{status.document_revision}"
    notice = Notice(status.event.reason, status.event.message, about, status.at)
    assert news(status, told) is None
    for other in ({}, {**told, "rolloutGeneration": 0}, {**told, "event": {"reason": "x", "message": "y"}}):
        assert news(status, other) == notice


def test_refusals_and_what_was_not_heard_word_for_word() -> None:
    wish = Mirrored(digest="d", generation=2, errors=ERRORS)
    assert refused_notice(wish, AT) == Notice("Invalid", "spec.replicas: got -5; and so on", "2/d", AT)
    assert unheard_notice(("argocd", "flux"), 3, 1, AT) == Notice(
        "AwaitingConfirm",
        "spec.pause: false by argocd, flux confirms nothing: it said so before batch 1 began to wait. Confirm with "
        "kubectl patch, or with tranche confirm",
        "3/1/argocd, flux",
        AT,
    )


# --- Service ---


def test_a_service_as_a_whole() -> None:
    object_ = changed(STRATEGY, {"enableModuleService": True, "port": 80})
    assert service_of(object_) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "cart-service",
            "namespace": "shop",
            "ownerReferences": [
                {
                    "apiVersion": "koupleless.io/v1alpha1",
                    "kind": "ModuleDeployment",
                    "name": "cart",
                    "uid": "u-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "selector": {"module.koupleless.io/cart": "true"},
            "ports": [{"name": "module", "protocol": "TCP", "port": 80, "targetPort": 80}],
        },
    }
    assert REASON == "ServiceConflict"


@pytest.mark.parametrize(
    ("module", "can"),
    [("m" * 55, True), ("m" * 56, False), ("1cart", False), ("ca-rt", True), ("ca.rt", False), ("", False)],
)
def test_which_module_names_a_service_can_have(module: str, can: bool) -> None:
    body = deepcopy(BODY)
    body["spec"]["operationStrategy"]["serviceStrategy"] = {"enableModuleService": True, "port": 80}
    wanted = service_of(changed("spec.template.spec.module.name", module, body))
    assert isinstance(wanted, dict) is can
    if not can:
        rule = "at most 63 lower-case letters, digits and '-', a letter first"
        assert wanted == Cannot(f"no Service can be named {module}-service: {rule}")


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ({}, "port: expected a whole number from 1 to 65535"),
        ({"port": 0}, "port: expected a whole number from 1 to 65535"),
        ({"port": 65536}, "port: expected a whole number from 1 to 65535"),
        ({"port": 1, "targetPort": 0}, "targetPort: expected a port from 1 to 65535, or a port's name"),
    ],
)
def test_ports_that_are_none(strategy: dict[str, Any], why: str) -> None:
    asked = changed(STRATEGY, {"enableModuleService": True, **strategy})
    assert service_of(asked) == Cannot(f"spec.operationStrategy.serviceStrategy.{why}")


@pytest.mark.parametrize("port", [1, 65535])
def test_ports_at_the_edges(port: int) -> None:
    assert isinstance(service_of(changed(STRATEGY, {"enableModuleService": True, "port": port})), dict)


def test_what_is_said_of_a_foreign_service() -> None:
    words = "there is a Service cart-service that is not of this ModuleDeployment: it is left as it is"
    assert foreign("cart-service") == Cannot(words)


# --- reading and writing back ---


def test_what_is_not_given_in_an_object() -> None:
    metadata = {"namespace": "shop", "name": "cart", "uid": "u", "resourceVersion": "1"}
    bare = seen({"metadata": metadata})
    assert (bare.api_version, bare.generation, bare.deleting) == ("koupleless.io/v1alpha1", 0, False)
    assert (bare.finalizers, bare.abandon, bare.spec, bare.status) == ((), False, {}, {})
    assert bare.pause == PauseField(None)
    assert (bare.pause.memory, bare.pause.ours, bare.scaled) == ("", False, None)


def test_what_is_given_in_an_object() -> None:
    assert changed("metadata.deletionTimestamp", "2026-01-31T09:30:00Z").deleting
    assert changed("metadata.annotations", {"tranche.dev/abandon": "true"}).abandon
    assert not changed("metadata.annotations", {"tranche.dev/abandon": "yes"}).abandon
    assert changed("apiVersion", "koupleless.alipay.com/v1alpha1").api_version.startswith("koupleless.alipay")
    assert changed("status", {"phase": "Healthy"}).status == {"phase": "Healthy"}
    assert changed("metadata.annotations", {"tranche.dev/scaled": "7"}).scaled == 7
    assert changed("metadata.annotations", {"tranche.dev/scaled": "1" * 9}).scaled == 111_111_111
    assert changed("metadata.annotations", {"tranche.dev/scaled": "1" * 10}).scaled is None


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"^got an object without metadata\.uid$"):
        seen({"metadata": {"namespace": "shop", "name": "cart"}})


def test_whose_the_pause_is() -> None:
    both = PauseField(True, frozenset({Owner(OURS, declares=True), Owner("kubectl-edit")}))
    assert both.ours
    assert both.others == {Owner("kubectl-edit")}
    assert not PauseField(True, frozenset({Owner("kubectl-edit")})).ours
    assert OURS == "tranche"


def test_every_entry_of_the_managed_fields_is_read() -> None:
    status, spec = {"f:status": {}}, {"f:spec": {"f:pause": {}}}
    fields = [
        {"manager": "a", "operation": "Apply", "subresource": "status", "fieldsV1": spec},
        {"manager": "b", "operation": "Update", "fieldsV1": status},
        {"manager": "c", "operation": "Update", "fieldsV1": spec},
        {"operation": "Apply", "fieldsV1": spec},
    ]
    assert changed("metadata.managedFields", fields).pause.owners == {Owner("c"), Owner("", declares=True)}


def test_the_digest_is_one_word_for_one_wish() -> None:
    body = deepcopy(BODY)
    body["spec"] = dict(reversed(body["spec"].items()))
    assert digest(seen(body)) == digest(seen(BODY)) == "8ab6b7689e2282832347c5c0a8e71f7f"


def test_every_kind_of_value_is_written_as_people_write_it() -> None:
    stands = spec_in(seen(BODY))
    assert stands is not None
    assert spec_in(seen(BODY), ["https://elsewhere/"]) is None
    module = stands.module.but(sha256="a" * 64, args=("--a", "--b"))
    agreed = stands.but(
        namespace="other",
        name="other",
        base="other",
        module=module.but(name="other"),
        max_unavailable=Quantity(3),
        failure_threshold=Quantity(10, percent=True),
        upgrade_policy=UpgradePolicy.INSTALL_THEN_UNINSTALL,
        use_beta=True,
    )
    assert written_back(seen(BODY), agreed) == {
        "operationStrategy": {
            "maxUnavailable": 3,
            "failureThreshold": "10%",
            "upgradePolicy": "install_then_uninstall",
            "useBeta": True,
        },
        "template": {"spec": {"module": {"sha256": "a" * 64, "args": ["--a", "--b"]}}},
    }
