"""Which labels a pod should have, by what its record says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tranche.contract.record import ModuleEntry, PodRecord, Serving
from tranche_executor.core.traffic import COUNT, LEFT, cleared, followed
from tranche_executor.core.workload import Workload

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
CART = "module.koupleless.io/cart"


def entry(revision: int = 1, state: Any = "available", **facts: Any) -> ModuleEntry:
    return ModuleEntry(version="1.0.0", revision=revision, state=state, since=NOW, **facts)


def record(**modules: ModuleEntry) -> PodRecord:
    return PodRecord(
        namespace="shop",
        base="web",
        pod="a",
        uid="u",
        address="",
        ready=True,
        observed_at=NOW,
        modules=modules,
    )


def pod(ours: set[str] | None = None, **facts: Any) -> Workload:
    labels = facts.pop("labels", {})
    return Workload(
        "shop", "a", "u", ready=facts.pop("ready", True), labels=labels, ours=frozenset(ours or ()), **facts
    )


OLD = Serving(version="0.9.0", revision=7)
FOREIGN = Serving(version="0.9.0", revision=0)


@pytest.mark.parametrize(
    ("there", "label"),
    [
        (entry(), "true"),
        (entry(state="inactive"), None),
        (entry(state="installing"), None),
        (entry(state="installing", serving=OLD), "true"),
        (entry(state="installing", serving=FOREIGN), "true"),
        (entry(state="uninstalling"), None),
        (entry(state="failed"), None),
        (entry(state="failed", serving=OLD), "true"),
        (entry(state="unknown"), None),
    ],
)
def test_what_serves_is_labelled(there: ModuleEntry, label: str | None) -> None:
    bare, labelled = pod(labels={COUNT: "1"}), pod(labels={COUNT: "1", CART: "true"})
    told = record(cart=there)
    assert followed(bare, None, told) == ({CART: "true"} if label else {})
    assert followed(labelled, None, told) == ({} if label else {CART: None})


@pytest.mark.parametrize("facts", [{"ready": False}, {"terminating": True}])
def test_on_a_pod_that_is_not_fit_nothing_is(facts: dict[str, Any]) -> None:
    told = record(cart=entry())
    assert followed(pod(labels={COUNT: "1", CART: "true"}, **facts), None, told) == {CART: None}
    assert followed(pod(labels={COUNT: "1"}, **facts), None, told) == {}
    assert followed(pod(labels={COUNT: "0", CART: "true"}, ours={CART}), None, record().but(gone=True)) == {
        CART: None
    }


@pytest.mark.parametrize("revision", [0, 1])
def test_what_was_ours_and_is_still_there_under_another_number_keeps_its_label(revision: int) -> None:
    ours = pod(labels={COUNT: "1", CART: "true"}, ours={CART})
    assert followed(ours, None, record(cart=entry(revision))) == {}
    assert followed(ours, record(cart=entry(1)), record(cart=entry(revision, "inactive"))) == {CART: None}


def test_of_what_we_wrote_only_labels_of_modules_go() -> None:
    other = "tranche.dev/cordoned"
    written = pod(labels={COUNT: "0", other: "true"}, ours={COUNT, other, CART})
    assert followed(written, None, record()) == {}
    assert cleared(written) == {}


def test_one_whose_number_is_one_is_ours() -> None:
    one = Serving(version="0.9.0", revision=1)
    assert followed(pod(labels={COUNT: "1"}), None, record(cart=entry(0, "failed", serving=one))) == {
        CART: "true"
    }


def test_the_names_are_those_that_others_go_by() -> None:
    assert (COUNT, LEFT) == ("koupleless.io/module-instance-count", "tranche.dev/out-of-traffic")


def test_a_wrong_value_is_put_right() -> None:
    assert followed(pod(labels={COUNT: "9", CART: "false"}), None, record(cart=entry())) == {
        CART: "true",
        COUNT: "1",
    }


def test_what_another_controller_labelled_for_its_own_modules_stays() -> None:
    theirs = pod(labels={COUNT: "1", CART: "true"})
    assert followed(theirs, None, record(cart=entry(revision=0))) == {}
    assert followed(theirs, None, record(cart=entry(0, "failed", serving=FOREIGN))) == {}
    assert followed(pod(labels={COUNT: "1"}), None, record(cart=entry(0, "failed", serving=FOREIGN))) == {}
    assert followed(theirs, None, record(cart=entry(revision=0, state="inactive"))) == {}
    assert followed(theirs, None, record().but(gone=False)) == {COUNT: "0"}


@pytest.mark.parametrize(
    ("before", "ours"),
    [(record(cart=entry()), set()), (None, {CART}), (record(cart=entry(0, serving=OLD)), set())],
)
def test_the_label_of_a_module_that_was_ours_and_left_goes(before: PodRecord | None, ours: set[str]) -> None:
    assert followed(pod(labels={COUNT: "0", CART: "true"}, ours=ours), before, record()) == {CART: None}


def test_all_modules_on_the_pod_are_counted() -> None:
    told = record(cart=entry(), orders=entry(0), pay=entry(state="failed"))
    assert followed(pod(), None, told) == {CART: "true", COUNT: "3"}


def test_a_name_that_no_label_can_have_is_counted_only() -> None:
    assert followed(pod(), None, record(**{"x" * 64: entry()})) == {COUNT: "1"}


def test_a_pod_is_cleared_of_our_labels_alone() -> None:
    theirs = "module.koupleless.io/theirs"
    labelled = pod(labels={COUNT: "1", CART: "true", theirs: "true"}, ours={CART, COUNT, "gone"})
    assert cleared(labelled) == {CART: None}
