"""The page of the fields of a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from docs.generate.tables import HEAD, table
from tranche.asyncapi.manifest import expected
from tranche.contract.fields import API_VERSIONS, FIELDS, IGNORED, Field
from tranche.contract.spec import Module, Spec

MEANINGS: Mapping[str, str] = {
    "api_version": "which group the manifest was written for; all mean the same",
    "kind": "what this is",
    "namespace": "a subject's namespace stands in for one that is not given; a different one is refused",
    "name": "the deployment's name",
    "base": "the base whose pods host the module; it cannot be changed: that is another deployment",
    "module_name": "the module's name; it cannot be changed either. One ModuleDeployment per module and base",
    "version": "the version to run",
    "url": "where the jar is, within `TRANCHE_URL_ALLOW`",
    "sha256": "digest of the jar: it is fetched and checked before anything is disturbed",
    "md5": "accepted and not checked, with a warning",
    "args": "arguments passed to arklet, `{version}` replaced",
    "replicas": "0..N: so many. -1: a *peer*, one on every pod of the base, following it as it grows and "
    "shrinks; scaling by hand is refused then",
    "batch_count": "into how many batches the replicas that need a change are cut",
    "use_beta": "the first batch is exactly one replica; the others are cut into batchCount - 1 batches",
    "need_confirm": "after each batch but the last, wait for a person",
    "gray_time_s": "seconds to wait after each batch but the last",
    "max_unavailable": "how many replicas may be unavailable, whatever the cause ([how it is kept]"
    "(../explanation/budget.md)). Given, it is a promise: percent rounds down, and 0 is 0",
    "scheduling_policy": "scatter: where the fewest modules are. stacking: where the most are and one still fits",
    "upgrade_policy": "uninstall_then_install: the old one first. install_then_uninstall: the new one beside it. "
    "scaleup_then_scaledown: the new one on another pod (not with replicas -1)",
    "pause": "`true`: a person's pause. A change to `false` while a batch waits confirms that batch",
    "confirm_batch_num": "a change to i while batch i waits confirms it",
    "min_ready_seconds": "a replica counts as available after it ran so long and was looked at again",
    "progress_deadline_seconds": "without progress for so long the rollout holds: Degraded. 0: never; else more than "
    "minReadySeconds. The clock stands still while a gate is shut or the rollout is Blocked",
    "failure_threshold": "how many replicas (percent of replicas, rounded down) may fail without holding the rollout; "
    "a batch with nothing available always holds",
    "auto_rollback": "on failures beyond the threshold, or at the deadline, abort by itself",
    "revision_history_limit": "how many old revisions are kept for `undo`",
    "service_enabled": "Kubernetes only; elsewhere accepted with a warning",
    "service_port": "Kubernetes only",
    "service_target_port": "Kubernetes only",
    "drain_seconds": "out of traffic for so long before what serves is taken down; Kubernetes only, elsewhere accepted with a warning",
}
"""By the meaning in the table of fields."""

_DEFAULTS: Mapping[str, str] = {
    "namespace": "`default`",
    "batch_count": "1; 2 with useBeta",
    "max_unavailable": "25%, at least 1",
    "args": "none",
    "sha256": "none",
    "pause": "none",
    "confirm_batch_num": "none",
}

_TEXT = """\
# The fields of a ModuleDeployment

Numbers are numbers: `"3"` is refused. Words of policies may be written in any letter case, in snake_case or camelCase.
Two spellings of one field with different values are refused, and so is every field that is not listed here, with the
nearest known name. All errors of a document are told at once. A field that is `null` counts as left out.

`apiVersion` is one of {versions}.

{table}

Accepted and ignored: {ignored}.

## Labels of pods

| label | meaning |
|---|---|
| `koupleless.io/max-module-count` | how many modules the pod may hold, 0..N; none: unlimited. Also as `koupleless.alipay.com/…` and `serverless.alipay.com/…`; then the same three on the base; the first found in this order counts. What is no such number: the pod takes nothing new, and status says so |
| `tranche.dev/cordoned` | `"true"`: the pod takes nothing new and keeps what it has |

## What a change of which field does

| change | follows |
|---|---|
| `module.version`, `url`, `sha256`, `args` | a new revision; batches are cut anew, confirms are forgotten |
| `batchCount`, `useBeta`, `upgradePolicy`, `schedulingPolicy` | batches are cut anew, confirms are forgotten |
| `replicas` | batches and confirms stay; added replicas come at once at stable, removed ones go at once, the remaining batches are cut again |
| `maxUnavailable`, `needConfirm`, `grayTime`, `minReadySeconds`, `progressDeadlineSeconds`, `failureThreshold`, `autoRollback`, `revisionHistoryLimit` | takes effect at once inside the running rollout |
| `pause`, `confirmBatchNum` | no new generation |
"""


def fields_page() -> str:
    return HEAD + _TEXT.format(
        versions=", ".join(f"`{one}`" for one in API_VERSIONS),
        table=table(["field", "also as", "value", "default", "meaning"], map(_row, FIELDS)),
        ignored=", ".join(f"`{one}`" for one in _short(IGNORED)),
    )


def _row(field: Field) -> list[str]:
    return [
        f"`{field.path}`",
        ", ".join(f"`{path}`" for path in field.paths[1:]),
        expected(field),
        _default(field),
        MEANINGS[field.meaning],
    ]


def _default(field: Field) -> str:
    if field.required:
        return "required"
    if field.meaning in _DEFAULTS:
        return _DEFAULTS[field.meaning]
    known = Spec.model_fields.get(field.meaning) or Module.model_fields.get(field.meaning)
    if known is None:
        return ""
    value = known.default
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(paths: tuple[str, ...]) -> Iterator[str]:
    """What a server adds to metadata is not worth a line each."""
    yield from (path for path in paths if not path.startswith("metadata."))
    yield from ("metadata.labels", "metadata.annotations")
    yield "metadata.… as a server adds it"
