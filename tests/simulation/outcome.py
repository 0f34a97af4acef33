"""What a user sees once a rollout is over, and how two such ends differ."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.simulation.golden import BASE, Golden
from tests.simulation.oracle import DOCUMENTS_STREAM, POOLS_STREAM
from tests.simulation.scenario import NAMESPACE
from tests.simulation.world import World
from tranche.contract import subjects
from tranche.contract.ledger import Ledger
from tranche_planner.core.document import Document

PASSING = frozenset(
    {
        *("at", "since", "until", "startedAt", "verifiedAt", "confirmedAt", "promotedAt", "finishedAt"),
        *("lastTransitionTime", "documentRevision", "pods"),
    }
)
"""Times, revisions, and which of equal pods: what two runs of the same rollout may tell differently."""


def outcome(world: World, golden: Golden) -> dict[str, Any]:
    """What is there, what is in flight, what is said and what is kept, without what may differ."""
    name = (NAMESPACE, golden.module)
    streams = world.broker.streams
    ledger = streams[POOLS_STREAM].last(subjects.key(subjects.POOLS, NAMESPACE, BASE))
    status = streams[subjects.STATUS].last(subjects.status(*name))
    document = streams[DOCUMENTS_STREAM].last(subjects.key(subjects.DOCUMENTS, *name))
    claims = Ledger.decode(ledger.data).claims if ledger is not None else {}
    return {
        "bases": Counter(_modules(world, pod.address) for pod in world.inventory.pods.values()),
        "claims": sorted(f"{claim.op} on {pod}" for pod, claim in claims.items()),
        "rejected": len(streams[subjects.REJECTED].messages),
        "status": _lasting(json.loads(status.data)) if status is not None else None,
        "document": _document(Document.decode(document.data)) if document is not None else None,
    }


def differences(calm: Any, found: Any, where: str = "") -> list[str]:
    """What is not as in the undisturbed run, one line each.

    >>> differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}})
    ['a.b.1: 3, undisturbed 2']
    """
    if isinstance(calm, dict) and isinstance(found, dict):
        keys: list[Any] = sorted({*calm, *found}, key=str)
        pairs = [(key, calm.get(key), found.get(key)) for key in keys]
    elif isinstance(calm, list) and isinstance(found, list) and len(calm) == len(found):
        pairs = [(index, *both) for index, both in enumerate(zip(calm, found, strict=True))]
    else:
        return [] if calm == found else [f"{where}: {found!r}, undisturbed {calm!r}"]
    return [
        line
        for key, was, is_ in pairs
        for line in differences(was, is_, f"{where}.{key}" if where else str(key))
    ]


def _modules(world: World, address: str) -> str:
    return ", ".join(
        f"{module}:{version} {state}"
        for module, versions in sorted(world.inventory.bases[address].base.modules().items())
        for version, state in sorted(versions.items())
    )


def _document(document: Document) -> dict[str, Any]:
    kept = _lasting(json.loads(document.encode()))
    rollout = kept["rollout"]
    return {
        **{field: kept.get(field) for field in ("spec", "generation", "observedGeneration", "revisions")},
        **{
            field: kept.get(field)
            for field in ("target", "stable", "stableReplicas", "by", "paused", "frozen")
        },
        **{field: kept.get(field) for field in ("evict", "rejected", "event", "nextRevision")},
        "rollout": {
            field: rollout.get(field)
            for field in (
                "kind",
                "stage",
                "firstGeneration",
                "batches",
                "current",
                "gateless",
                "scarred",
                "expired",
            )
        },
    }


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if key not in PASSING}
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    return value
