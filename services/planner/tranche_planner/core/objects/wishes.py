"""The wish in an object: what is sent on as a manifest, and how it differs from what was agreed on the bus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any

from tranche.contract.fields import FIELDS, KIND, Field
from tranche.contract.manifest import Accepted, parse_manifest
from tranche.contract.quantity import Quantity
from tranche.contract.spec import Module, Spec
from tranche_planner.core.objects.scaling import SCALED
from tranche_planner.core.objects.seen import Seen

OWN_WAYS = frozenset({"base", "module_name", "pause", "confirm_batch_num"})
"""Never written back: two cannot change, and the others are ways of their own to say something."""


def manifest_of(object_: Seen, *, paused: bool = False) -> dict[str, Any]:
    """What is sent to the planners: the wish alone. ``spec.pause`` has a way of its own, except where a new
    deployment begins with somebody's pause."""
    spec = {key: value for key, value in object_.spec.items() if key not in ("pause", SCALED)}
    return {
        "apiVersion": object_.api_version,
        "kind": KIND,
        "metadata": {"namespace": object_.namespace, "name": object_.name},
        "spec": {**spec, "pause": True} if paused else spec,
    }


def digest(object_: Seen) -> str:
    """A word for the wish: the same wish has the same word."""
    text = json.dumps(manifest_of(object_)["spec"], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def spec_in(object_: Seen, url_allow: Sequence[str] = ()) -> Spec | None:
    """The wish as the planner reads it; None where it is not valid."""
    parsed = parse_manifest(manifest_of(object_), namespace=object_.namespace, url_allow=url_allow)
    return parsed.spec if isinstance(parsed, Accepted) else None


def written_back(object_: Seen, agreed: Spec) -> dict[str, Any]:
    """A merge patch of ``spec`` that makes the object say what was agreed elsewhere; empty: it says so already.

    Only values that differ are touched, each where the object spells it.
    """
    stands = spec_in(object_)
    patch: dict[str, Any] = {}
    if stands is None:
        return patch
    for field in FIELDS:
        if field.meaning in OWN_WAYS or _value(stands, field) == _value(agreed, field):
            continue
        for path in _spelled(object_.spec, field):
            _put(patch, path, _plain(_value(agreed, field)))
    return patch


def _value(spec: Spec, field: Field) -> object:
    """What the wish says of a field; None also for fields that are no part of a wish."""
    of_module = {"version", "url", "sha256", "args"}
    if field.meaning in of_module:
        return getattr(spec.module, field.meaning) if field.meaning in Module.model_fields else None
    if field.meaning in ("namespace", "name") or field.meaning not in Spec.model_fields:
        return None
    return getattr(spec, field.meaning)


def _spelled(spec: Mapping[str, Any], field: Field) -> Iterator[tuple[str, ...]]:
    """Where the object says it, below ``spec``; our own spelling where it does not."""
    paths = [tuple(path.split(".")[1:]) for path in field.paths]
    there = [path for path in paths if _get(spec, path) is not None]
    yield from there or paths[:1]


def _get(body: object, path: Sequence[str]) -> object:
    for part in path:
        body = body.get(part) if isinstance(body, Mapping) else None
    return body


def _put(patch: dict[str, Any], path: Sequence[str], value: object) -> None:
    for part in path[:-1]:
        patch = patch.setdefault(part, {})
    patch[path[-1]] = value


def _plain(value: object) -> object:
    match value:
        case Quantity():
            return value.spelled
        case Enum():
            return value.value
        case tuple():
            return list(value) or None
    return value
