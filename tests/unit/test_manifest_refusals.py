"""What is refused: each wrong manifest is told its field, the value it gave and what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from tranche.contract.manifest import Rejected, parse_manifest

OPERATION = "spec.operationStrategy"
MODULE = "spec.template.spec.module"
RIGHT: Mapping[str, Any] = {
    "apiVersion": "koupleless.io/v1alpha1",
    "kind": "ModuleDeployment",
    "metadata": {"name": "cart", "namespace": "shop"},
    "spec": {
        "baseDeploymentName": "web-base",
        "template": {
            "spec": {"module": {"name": "cart", "version": "2.0.0", "url": "http://modules.example/cart.jar"}}
        },
        "replicas": 10,
        "operationStrategy": {"batchCount": 3},
    },
}
GONE = object()


def wrong(*changes: tuple[str, object], document: Mapping[str, Any] = RIGHT) -> dict[str, Any]:
    """A copy of the right manifest with fields changed, or taken out."""
    changed = deepcopy(dict(document))
    for path, value in changes:
        *outer, last = path.split(".")
        place = changed
        for part in outer:
            place = place.setdefault(part, {})
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return changed


def refuse(document: object, **keywords: Any) -> Rejected:
    answer = parse_manifest(document, **keywords)
    assert isinstance(answer, Rejected), answer
    return answer


def test_the_right_manifest_is_right() -> None:
    assert not isinstance(parse_manifest(RIGHT), Rejected)


WHOLE_1_1000 = "expected a whole number from 1 to 1000"
QUANTITY = 'expected a whole number from 0 to 1000000, or whole percent as text, "0%" to "100%"'
POLICIES = "expected one of uninstall_then_install, install_then_uninstall, scaleup_then_scaledown"

# field, value given, as it is shown, what was expected
ONE_FIELD: list[tuple[str, object, str, str]] = [
    ("apiVersion", "apps/v1", '"apps/v1"', "expected one of koupleless.io/v1alpha1"),
    ("apiVersion", GONE, "nothing", "expected one of koupleless.io/v1alpha1"),
    ("kind", "Deployment", '"Deployment"', "expected ModuleDeployment"),
    ("metadata", GONE, "nothing", "expected a name: 1 to 253 characters"),
    ("metadata", ["cart"], "a list of 1", "expected an object with namespace, name"),
    ("metadata.name", "Cart", '"Cart"', "lower-case letters"),
    ("metadata.name", "a" * 254, '"aaaa', "1 to 253 characters"),
    ("metadata.name", "cart\n", '"cart\\n"', "lower-case letters"),
    ("metadata.name", False, "false", "write it in quotes"),
    ("metadata.namespace", "shop.eu", '"shop.eu"', "expected a namespace: 1 to 63 characters"),
    ("spec", "x", '"x"', "expected an object with baseDeploymentName, template"),
    ("spec.baseDeploymentName", "", '""', "expected a base: 1 to 253 characters"),
    ("spec.baseDeploymentName", GONE, "nothing", "it is required"),
    ("spec.template", 3, "3", "expected an object with spec"),
    (f"{MODULE}.name", "cart:2", '"cart:2"', "expected a module name: 1 to 63 characters"),
    (f"{MODULE}.version", 2.0, "2.0", "write it in quotes"),
    (f"{MODULE}.version", date(2024, 1, 25), "2024-01-25 (a date)", "write it in quotes"),
    (f"{MODULE}.version", "", '""', "expected a version: 1 to 128"),
    (f"{MODULE}.version", "../2", '"../2"', "expected a version: 1 to 128"),
    (f"{MODULE}.url", "ftp://modules.example/a.jar", '"ftp://', "expected an http, https or file URL"),
    (f"{MODULE}.url", "/srv/cart.jar", '"/srv/cart.jar"', "expected an http, https or file URL"),
    (f"{MODULE}.url", "http://modules.example", '"http://', "expected a URL with the path of a jar"),
    (f"{MODULE}.url", 7, "7", "expected an http, https or file URL; write it in quotes"),
    (f"{MODULE}.sha256", "abc", '"abc"', "expected 64 hexadecimal digits"),
    (f"{MODULE}.sha256", 12, "12", "64 hexadecimal digits; write it in quotes"),
    (f"{MODULE}.md5", [], "an empty list", "expected text"),
    (f"{MODULE}.args", "--a=b", '"--a=b"', "expected a list of at most 64 printable texts"),
    (f"{MODULE}.args", ["--a", 3, ""], "3 at [1] (and 1 more)", "expected a list of at most 64"),
    (f"{MODULE}.args", ["a\nb"], '"a\\nb" at [0]', "printable texts"),
    (f"{MODULE}.args", ["a"] * 65, "a list of 65", "at most 64"),
    (f"{MODULE}.args", ["a" * 5000], "5004 bytes", "at most 4096 bytes"),
    ("spec.replicas", "3", '"3"', "expected a whole number from -1 to 1000000, without quotes"),
    ("spec.replicas", -2, "-2", "expected a whole number from -1 to 1000000"),
    ("spec.replicas", True, "true", "expected a whole number from -1 to 1000000"),
    ("spec.replicas", 3.0, "3.0", "expected a whole number from -1 to 1000000"),
    ("spec.replicas", float("nan"), "nan", "expected a whole number from -1 to 1000000"),
    ("spec.replicas", 10**1000, "a number of 3322 bits", "expected a whole number"),
    (f"{OPERATION}.batchCount", 0, "0", WHOLE_1_1000),
    (f"{OPERATION}.batchCount", 1001, "1001", WHOLE_1_1000),
    (f"{OPERATION}.batchCount", "three", '"three"', WHOLE_1_1000),
    (f"{OPERATION}.useBeta", "true", '"true"', "expected true or false, without quotes"),
    (f"{OPERATION}.needConfirm", 1, "1", "expected true or false"),
    (f"{OPERATION}.grayTime", -1, "-1", "expected a whole number from 0 to 604800"),
    (f"{OPERATION}.grayTime", "30s", '"30s"', "expected a whole number from 0 to 604800"),
    (f"{OPERATION}.grayTimeBetweenBatchSeconds", 604_801, "604801", "from 0 to 604800"),
    ("spec.maxUnavailable", "101%", '"101%"', QUANTITY),
    ("spec.maxUnavailable", "12.5%", '"12.5%"', QUANTITY),
    ("spec.maxUnavailable", "5", '"5"', QUANTITY),
    ("spec.maxUnavailable", -1, "-1", QUANTITY),
    (f"{OPERATION}.maxUnavailable", 0.5, "0.5", QUANTITY),
    (
        "spec.schedulingStrategy.schedulingPolicy",
        "scattered",
        '"scattered"',
        "expected one of scatter, stacking; did you mean scatter?",
    ),
    (f"{OPERATION}.upgradePolicy", "install-then-uninstall", '"install-then', POLICIES),
    ("spec.template.spec.upgradePolicy", "recreate", '"recreate"', POLICIES),
    ("spec.pause", "false", '"false"', "expected true or false, without quotes"),
    ("spec.confirmBatchNum", -1, "-1", "expected a whole number from 0 to 1000"),
    ("spec.revisionHistoryLimit", 101, "101", "expected a whole number from 0 to 100"),
    ("spec.minReadySeconds", "5", '"5"', "expected a whole number from 0 to 604800"),
    ("spec.progressDeadlineSeconds", -5, "-5", "expected a whole number from 0 to 604800"),
    (f"{OPERATION}.failureThreshold", "many", '"many"', QUANTITY),
    (f"{OPERATION}.autoRollback", "yes", '"yes"', "expected true or false"),
    (f"{OPERATION}.serviceStrategy", True, "true", "expected an object with enableModuleService"),
    (f"{OPERATION}.serviceStrategy.port", 0, "0", "expected a whole number from 1 to 65535"),
    (f"{OPERATION}.serviceStrategy.targetPort", "8080", '"8080"', "expected a port from 1 to 65535"),
    (f"{OPERATION}.serviceStrategy.targetPort", "a--b", '"a--b"', "expected a port from 1 to 65535"),
    (f"{OPERATION}.drainSeconds", 99999, "99999", "expected a whole number from 0 to 3600"),
]


@pytest.mark.parametrize(("path", "value", "shown", "expected"), ONE_FIELD)
def test_a_wrong_field_is_told_its_value_and_what_was_expected(
    path: str, value: object, shown: str, expected: str
) -> None:
    answer = refuse(wrong((path, value)))
    error = next(error for error in answer.errors if error.field.startswith(path))
    assert error.message.startswith(f"got {shown}")
    assert expected in error.message
    assert len(answer.errors) == 1 or path == "metadata"


def test_a_number_that_python_will_not_write_out_is_shown_by_its_size() -> None:
    (error,) = refuse(wrong(("spec.replicas", -(10**5000)))).errors
    assert error.message.startswith("got a number of 16610 bits; expected a whole number")


UNKNOWN: list[tuple[str, object, str]] = [
    ("replicas", 3, "did you mean spec.replicas?"),
    ("sepc", {}, "did you mean spec?"),
    ("foo", 1, "known here: apiVersion, kind, metadata, spec"),
    ("spec.replica", 3, "did you mean replicas?"),
    ("spec.batchCount", 3, f"did you mean {OPERATION}.batchCount?"),
    ("spec.module", {}, f"did you mean {MODULE}?"),
    ("spec.strategy", {"batchCount": 2}, "did you mean operationStrategy?"),
    ("spec.schedulingStrategy.schedulingType", "Scatter", "did you mean schedulingPolicy?"),
    (f"{OPERATION}.batchcount", 3, "did you mean batchCount?"),
    (f"{OPERATION}.use_beta", True, "did you mean useBeta?"),
    (f"{OPERATION}.replicas", 3, "did you mean spec.replicas?"),
    (f"{MODULE}.sha265", "x", "did you mean sha256?"),
    (f"{MODULE}.dependencies", [], "known here: name, version, url, sha256, md5, args"),
    ("metadata.nmae", "x", "did you mean name?"),
]


@pytest.mark.parametrize(("path", "value", "hint"), UNKNOWN)
def test_an_unknown_field_is_refused_with_the_nearest_known_name(path: str, value: object, hint: str) -> None:
    (error,) = refuse(wrong((path, value))).errors
    assert error.field == path
    assert error.message.startswith("got an unknown field with ")
    assert error.message.endswith(hint)


TOGETHER: list[tuple[Sequence[tuple[str, object]], str, str]] = [
    (
        [(f"{OPERATION}.useBeta", True), (f"{OPERATION}.batchCount", 1)],
        f"{OPERATION}.batchCount",
        "got 1 with useBeta true; expected 2 or more",
    ),
    (
        [("spec.replicas", -1), (f"{OPERATION}.upgradePolicy", "scaleup_then_scaledown")],
        "spec.replicas",
        "got -1 with upgradePolicy scaleup_then_scaledown; expected 0 or more",
    ),
    (
        [("spec.minReadySeconds", 600)],
        "spec.progressDeadlineSeconds",
        "got 600; expected 0 for none, or more than minReadySeconds, 600",
    ),
    (
        [(f"{OPERATION}.grayTime", 10), (f"{OPERATION}.grayTimeBetweenBatchSeconds", 20)],
        f"{OPERATION}.grayTimeBetweenBatchSeconds",
        f"got 20; expected the same as {OPERATION}.grayTime: both mean one field",
    ),
    (
        [("spec.maxUnavailable", "50%"), (f"{OPERATION}.maxUnavailable", 5)],
        "spec.maxUnavailable",
        f'got "50%"; expected the same as {OPERATION}.maxUnavailable',
    ),
    (
        [
            ("spec.template.spec.upgradePolicy", "install_then_uninstall"),
            (f"{OPERATION}.upgradePolicy", "uninstallThenInstall"),
        ],
        f"{OPERATION}.upgradePolicy",
        'got "uninstallThenInstall"; expected the same as spec.template.spec.upgradePolicy',
    ),
]


@pytest.mark.parametrize(("changes", "path", "message"), TOGETHER)
def test_fields_that_cannot_be_together(
    changes: Sequence[tuple[str, object]], path: str, message: str
) -> None:
    errors = refuse(wrong(*changes)).errors
    assert any(error.field == path and error.message.startswith(message) for error in errors), errors


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        (None, "null"),
        ([], "an empty list"),
        ([RIGHT], "a list of 1"),
        ("apply", '"apply"'),
        (3, "3"),
        (True, "true"),
        (b"{}", 'a value of kind "bytes"'),
    ],
)
def test_what_is_no_manifest_at_all(document: object, shown: str) -> None:
    (error,) = refuse(document).errors
    assert error.field == ""
    assert error.message == (
        f"got {shown}; expected a ModuleDeployment manifest, an object with apiVersion, kind, metadata, spec"
    )


def test_an_empty_manifest_is_told_everything_that_is_required() -> None:
    assert [error.field for error in refuse({}).errors] == [
        "apiVersion",
        "kind",
        "metadata.name",
        "spec.baseDeploymentName",
        f"{MODULE}.name",
        f"{MODULE}.version",
        f"{MODULE}.url",
    ]


@pytest.mark.parametrize(
    ("subject", "path", "message"),
    [
        ({"namespace": "prod"}, "metadata.namespace", 'got "shop"; expected "prod", as the subject says'),
        ({"name": "orders"}, "metadata.name", 'got "cart"; expected "orders", as the subject says'),
    ],
)
def test_a_manifest_that_is_not_its_subjects(subject: Mapping[str, str], path: str, message: str) -> None:
    (error,) = refuse(RIGHT, **subject).errors
    assert (error.field, error.message) == (path, message)


def test_a_subject_that_names_no_namespace() -> None:
    (error,) = refuse(wrong(("metadata.namespace", GONE)), namespace="Shop").errors
    assert error.field == "metadata.namespace"
    assert error.message.startswith('got "Shop"; expected a namespace')


def test_a_url_the_operator_does_not_allow() -> None:
    (error,) = refuse(RIGHT, url_allow=["https://modules.example/", "file:///srv"]).errors
    assert error.field == f"{MODULE}.url"
    assert error.message == (
        'got "http://modules.example/cart.jar"; expected a URL within https://modules.example/, file:///srv '
        "(TRANCHE_URL_ALLOW)"
    )


def test_all_errors_of_a_document_are_told_at_once() -> None:
    document = wrong(
        ("kind", "Deployment"),
        ("metadata.name", "Cart"),
        ("metadata.namespace", "other"),
        ("metadata.label", {}),
        (f"{MODULE}.name", GONE),
        (f"{MODULE}.version", 2),
        (f"{MODULE}.url", "s3://jars/cart.jar"),
        ("spec.replicas", "10"),
        ("spec.maxUnavailable", "half"),
        ("spec.autoRollback", True),
        ("spec.minReadySeconds", -5),
        (f"{OPERATION}.batchCount", 1),
        (f"{OPERATION}.useBeta", True),
        (f"{OPERATION}.needConfirm", "yes"),
        (f"{OPERATION}.grayTime", 1),
        (f"{OPERATION}.grayTimeBetweenBatchSeconds", 2),
        ("spec.schedulingStrategy.schedulingPolicy", "spread"),
    )
    document["spec"][7] = "a key of YAML that is no text"
    assert {error.field for error in refuse(document, namespace="shop").errors} == {
        "kind",
        "metadata.name",
        "metadata.namespace",
        "metadata.label",
        f"{MODULE}.name",
        f"{MODULE}.version",
        f"{MODULE}.url",
        "spec.replicas",
        "spec.maxUnavailable",
        "spec.autoRollback",
        "spec.minReadySeconds",
        f"{OPERATION}.batchCount",
        f"{OPERATION}.needConfirm",
        f"{OPERATION}.grayTimeBetweenBatchSeconds",
        "spec.schedulingStrategy.schedulingPolicy",
        "spec[7]",
    }


def test_errors_beyond_a_hundred_are_counted() -> None:
    errors = refuse({**RIGHT, **{f"x{i}": i for i in range(150)}}).errors
    assert len(errors) == 101
    assert errors[-1].message == "and 50 more errors; these are the first 100"


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def containing_itself() -> object:
    ring: list[object] = []
    ring.append(ring)
    return ring


def doubling(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nested(40), "got more than 32 levels of nesting"),
        (nested(100_000), "got more than 32 levels of nesting"),
        (containing_itself(), "got more than 32 levels of nesting"),
        (doubling(30), "got more than 20000 values"),
        ([0] * 30_000, "got more than 20000 values"),
        ("x" * 600_000, "got more than 524288 characters"),
        ({"x" * 600_000: 1}, "got more than 524288 characters"),
    ],
)
def test_a_document_too_large_is_refused_even_where_nobody_reads_it(value: object, message: str) -> None:
    (error,) = refuse(wrong(("metadata.annotations", value))).errors
    assert error.field == ""
    assert error.message.startswith(message)


@pytest.mark.parametrize("key", ["\ud800", "a\x00b", "a.b", "\u202etxt", "x" * 500, ""])
def test_names_that_would_break_a_line_are_shown_as_escapes(key: str) -> None:
    (error,) = refuse({**RIGHT, key: key}).errors
    assert error.field.isprintable()
    assert len(error.field) < 100
    assert error.message.isprintable()
    assert error.encode().decode()
