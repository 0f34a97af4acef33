"""A wish as its fields were read, before it is a ``Spec``: what contradicts itself, and what to warn of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from tranche.contract.quantity import max_unavailable, resolve_down
from tranche.contract.spec import PEER, Module, Spec, UpgradePolicy

Known = Mapping[str, Any]

_MODULE_FIELDS = {
    "module_name": "name",
    "version": "version",
    "url": "url",
    "sha256": "sha256",
    "args": "args",
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule over several fields; it is asked only where none of them is wrong by itself."""

    path: str
    fields: frozenset[str]
    broken: Callable[[Known], str | None]


def _beta_needs_two(known: Known) -> str | None:
    # The first batch is the beta, the others are cut into batchCount - 1 (design 1.1).
    if known.get("use_beta") and known.get("batch_count") == 1:
        return (
            "got 1 with useBeta true; expected 2 or more, because the beta is the first batch and the others "
            "follow it: leave useBeta or batchCount out"
        )
    return None


def _pairs_need_a_number(known: Known) -> str | None:
    if known.get("upgrade_policy") is UpgradePolicy.SCALEUP_THEN_SCALEDOWN and known.get("replicas") == PEER:
        return (
            "got -1 with upgradePolicy scaleup_then_scaledown; expected 0 or more, because a peer stands on "
            "every pod and has no other to scale up on: use uninstall_then_install or install_then_uninstall"
        )
    return None


def _deadline_leaves_time(known: Known) -> str | None:
    deadline = known.get("progress_deadline_seconds", 600)
    ready = known.get("min_ready_seconds", 0)
    if 0 < deadline <= ready:
        return f"got {deadline}; expected 0 for none, or more than minReadySeconds, {ready}"
    return None


_RULES = (
    _Rule("spec.operationStrategy.batchCount", frozenset({"batch_count", "use_beta"}), _beta_needs_two),
    _Rule("spec.replicas", frozenset({"replicas", "upgrade_policy"}), _pairs_need_a_number),
    _Rule(
        "spec.progressDeadlineSeconds",
        frozenset({"progress_deadline_seconds", "min_ready_seconds"}),
        _deadline_leaves_time,
    ),
)


def conflicts(known: Known, wrong: Set[str]) -> Iterator[tuple[str, str]]:
    """Fields that are fine by themselves and cannot be together: path and message."""
    for rule in _RULES:
        message = None if rule.fields & wrong else rule.broken(known)
        if message:
            yield rule.path, message


def spec_of(known: Known) -> Spec:
    """The normalised wish; every field in it was read without an error."""
    module = Module(**{ours: known[given] for given, ours in _MODULE_FIELDS.items() if given in known})
    rest = {field: value for field, value in known.items() if field in Spec.model_fields}
    # Two with useBeta: the beta and the rest (design 1.1).
    rest.setdefault("batch_count", 2 if known.get("use_beta") else 1)
    return Spec(module=module, **rest)


def warnings_of(known: Known) -> tuple[str, ...]:
    """What the author of a valid wish should know."""
    return _warnings(known, spec_of(known))


def spec_warnings(spec: Spec) -> tuple[str, ...]:
    """The same for a wish that came about without a manifest."""
    return _warnings({}, spec)


def _warnings(known: Known, spec: Spec) -> tuple[str, ...]:
    return tuple(warning for warn in _WARNINGS if (warning := warn(known, spec)) is not None)


def _md5_unchecked(known: Known, _spec: Spec) -> str | None:
    if "md5" in known:
        return "module.md5 is accepted but not checked: give module.sha256 to have the jar checked"
    return None


def _kubernetes_only(known: Known, _spec: Spec) -> str | None:
    given = [
        name
        for name, fields in (
            ("serviceStrategy", ("service_enabled", "service_port", "service_target_port")),
            ("drainSeconds", ("drain_seconds",)),
        )
        if any(field in known for field in fields)
    ]
    if given:
        return (
            f"operationStrategy.{' and '.join(given)}: only for pods in Kubernetes, elsewhere without effect"
        )
    return None


def _no_budget(_known: Known, spec: Spec) -> str | None:
    budget = spec.max_unavailable
    if budget is None or spec.upgrade_policy is not UpgradePolicy.UNINSTALL_THEN_INSTALL:
        return None
    # How many pods a peer will count is not known yet, so only a plain 0 is sure to be 0.
    resolved = budget.amount if spec.peer else max_unavailable(budget, spec.replicas)
    if resolved or spec.replicas == 0:
        return None
    promise = f"{budget} of {spec.replicas} rounds down to 0" if budget.amount else f"{budget}"
    return (
        f"maxUnavailable {promise}: no replica may be taken down, so uninstall_then_install cannot upgrade; "
        "allow 1, or use install_then_uninstall where two versions can stand side by side"
    )


def _confirms(_known: Known, spec: Spec) -> str | None:
    if not spec.need_confirm:
        return None
    if spec.batch_count == 1:
        return "needConfirm waits between batches, and batchCount is 1: nobody will be asked"
    batches = spec.batch_count if spec.peer else min(spec.batch_count, spec.replicas)
    if spec.use_beta and batches > 1:
        count = batches - 1
        return f"useBeta and needConfirm: up to {count} confirm{'s' if count > 1 else ''} will be needed"
    return None


def _gray_time_unused(_known: Known, spec: Spec) -> str | None:
    if spec.gray_time_s and spec.batch_count == 1:
        return "grayTime waits between batches, and batchCount is 1: nothing will wait"
    return None


def _threshold_nothing(_known: Known, spec: Spec) -> str | None:
    share = spec.failure_threshold
    if spec.peer or not spec.replicas or not share.amount or resolve_down(share, spec.replicas):
        return None
    return (
        f"failureThreshold {share} of {spec.replicas} rounds down to 0: the first failure holds the rollout"
    )


def _threshold_above_budget(_known: Known, spec: Spec) -> str | None:
    # A failed replica is unavailable, so the budget is spent before the threshold is reached (design 1.6).
    share, budget = spec.failure_threshold, spec.max_unavailable
    if not share.amount or spec.replicas == 0:
        return None
    if spec.peer:
        # How many pods a peer will count is not known yet: only like is compared with like.
        if budget is None or budget.percent != share.percent or share.amount < budget.amount:
            return None
        return _beyond(f"{share}", f"{budget}")
    failing, allowed = resolve_down(share, spec.replicas), max_unavailable(budget, spec.replicas)
    if not failing or failing < allowed:
        return None
    return _beyond(f"{failing}", f"{allowed}")


def _beyond(failing: str, allowed: str) -> str:
    return (
        f"failureThreshold is {failing} and maxUnavailable is {allowed}: failed replicas are unavailable, so the "
        "budget is spent before the threshold is reached and the rollout stands Blocked; allow more to be "
        "unavailable than may fail"
    )


_WARNINGS = (
    _md5_unchecked,
    _kubernetes_only,
    _no_budget,
    _confirms,
    _gray_time_unused,
    _threshold_nothing,
    _threshold_above_budget,
)
