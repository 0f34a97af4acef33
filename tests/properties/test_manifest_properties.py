"""Laws of reading manifests: nothing crashes it, every refusal can be told, every wish survives its JSON."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tranche.contract.answer import RefusedAnswer, read_answer
from tranche.contract.fields import FIELDS, IGNORED
from tranche.contract.manifest import MOST_ERRORS, Accepted, Rejected, parse_manifest
from tranche.contract.quantity import Quantity, max_unavailable
from tranche.contract.spec import Spec, difference

PATHS = [path for field in FIELDS for path in field.paths]
WORDS = sorted({word for path in (*PATHS, *IGNORED) for word in path.split(".")})

SURROGATES = st.text(st.characters(), max_size=8)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**4000),
    st.floats(),
    SURROGATES,
    st.dates(),
    st.binary(max_size=4),
    st.sampled_from(["50%", "scatter", "installThenUninstall", "http://m.example/a.jar", date(2024, 1, 1)]),
)
KEYS = st.one_of(st.sampled_from(WORDS), SURROGATES, st.integers(), st.booleans(), st.none())
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


def valid() -> dict[str, Any]:
    return {
        "apiVersion": "koupleless.io/v1alpha1",
        "kind": "ModuleDeployment",
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {
            "baseDeploymentName": "web-base",
            "template": {
                "spec": {"module": {"name": "cart", "version": "1", "url": "http://m.example/cart.jar"}}
            },
        },
    }


def put(document: dict[str, Any], path: str, value: object) -> None:
    *outer, last = path.split(".")
    for part in outer:
        document = document.setdefault(part, {})
    document[last] = value


def tellable(answer: Rejected) -> bool:
    """The refusal fits on the wire, and every line of it on a line."""
    told = RefusedAnswer(errors=answer.errors)
    return read_answer(told.encode()) == told and all(str(error).isprintable() for error in answer.errors)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_nothing_crashes_it_and_each_refusal_names_a_field(document: object) -> None:
    answer = parse_manifest(document)
    assert isinstance(answer, Rejected)
    assert answer.errors
    assert len(answer.errors) <= MOST_ERRORS + 1
    assert all(error.message for error in answer.errors)
    if isinstance(document, dict):
        assert all(error.field for error in answer.errors[:MOST_ERRORS])
    assert tellable(answer)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS), DOCUMENTS)
def test_one_wrong_field_is_the_only_one_told(path: str, value: object) -> None:
    document = valid()
    put(document, path, value)
    before = deepcopy(document)
    answer = parse_manifest(document)
    assert repr(document) == repr(before)
    if isinstance(answer, Rejected):
        assert {error.field for error in answer.errors} <= {path, "spec.progressDeadlineSeconds"}
        assert tellable(answer)
    else:
        assert Spec.decode(answer.spec.encode()) == answer.spec


QUANTITIES = st.builds(Quantity, st.integers(0, 1_000_000)) | st.builds(
    Quantity, st.integers(0, 100), percent=st.just(True)
)
FIELD_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "spec.replicas": st.integers(-1, 1_000_000),
        "spec.operationStrategy.batchCount": st.integers(2, 1000),
        "spec.operationStrategy.useBeta": st.booleans(),
        "spec.operationStrategy.needConfirm": st.booleans(),
        "spec.operationStrategy.grayTimeBetweenBatchSeconds": st.integers(0, 604_800),
        "spec.maxUnavailable": QUANTITIES.map(lambda quantity: quantity.spelled),
        "spec.template.spec.upgradePolicy": st.sampled_from(
            ["installThenUninstall", "UNINSTALL_THEN_INSTALL"]
        ),
        "spec.schedulingStrategy.schedulingPolicy": st.sampled_from(["Scatter", "stacking"]),
        "spec.pause": st.booleans(),
        "spec.confirmBatchNum": st.integers(0, 1000),
        "spec.revisionHistoryLimit": st.integers(0, 100),
        "spec.template.spec.module.sha256": st.text("0123456789abcdefABCDEF", min_size=64, max_size=64),
        "spec.template.spec.module.args": st.lists(
            st.sampled_from(["--a={version}", "größe", "-x"]), max_size=5
        ),
        "spec.operationStrategy.serviceStrategy": st.just({"enableModuleService": True, "port": 80}),
    },
)


@settings(max_examples=200, deadline=None)
@given(FIELD_VALUES)
def test_valid_fields_are_accepted_together_and_survive_their_json(values: dict[str, object]) -> None:
    document = valid()
    for path, value in values.items():
        put(document, path, value)
    answer = parse_manifest(document)
    assert isinstance(answer, Accepted), answer
    again = Spec.decode(answer.spec.encode())
    assert again == answer.spec
    assert difference(again, answer.spec) == frozenset()


@given(QUANTITIES)
def test_a_quantity_keeps_its_spelling(quantity: Quantity) -> None:
    assert Quantity.parse(quantity.spelled) == quantity


@given(QUANTITIES, st.integers(0, 100_000))
def test_a_promise_rounds_down(quantity: Quantity, wanted: int) -> None:
    resolved = max_unavailable(quantity, wanted)
    if quantity.percent:
        assert resolved * 100 <= quantity.amount * wanted < (resolved + 1) * 100
    else:
        assert resolved == quantity.amount
