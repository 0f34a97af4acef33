"""Objects of the Kubernetes API as values of ours; whatever is not as it should be is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tranche.kubernetes.cluster import MANAGER
from tranche_executor.core.workload import (
    PORT_ANNOTATION,
    PORT_NAME,
    Deployment,
    Requirement,
    Selector,
    Workload,
)

Json = Mapping[str, Any]
_OVER = ("Succeeded", "Failed")


def read_deployment(found: Json) -> Deployment:
    """What we want to know of a Deployment."""
    spec = found.get("spec") or {}
    template = spec.get("template") or {}
    own = _labels(found)
    return Deployment(
        name=_text(_meta(found).get("name")),
        selector=_selector(spec.get("selector") or {}),
        labels={**_labels(template), **own},
        ports=frozenset(
            (_text(port.get("name")), port.get("containerPort") or 0)
            for port in _ports(template.get("spec") or {})
        ),
    )


def read_workload(found: Json) -> Workload | None:
    """What we want to know of a pod; None: it is over (completed, failed, evicted) and will never run again."""
    meta, spec, status = _meta(found), found.get("spec") or {}, found.get("status") or {}
    if status.get("phase") in _OVER:
        return None
    return Workload(
        namespace=_text(meta.get("namespace")),
        name=_text(meta.get("name")),
        uid=_text(meta.get("uid")),
        ip=_text(status.get("podIP")),
        ready=any(
            one.get("type") == "Ready" and one.get("status") == "True"
            for one in status.get("conditions") or ()
        ),
        terminating=meta.get("deletionTimestamp") is not None,
        labels=_labels(found),
        owner=_owner(meta),
        port=_own_port(meta, spec),
        incarnation=_incarnation(spec, status),
        created=_text(meta.get("creationTimestamp")),
        ours=frozenset(_ours(meta)),
    )


def _selector(found: Json) -> Selector:
    return Selector(
        labels=dict(found.get("matchLabels") or {}),
        requirements=tuple(
            Requirement(_text(one.get("key")), _text(one.get("operator")), frozenset(one.get("values") or ()))
            for one in found.get("matchExpressions") or ()
        ),
    )


def _owner(meta: Json) -> tuple[str, str] | None:
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller"):
            return _text(owner.get("kind")), _text(owner.get("name"))
    return None


def _own_port(meta: Json, spec: Json) -> int | None:
    """An annotation is somebody's word on this very pod, so it comes before the container's port."""
    said = (meta.get("annotations") or {}).get(PORT_ANNOTATION)
    if isinstance(said, str) and said.isdecimal() and 0 < int(said[:6]) < 65536:
        return int(said)
    return next((port.get("containerPort") for port in _ports(spec) if port.get("name") == PORT_NAME), None)


def _incarnation(spec: Json, status: Json) -> str:
    """Which run of the base's container this is; of all containers where none says that it is the base's."""
    bases = {
        container.get("name")
        for container in spec.get("containers") or ()
        if any(port.get("name") == PORT_NAME for port in container.get("ports") or ())
    }
    return ",".join(
        sorted(
            f"{one.get('name')}:{one.get('restartCount', 0)}:{one['containerID']}"
            for one in status.get("containerStatuses") or ()
            if one.get("containerID") and (not bases or one.get("name") in bases)
        )
    )


def _ours(meta: Json) -> Iterator[str]:
    """Labels that nobody has written since we did: the server remembers who wrote what."""
    for entry in meta.get("managedFields") or ():
        if entry.get("manager") == MANAGER:
            labels = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels") or {}
            yield from (name.removeprefix("f:") for name in labels if name.startswith("f:"))


def _ports(spec: Json) -> Iterator[Json]:
    for container in spec.get("containers") or ():
        yield from container.get("ports") or ()


def _labels(found: Json) -> dict[str, str]:
    return dict(_meta(found).get("labels") or {})


def _meta(found: Json) -> Json:
    meta: Json = found.get("metadata") or {}
    return meta


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
