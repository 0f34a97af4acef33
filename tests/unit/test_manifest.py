"""What is accepted: every spelling users have, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from tranche.contract.manifest import Accepted, parse_manifest
from tranche.contract.quantity import Quantity
from tranche.contract.spec import SchedulingPolicy, Spec, UpgradePolicy

SMALLEST: Mapping[str, Any] = {
    "apiVersion": "koupleless.io/v1alpha1",
    "kind": "ModuleDeployment",
    "metadata": {"name": "cart"},
    "spec": {
        "baseDeploymentName": "web-base",
        "template": {
            "spec": {
                "module": {
                    "name": "cart",
                    "version": "2.0.0",
                    "url": "http://modules.example/cart-2.0.0.jar",
                }
            }
        },
    },
}


def with_field(path: str, value: object, document: Mapping[str, Any] = SMALLEST) -> dict[str, Any]:
    """A copy of the document with one more field."""
    changed = deepcopy(dict(document))
    *outer, last = path.split(".")
    place = changed
    for part in outer:
        place = place.setdefault(part, {})
    place[last] = value
    return changed


def accept(document: object, **subject: str) -> Accepted:
    answer = parse_manifest(document, **subject)
    assert isinstance(answer, Accepted), answer
    return answer


def test_the_smallest_manifest_gets_the_defaults() -> None:
    spec = accept(SMALLEST).spec
    assert (spec.namespace, spec.name, spec.base) == ("default", "cart", "web-base")
    assert (spec.module.name, spec.module.version) == ("cart", "2.0.0")
    assert (spec.module.url, spec.module.sha256) == ("http://modules.example/cart-2.0.0.jar", None)
    assert spec.module.args == ()
    assert (spec.replicas, spec.batch_count, spec.use_beta, spec.need_confirm) == (1, 1, False, False)
    assert (spec.gray_time_s, spec.max_unavailable) == (0, None)
    assert spec.scheduling_policy is SchedulingPolicy.SCATTER
    assert spec.upgrade_policy is UpgradePolicy.UNINSTALL_THEN_INSTALL
    assert (spec.pause, spec.confirm_batch_num, spec.revision_history_limit) == (None, None, 10)
    assert (spec.min_ready_seconds, spec.progress_deadline_seconds) == (0, 600)
    assert (spec.failure_threshold, spec.auto_rollback) == (Quantity(0), False)
    assert accept(SMALLEST).warnings == ()


OPERATION = "spec.operationStrategy"
MODULE = "spec.template.spec.module"
SPELLINGS: list[tuple[str, object, str, object]] = [
    ("apiVersion", "koupleless.alipay.com/v1alpha1", "name", "cart"),
    ("apiVersion", "serverless.alipay.com/v1alpha1", "name", "cart"),
    ("metadata.namespace", "shop", "namespace", "shop"),
    ("spec.replicas", 0, "replicas", 0),
    ("spec.replicas", -1, "replicas", -1),
    ("spec.replicas", 1_000_000, "replicas", 1_000_000),
    ("spec.replicas", None, "replicas", 1),
    (f"{OPERATION}.batchCount", 1000, "batch_count", 1000),
    (f"{OPERATION}.useBeta", True, "batch_count", 2),
    (f"{OPERATION}.needConfirm", True, "need_confirm", True),
    (f"{OPERATION}.grayTime", 604_800, "gray_time_s", 604_800),
    (f"{OPERATION}.grayTimeBetweenBatchSeconds", 30, "gray_time_s", 30),
    ("spec.maxUnavailable", 3, "max_unavailable", Quantity(3)),
    ("spec.maxUnavailable", 0, "max_unavailable", Quantity(0)),
    ("spec.maxUnavailable", "0%", "max_unavailable", Quantity(0, percent=True)),
    ("spec.maxUnavailable", "100%", "max_unavailable", Quantity(100, percent=True)),
    (f"{OPERATION}.maxUnavailable", "50%", "max_unavailable", Quantity(50, percent=True)),
    ("spec.schedulingStrategy.schedulingPolicy", "Scatter", "scheduling_policy", SchedulingPolicy.SCATTER),
    ("spec.schedulingStrategy.schedulingPolicy", "STACKING", "scheduling_policy", SchedulingPolicy.STACKING),
    ("spec.pause", True, "pause", True),
    ("spec.pause", False, "pause", False),
    ("spec.confirmBatchNum", 2, "confirm_batch_num", 2),
    ("spec.confirmBatchNum", 0, "confirm_batch_num", 0),
    ("spec.revisionHistoryLimit", 3, "revision_history_limit", 3),
    ("spec.minReadySeconds", 0, "min_ready_seconds", 0),
    ("spec.progressDeadlineSeconds", 600, "progress_deadline_seconds", 600),
    (f"{OPERATION}.failureThreshold", 0, "failure_threshold", Quantity(0)),
    (f"{OPERATION}.failureThreshold", "0%", "failure_threshold", Quantity(0, percent=True)),
    (f"{OPERATION}.autoRollback", False, "auto_rollback", False),
    (f"{OPERATION}.drainSeconds", 30, "drain_seconds", 30),
]


@pytest.mark.parametrize(("path", "value", "field", "meaning"), SPELLINGS)
def test_a_field_is_read(path: str, value: object, field: str, meaning: object) -> None:
    assert getattr(accept(with_field(path, value)).spec, field) == meaning


@pytest.mark.parametrize("place", [f"{OPERATION}.upgradePolicy", "spec.template.spec.upgradePolicy"])
@pytest.mark.parametrize(
    "spelling",
    [
        "install_then_uninstall",
        "INSTALL_THEN_UNINSTALL",
        "Install_Then_Uninstall",
        "installThenUninstall",
        "InstallThenUninstall",
        "INSTALLTHENUNINSTALL",
    ],
)
def test_policies_are_read_in_any_letter_case_and_both_cases(place: str, spelling: str) -> None:
    spec = accept(with_field(place, spelling)).spec
    assert spec.upgrade_policy is UpgradePolicy.INSTALL_THEN_UNINSTALL


@pytest.mark.parametrize(
    ("field", "value", "meaning"),
    [
        ("sha256", "AB" * 32, "ab" * 32),
        (
            "args",
            ["--server.servlet.context-path=/cart-{version}"],
            ("--server.servlet.context-path=/cart-{version}",),
        ),
        ("args", [], ()),
        ("version", "1.0.0-SNAPSHOT+build.7", "1.0.0-SNAPSHOT+build.7"),
        ("version", "7", "7"),
        ("name", "dynamic_Provider.2", "dynamic_Provider.2"),
        (
            "url",
            "https://user-content.example:8443/a/b.jar?sig=a%2Fb",
            "https://user-content.example:8443/a/b.jar?sig=a%2Fb",
        ),
        ("url", "file:///srv/modules/cart.jar", "file:///srv/modules/cart.jar"),
    ],
)
def test_a_module_is_read(field: str, value: object, meaning: object) -> None:
    assert getattr(accept(with_field(f"{MODULE}.{field}", value)).spec.module, field) == meaning


@pytest.mark.parametrize(
    ("first", "second", "one", "other"),
    [
        (f"{OPERATION}.grayTime", f"{OPERATION}.grayTimeBetweenBatchSeconds", 30, 30),
        ("spec.maxUnavailable", f"{OPERATION}.maxUnavailable", "50%", "50%"),
        (
            f"{OPERATION}.upgradePolicy",
            "spec.template.spec.upgradePolicy",
            "install_then_uninstall",
            "InstallThenUninstall",
        ),
    ],
)
def test_two_spellings_of_one_field_may_say_the_same(
    first: str, second: str, one: object, other: object
) -> None:
    accept(with_field(second, other, with_field(first, one)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.labels", {"a.b/c": "d", 1: 2}),
        ("metadata.annotations", {"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
        ("metadata.creationTimestamp", date(2024, 1, 25)),
        ("metadata.creationTimestamp", None),
        ("metadata.managedFields", [{"manager": "kubectl"}]),
        ("metadata.resourceVersion", "28170024"),
        ("metadata.uid", "65e3"),
        ("metadata.generation", 4),
        ("metadata.finalizers", []),
        ("metadata.ownerReferences", []),
        ("status", {"anything": [1, {"x": None}]}),
        ("spec.template.metadata", {"creationTimestamp": None}),
        ("spec.template.spec.selector", {"matchLabels": {"app": "cart"}}),
        (f"{MODULE}.type", "ark-biz"),
        ("spec.schedulingStrategy", {}),
        ("spec.operationStrategy", None),
    ],
)
def test_what_nobody_reads_is_ignored(path: str, value: object) -> None:
    assert accept(with_field(path, value)) == accept(SMALLEST)


def test_the_namespace_comes_from_the_subject_when_the_manifest_has_none() -> None:
    assert accept(SMALLEST, namespace="shop", name="cart").spec.namespace == "shop"
    assert accept(with_field("metadata.namespace", "shop"), namespace="shop").spec.namespace == "shop"


def test_urls_within_an_allowed_prefix_are_accepted() -> None:
    answer = parse_manifest(SMALLEST, url_allow=["https://elsewhere.example/", "http://modules.example"])
    assert isinstance(answer, Accepted)


def test_an_existing_users_file_is_read_as_it_is() -> None:
    old = {
        "apiVersion": "serverless.alipay.com/v1alpha1",
        "kind": "ModuleDeployment",
        "metadata": {
            "labels": {"app.kubernetes.io/name": "moduledeployment"},
            "name": "moduledeployment-sample-provider",
        },
        "spec": {
            "baseDeploymentName": "dynamic-stock-deployment",
            "template": {
                "spec": {
                    "module": {
                        "name": "provider",
                        "version": "1.0.2",
                        "url": "http://oss.example/provider-1.0.2.jar",
                    }
                }
            },
            "replicas": 1,
            "operationStrategy": {
                "needConfirm": False,
                "grayTimeBetweenBatchSeconds": 120,
                "useBeta": False,
                "batchCount": 1,
                "upgradePolicy": "installThenUninstall",
                "serviceStrategy": {"enableModuleService": True, "port": 8080, "targetPort": 8080},
            },
            "schedulingStrategy": {"schedulingPolicy": "Scatter"},
        },
    }
    answer = accept(old, namespace="prod")
    assert answer.spec.gray_time_s == 120
    assert answer.spec.upgrade_policy is UpgradePolicy.INSTALL_THEN_UNINSTALL
    assert any("serviceStrategy" in warning for warning in answer.warnings)


def warnings(*fields: tuple[str, object]) -> str:
    document = dict(SMALLEST)
    for path, value in fields:
        document = with_field(path, value, document)
    return "\n".join(accept(document).warnings)


BETA = (f"{OPERATION}.useBeta", True)
CONFIRM = (f"{OPERATION}.needConfirm", True)
SIDE_BY_SIDE = (f"{OPERATION}.upgradePolicy", "install_then_uninstall")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([(f"{MODULE}.md5", "0" * 32)], "module.md5 is accepted but not checked: give module.sha256"),
        ([("spec.maxUnavailable", "50%")], "maxUnavailable 50% of 1 rounds down to 0: no replica"),
        ([("spec.maxUnavailable", 0), ("spec.replicas", 4)], "maxUnavailable 0: no replica"),
        ([("spec.maxUnavailable", 0), ("spec.replicas", -1)], "maxUnavailable 0: no replica"),
        ([("spec.maxUnavailable", 0)], "allow 1, or use install_then_uninstall"),
        (
            [BETA, CONFIRM, (f"{OPERATION}.batchCount", 4), ("spec.replicas", 10)],
            "useBeta and needConfirm: up to 3 confirms will be needed",
        ),
        ([BETA, CONFIRM, (f"{OPERATION}.batchCount", 9), ("spec.replicas", 2)], "up to 1 confirm will be"),
        ([BETA, CONFIRM, ("spec.replicas", -1)], "up to 1 confirm will be needed"),
        ([CONFIRM], "needConfirm waits between batches, and batchCount is 1"),
        ([(f"{OPERATION}.grayTime", 5)], "grayTime waits between batches, and batchCount is 1"),
        ([(f"{OPERATION}.drainSeconds", 5)], "operationStrategy.drainSeconds: only for pods in Kubernetes"),
        (
            [(f"{OPERATION}.drainSeconds", 5), (f"{OPERATION}.serviceStrategy.port", 80)],
            "operationStrategy.serviceStrategy and drainSeconds: only",
        ),
    ],
)
def test_settings_that_cannot_do_what_they_say_are_warned_of(
    fields: list[tuple[str, object]], words: str
) -> None:
    assert words in warnings(*fields)


@pytest.mark.parametrize(
    "fields",
    [
        [("spec.maxUnavailable", 0), SIDE_BY_SIDE],
        [("spec.maxUnavailable", 0), ("spec.replicas", 0)],
        [("spec.maxUnavailable", "50%"), ("spec.replicas", 2)],
        [("spec.maxUnavailable", "1%"), ("spec.replicas", -1)],
        [BETA, CONFIRM],
        [(f"{OPERATION}.batchCount", 2), CONFIRM, ("spec.replicas", 4)],
    ],
)
def test_settings_that_work_are_not_warned_of(fields: list[tuple[str, object]]) -> None:
    assert warnings(*fields) == ""


def test_a_spec_survives_its_json() -> None:
    document = with_field("spec.maxUnavailable", "50%", with_field(f"{MODULE}.args", ["--a={version}"]))
    spec = accept(with_field("spec.pause", False, document)).spec
    assert Spec.decode(spec.encode()) == spec
    assert b'"maxUnavailable":"50%"' in spec.encode()
    assert b'"grayTime":0' in spec.encode()


def test_a_spec_of_a_newer_version_is_read() -> None:
    spec = accept(SMALLEST).spec
    assert Spec.decode(spec.encode()[:-1] + b',"addedLater":1}') == spec
