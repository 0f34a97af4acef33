"""What a new wish changes, and what follows from it (design 1.2, last paragraph)."""

from __future__ import annotations

import pytest

from tranche.contract.quantity import Quantity, max_unavailable, resolve_down
from tranche.contract.spec import (
    CHANGES,
    Change,
    Module,
    SchedulingPolicy,
    Spec,
    UpgradePolicy,
    cuts_anew,
    difference,
    immutable_errors,
    same_content,
    same_cutting,
    same_gates,
    same_scale,
)

MODULE = Module(name="cart", version="1.0.0", url="http://m.example/cart.jar")
BEFORE = Spec(namespace="shop", name="cart", base="web-base", module=MODULE)


@pytest.mark.parametrize(
    ("field", "value", "change", "anew"),
    [
        ("module", MODULE.but(version="2.0.0"), Change.CONTENT, True),
        ("module", MODULE.but(url="http://m.example/cart2.jar"), Change.CONTENT, True),
        ("module", MODULE.but(sha256="ab" * 32), Change.CONTENT, True),
        ("module", MODULE.but(args=("--a",)), Change.CONTENT, True),
        ("batch_count", 3, Change.CUTTING, True),
        ("use_beta", True, Change.CUTTING, True),
        ("upgrade_policy", UpgradePolicy.INSTALL_THEN_UNINSTALL, Change.CUTTING, True),
        ("scheduling_policy", SchedulingPolicy.STACKING, Change.CUTTING, True),
        ("replicas", 5, Change.SCALE, False),
        ("replicas", -1, Change.SCALE, False),
        ("max_unavailable", Quantity(1), Change.GATES, False),
        ("max_unavailable", Quantity(25, percent=True), Change.GATES, False),
        ("need_confirm", True, Change.GATES, False),
        ("gray_time_s", 5, Change.GATES, False),
        ("min_ready_seconds", 5, Change.GATES, False),
        ("progress_deadline_seconds", 5, Change.GATES, False),
        ("failure_threshold", Quantity(1), Change.GATES, False),
        ("auto_rollback", True, Change.GATES, False),
        ("revision_history_limit", 5, Change.GATES, False),
        ("drain_seconds", 5, Change.GATES, False),
    ],
)
def test_each_field_is_one_kind_of_change(field: str, value: object, change: Change, anew: bool) -> None:
    changes = difference(BEFORE, BEFORE.but(**{field: value}))
    assert changes == {change}
    assert cuts_anew(changes) is anew


@pytest.mark.parametrize(("field", "value"), [("pause", True), ("pause", False), ("confirm_batch_num", 2)])
def test_pause_and_confirm_are_no_change(field: str, value: object) -> None:
    assert difference(BEFORE, BEFORE.but(**{field: value})) == frozenset()


def test_several_changes_are_all_named() -> None:
    after = BEFORE.but(replicas=4, need_confirm=True, module=MODULE.but(version="2.0.0"))
    assert difference(BEFORE, after) == {Change.CONTENT, Change.SCALE, Change.GATES}
    assert not same_content(BEFORE, after)
    assert same_cutting(BEFORE, after)
    assert not same_scale(BEFORE, after)
    assert not same_gates(BEFORE, after)


def test_every_field_of_a_wish_has_its_place() -> None:
    placed = [field for fields in CHANGES.values() for field in fields]
    identity = ["namespace", "name", "base"]
    by_people = ["pause", "confirm_batch_num"]
    assert sorted(placed + identity + by_people) == sorted(Spec.model_fields)


def test_base_and_module_cannot_be_changed() -> None:
    assert immutable_errors(BEFORE, BEFORE.but(replicas=3)) == ()
    after = BEFORE.but(base="other-base", module=MODULE.but(name="orders"))
    base, module = immutable_errors(BEFORE, after)
    assert base.field == "spec.baseDeploymentName"
    assert base.message.startswith('got "other-base"; expected "web-base" as before')
    assert module.field == "spec.template.spec.module.name"


def test_a_peer_is_one_replica_on_every_pod() -> None:
    assert BEFORE.but(replicas=-1).peer
    assert not BEFORE.peer


@pytest.mark.parametrize(
    ("given", "wanted", "resolved"),
    [
        (None, 0, 1),
        (None, 1, 1),
        (None, 3, 1),
        (None, 4, 1),
        (None, 8, 2),
        (None, 100, 25),
        (Quantity(0), 10, 0),
        (Quantity(3), 10, 3),
        (Quantity(3), 1, 3),
        (Quantity(0, percent=True), 10, 0),
        (Quantity(25, percent=True), 3, 0),
        (Quantity(50, percent=True), 1, 0),
        (Quantity(50, percent=True), 3, 1),
        (Quantity(50, percent=True), 7, 3),
        (Quantity(99, percent=True), 100, 99),
        (Quantity(100, percent=True), 7, 7),
        (Quantity(29, percent=True), 100, 29),
    ],
)
def test_how_many_may_be_unavailable(given: Quantity | None, wanted: int, resolved: int) -> None:
    assert max_unavailable(given, wanted) == resolved
    if given is not None:
        assert resolve_down(given, wanted) == resolved
