"""A deployment's wish, normalised: one spelling, defaults filled in; and how two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from tranche.contract.answer import FieldError
from tranche.contract.message import Message, Seconds
from tranche.contract.quantity import Quantity

PEER = -1


class SchedulingPolicy(StrEnum):
    """Which pods come first (design 1.5)."""

    SCATTER = "scatter"
    STACKING = "stacking"


class UpgradePolicy(StrEnum):
    """In which order the old version goes and the new one comes (design 1.4)."""

    UNINSTALL_THEN_INSTALL = "uninstall_then_install"
    INSTALL_THEN_UNINSTALL = "install_then_uninstall"
    SCALEUP_THEN_SCALEDOWN = "scaleup_then_scaledown"


class Module(Message):
    """What is installed. ``args`` as the user wrote them: ``{version}`` is not replaced yet."""

    name: str
    version: str
    url: str
    sha256: str | None = None
    args: tuple[str, ...] = ()


class Spec(Message):
    """What a user wants, as accepted: every field is valid, nothing is spelled two ways.

    Times are whole seconds. ``pause`` and ``confirm_batch_num`` are None where the manifest does not give
    them: being absent counts in design 1.3. ``max_unavailable`` None is the default of design 1.1.
    """

    namespace: str
    name: str
    base: str
    module: Module
    replicas: int = 1
    batch_count: int = 1
    use_beta: bool = False
    need_confirm: bool = False
    gray_time_s: Seconds = Field(default=0, alias="grayTime")
    max_unavailable: Quantity | None = None
    scheduling_policy: SchedulingPolicy = SchedulingPolicy.SCATTER
    upgrade_policy: UpgradePolicy = UpgradePolicy.UNINSTALL_THEN_INSTALL
    pause: bool | None = None
    confirm_batch_num: int | None = None
    revision_history_limit: int = 10
    min_ready_seconds: Seconds = 0
    progress_deadline_seconds: Seconds = 600
    failure_threshold: Quantity = Quantity(0)
    auto_rollback: bool = False
    drain_seconds: Seconds = 0

    @property
    def peer(self) -> bool:
        """One replica on every pod of the base, following the base."""
        return self.replicas == PEER


class Change(StrEnum):
    """What a new wish changes, by what follows from it (design 1.2, last paragraph)."""

    CONTENT = "content"
    """Another module version, url, digest or arguments: a new revision, and the cutting starts anew."""
    CUTTING = "cutting"
    """Batches or policies: the cutting starts anew."""
    SCALE = "scale"
    """The number of replicas: batches and confirms stay, what remains is cut again."""
    GATES = "gates"
    """Gates, budget, deadlines, history: takes effect at once inside the running rollout."""


CHANGES: Mapping[Change, tuple[str, ...]] = {
    Change.CONTENT: ("module",),
    Change.CUTTING: ("batch_count", "use_beta", "upgrade_policy", "scheduling_policy"),
    Change.SCALE: ("replicas",),
    Change.GATES: (
        "max_unavailable",
        "need_confirm",
        "gray_time_s",
        "min_ready_seconds",
        "progress_deadline_seconds",
        "failure_threshold",
        "auto_rollback",
        "revision_history_limit",
        "drain_seconds",
    ),
}


def difference(before: Spec, after: Spec) -> frozenset[Change]:
    """All kinds of change between two wishes of one deployment; none: it is the same wish.

    Neither ``pause`` nor ``confirmBatchNum`` is a change: they start no generation (design 1.3).
    """
    return frozenset(change for change in CHANGES if not _same(change, before, after))


def cuts_anew(changes: frozenset[Change]) -> bool:
    """Whether the cutting starts anew, confirms forgotten."""
    return not changes.isdisjoint({Change.CONTENT, Change.CUTTING})


def same_content(before: Spec, after: Spec) -> bool:
    return _same(Change.CONTENT, before, after)


def same_cutting(before: Spec, after: Spec) -> bool:
    return _same(Change.CUTTING, before, after)


def same_scale(before: Spec, after: Spec) -> bool:
    return _same(Change.SCALE, before, after)


def same_gates(before: Spec, after: Spec) -> bool:
    return _same(Change.GATES, before, after)


def immutable_errors(before: Spec, after: Spec) -> tuple[FieldError, ...]:
    """The base and the module's name cannot be changed: that is another deployment (design 1.1)."""
    fixed = (
        ("spec.baseDeploymentName", before.base, after.base),
        ("spec.template.spec.module.name", before.module.name, after.module.name),
    )
    return tuple(
        FieldError(
            field=field,
            message=f'got "{new}"; expected "{old}" as before: it cannot be changed, '
            "give the other one a ModuleDeployment of its own",
        )
        for field, old, new in fixed
        if old != new
    )


def _same(change: Change, before: Spec, after: Spec) -> bool:
    return all(getattr(before, field) == getattr(after, field) for field in CHANGES[change])
