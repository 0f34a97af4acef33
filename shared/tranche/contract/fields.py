"""The fields of a ModuleDeployment manifest, one row each: where it stands, its other spellings, its reader.

This table is design 1.1. The tree of known names, the suggestions and the reading all follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tranche.contract import values
from tranche.contract.message import LONGEST_S
from tranche.contract.names import NameKind
from tranche.contract.spec import SchedulingPolicy, UpgradePolicy

API_VERSIONS = ("koupleless.io/v1alpha1", "koupleless.alipay.com/v1alpha1", "serverless.alipay.com/v1alpha1")
KIND = "ModuleDeployment"

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a user may say. ``paths``: how it may be spelled, ours first. ``meaning``: its name in
    ``Spec`` and ``Module``, or a word of the reader's own."""

    meaning: str
    paths: tuple[str, ...]
    read: values.Reader
    required: bool = False

    @property
    def path(self) -> str:
        return self.paths[0]


_MODULE = "spec.template.spec.module"
_STRATEGY = "spec.operationStrategy"
FIELDS = (
    Field("api_version", ("apiVersion",), values.one_of(*API_VERSIONS), required=True),
    Field("kind", ("kind",), values.one_of(KIND), required=True),
    Field("namespace", ("metadata.namespace",), values.name(NameKind.NAMESPACE)),
    Field("name", ("metadata.name",), values.name(NameKind.NAME), required=True),
    Field("base", ("spec.baseDeploymentName",), values.name(NameKind.BASE), required=True),
    Field("module_name", (f"{_MODULE}.name",), values.name(NameKind.MODULE), required=True),
    Field("version", (f"{_MODULE}.version",), values.version, required=True),
    Field("url", (f"{_MODULE}.url",), values.url, required=True),
    Field("sha256", (f"{_MODULE}.sha256",), values.sha256),
    Field("md5", (f"{_MODULE}.md5",), values.text),
    Field("args", (f"{_MODULE}.args",), values.arguments),
    Field("replicas", ("spec.replicas",), values.whole(-1, 1_000_000)),
    Field("batch_count", (f"{_STRATEGY}.batchCount",), values.whole(1, 1000)),
    Field("use_beta", (f"{_STRATEGY}.useBeta",), values.switch),
    Field("need_confirm", (f"{_STRATEGY}.needConfirm",), values.switch),
    Field(
        "gray_time_s",
        (f"{_STRATEGY}.grayTime", f"{_STRATEGY}.grayTimeBetweenBatchSeconds"),
        values.whole(0, LONGEST_S),
    ),
    Field("max_unavailable", ("spec.maxUnavailable", f"{_STRATEGY}.maxUnavailable"), values.quantity),
    Field(
        "scheduling_policy", ("spec.schedulingStrategy.schedulingPolicy",), values.choice(SchedulingPolicy)
    ),
    Field(
        "upgrade_policy",
        (f"{_STRATEGY}.upgradePolicy", "spec.template.spec.upgradePolicy"),
        values.choice(UpgradePolicy),
    ),
    Field("pause", ("spec.pause",), values.switch),
    Field("confirm_batch_num", ("spec.confirmBatchNum",), values.whole(0, 1000)),
    Field("min_ready_seconds", ("spec.minReadySeconds",), values.whole(0, LONGEST_S)),
    Field("progress_deadline_seconds", ("spec.progressDeadlineSeconds",), values.whole(0, LONGEST_S)),
    Field("failure_threshold", (f"{_STRATEGY}.failureThreshold",), values.quantity),
    Field("auto_rollback", (f"{_STRATEGY}.autoRollback",), values.switch),
    Field("revision_history_limit", ("spec.revisionHistoryLimit",), values.whole(0, 100)),
    Field("service_enabled", (f"{_STRATEGY}.serviceStrategy.enableModuleService",), values.switch),
    Field("service_port", (f"{_STRATEGY}.serviceStrategy.port",), values.whole(1, 65535)),
    Field("service_target_port", (f"{_STRATEGY}.serviceStrategy.targetPort",), values.port),
    Field("drain_seconds", (f"{_STRATEGY}.drainSeconds",), values.whole(0, 3600)),
)

# What a server adds, or what existing files carry without anyone reading it (design 1.1).
_SERVER_METADATA = (
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
IGNORED = (
    "status",
    *(f"metadata.{name}" for name in _SERVER_METADATA),
    "spec.template.metadata",
    "spec.template.spec.selector",
    f"{_MODULE}.type",
)


def spellings() -> Iterator[tuple[Path, Field]]:
    """Every path a field may stand at."""
    return ((tuple(path.split(".")), field) for field in FIELDS for path in field.paths)


LEAVES: Mapping[Path, Field] = dict(spellings())
SKIPPED: frozenset[Path] = frozenset(tuple(path.split(".")) for path in IGNORED)
CONTAINERS: frozenset[Path] = frozenset(
    path[:depth] for path in (*LEAVES, *SKIPPED) for depth in range(len(path))
)


def children(container: Path) -> tuple[str, ...]:
    """The names known directly under a container, in the order of the table."""
    known = (path[len(container)] for path in LEAVES if path[: len(container)] == container)
    return tuple(dict.fromkeys(known))


PLACES: Mapping[str, str] = {
    path[-1]: ".".join(path) for path in sorted((*CONTAINERS, *LEAVES), key=len, reverse=True) if path
}
"""Where a field of this name stands, for people who wrote it elsewhere; the shortest path counts."""
