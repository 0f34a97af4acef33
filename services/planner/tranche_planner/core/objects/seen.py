"""A ModuleDeployment object as the API server has it, read once into what decisions go by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OURS = "tranche"
"""Our field manager: the name under which the API server notes what we wrote."""
FINALIZER = "tranche.dev/uninstall"
ABANDON = "tranche.dev/abandon"
"""An annotation: deleting leaves behind what is on pods that do not answer."""
MEMORY = "tranche.dev/pause"
"""An annotation: what is remembered of ``spec.pause``, written together with it."""
FOLLOWED = "tranche.dev/scaled"
"""An annotation: the number that we wrote last for ``kubectl scale`` to find."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Owner:
    """A field manager. ``declares``: it applies a whole configuration; else it changed single fields."""

    manager: str
    declares: bool = False


@dataclass(frozen=True, slots=True)
class PauseField:
    """``spec.pause`` as it stands, and who says so."""

    value: bool | None
    owners: frozenset[Owner] = frozenset()
    declared: bool | None = None
    """What the file says that was applied last by ``kubectl apply``."""
    appliers: frozenset[str] = frozenset()
    """Who applied that file."""
    memory: str = ""
    """The annotation beside it."""

    @property
    def others(self) -> frozenset[Owner]:
        """Whoever owns the field besides us."""
        return frozenset(owner for owner in self.owners if owner.manager != OURS)

    @property
    def ours(self) -> bool:
        return any(owner.manager == OURS for owner in self.owners)


@dataclass(frozen=True, slots=True)
class Seen:
    """One object. ``generation`` is the server's: it counts changes of ``spec``."""

    namespace: str
    name: str
    uid: str
    version: str
    """Its resourceVersion: what the next write may expect."""
    api_version: str
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    abandon: bool
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    pause: PauseField
    scaled: int | None = None
    """The number that we wrote last for ``kubectl scale`` to find."""

    @property
    def finalized(self) -> bool:
        """Whether its deletion waits for us."""
        return FINALIZER in self.finalizers


def seen(body: Mapping[str, Any]) -> Seen:
    """The object in what the API server answered. Raises ValueError where that is none."""
    metadata = _mapping(body, "metadata")
    annotations = _mapping(metadata, "annotations")
    spec = _mapping(body, "spec")
    try:
        return Seen(
            namespace=str(metadata["namespace"]),
            name=str(metadata["name"]),
            uid=str(metadata["uid"]),
            version=str(metadata["resourceVersion"]),
            api_version=str(body.get("apiVersion") or "koupleless.io/v1alpha1"),
            generation=int(metadata.get("generation", 0)),
            deleting=metadata.get("deletionTimestamp") is not None,
            finalizers=tuple(metadata.get("finalizers") or ()),
            abandon=annotations.get(ABANDON) == "true",
            spec=spec,
            status=_mapping(body, "status"),
            pause=_pause(spec, metadata, annotations),
            scaled=_whole(annotations.get(FOLLOWED)),
        )
    except KeyError as error:
        raise ValueError(f"got an object without metadata.{error.args[0]}") from error


def _pause(
    spec: Mapping[str, Any], metadata: Mapping[str, Any], annotations: Mapping[str, Any]
) -> PauseField:
    return PauseField(
        value=_switch(spec.get("pause")),
        owners=frozenset(_owners(metadata, ("f:spec", "f:pause"))),
        declared=_declared(annotations.get(LAST_APPLIED)),
        appliers=frozenset(
            owner.manager for owner in _owners(metadata, ("f:metadata", "f:annotations", f"f:{LAST_APPLIED}"))
        ),
        memory=str(annotations.get(MEMORY, "")),
    )


def _owners(metadata: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Owner]:
    """Who owns the field at this path."""
    for entry in metadata.get("managedFields") or ():
        if entry.get("subresource"):
            continue
        if _at(entry.get("fieldsV1"), path) is not None:
            yield Owner(str(entry.get("manager", "")), declares=entry.get("operation") == "Apply")


def _at(body: object, path: Iterable[str]) -> object:
    """What stands at this path; None: nothing does."""
    for part in path:
        body = body.get(part) if isinstance(body, Mapping) else None
    return body


def _declared(text: object) -> bool | None:
    try:
        document = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return _switch(_mapping(document, "spec").get("pause")) if isinstance(document, dict) else None


def _whole(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 10 else None


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _mapping(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}
