"""What must be true at the end: bases as wished, nothing in flight, every event answered (V1 to V3)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from tests.simulation.oracle import DOCUMENTS_STREAM, POOLS_STREAM
from tests.simulation.scenario import NAMESPACE, Person, Scenario
from tests.simulation.world import World
from tranche.contract import subjects
from tranche.contract.ledger import Ledger
from tranche.contract.record import PodRecord
from tranche_planner.core.document import Document

IDLE = " "
"""Between a version that does not serve and the state it is in."""


def unfinished(world: World, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """What is not yet as it must be: rule and words, the quickest to look at first; nothing: all is done."""
    for pool in scenario.pools:
        if claims := _claims(world, pool.base):
            yield "V2", f"claims on {pool.base}: {claims}"
    for name in (subjects.DEPLOYMENTS, subjects.TASKS):
        stream = world.broker.streams.get(name)
        if stream is not None and stream.messages:
            found = sorted({message.subject for message in stream.messages.values()})
            waiting = [subject for subject in found if not _of_nobody(world, subject)]
            if waiting:
                yield "V3", f"{name} still holds {', '.join(waiting[:5])}"
    for person in scenario.people:
        if words := _deployment(world, person):
            yield "V1", words


@lru_cache(maxsize=64)
def _told(data: bytes) -> Any:
    return json.loads(data)


def _claims(world: World, base: str) -> str:
    stored = world.broker.streams[POOLS_STREAM].last(subjects.key(subjects.POOLS, NAMESPACE, base))
    ledger = Ledger.decode(stored.data) if stored is not None else None
    claims = ledger.claims if ledger is not None else {}
    return ", ".join(
        f"{claim.op} on {pod}" for pod, claim in claims.items() if not _nobody_knows(world, base, pod)
    )


def _of_nobody(world: World, subject: str) -> bool:
    """Whether a message is the task of such a pod."""
    if not subject.startswith("tranche.tasks."):
        return False
    _, base, pod = subjects.read_pod(subject)
    return _nobody_knows(world, base, pod)


def _nobody_knows(world: World, base: str, pod: str) -> bool:
    """Whether broker and base have both forgotten what an operation was about: it is stuck until the base is
    restarted. With a deployment that is forgotten too, no status is left to say so to the people here."""
    counts = world.air.counts
    if not (counts["broker forgot"] and counts["fault base forget-record"]):
        return False
    stored = world.broker.streams[subjects.AVAILABILITY].last(subjects.record(NAMESPACE, base, pod))
    noted = PodRecord.decode(stored.data).operation if stored is not None else None
    if noted is None or noted.state != "stuck" or "restart the base" not in noted.message:
        return False
    counts["forgotten by broker and base"] = 1
    return True


def _deployment(world: World, person: Person) -> str:
    """Why a deployment is not at its end; empty: it is."""
    name = (NAMESPACE, person.name)
    # As it is kept now: a broker that forgot may have forgotten a wish.
    kept = world.broker.streams[DOCUMENTS_STREAM].last(subjects.key(subjects.DOCUMENTS, *name))
    said = world.broker.streams[subjects.STATUS].last(subjects.status(*name))
    document = Document.decode(kept.data) if kept is not None else None
    status = _told(said.data) if said is not None else None
    if document is None:
        return ""  # nothing was ever accepted
    where = "/".join(name)
    if status is None:
        return f"{where} has no status"
    told = f"{status['phase']}: {status['reason']}: {status['message']}"
    if (status["generation"], status["observedGeneration"]) != (document.generation, document.generation):
        return f"{where} is at generation {document.generation}, its status says otherwise ({told})"
    if status["reason"] == "BudgetExhausted" and not status["budget"]["resolved"]:
        return ""  # held for good by a promise of none, and it says so
    if status["phase"] not in ("Healthy", "Aborted", "Deleted"):
        return f"{where} is {told}"
    found = _serving(world, person)
    wanted = _wanted(world, document, person)
    if found != wanted and not _left_behind(world, document) and not _left_idle(world, found, wanted):
        return f"{where} is {told}, but the bases serve {dict(found)}, wanted {dict(wanted)}"
    return ""


def _left_behind(world: World, document: Document) -> bool:
    """What was taken away while the broker had forgotten a pod's record may still be there, as somebody else's
    (docs/safety.md)."""
    counts = world.air.counts
    gone = document.deleted or (document.rollout.kind == "abort" and document.stable is None)
    if not gone or not counts["broker forgot"]:
        return False
    counts["left behind by a broker that forgot"] = 1
    return True


def _left_idle(world: World, found: Counter[str], wanted: Counter[str]) -> bool:
    """An older version that was to go once the new one served may stand idle beside it until the next operation on
    the pod, where the broker forgot that it was to go (docs/safety.md)."""
    serving = Counter({version: count for version, count in found.items() if IDLE not in version})
    if serving != wanted or not world.air.counts["broker forgot"]:
        return False
    world.air.counts["left idle by a broker that forgot"] = 1
    return True


def _wanted(world: World, document: Document, person: Person) -> Counter[str]:
    """Replicas by version, as the wish has it."""
    if document.deleted:
        return Counter()
    aborted = document.rollout.kind == "abort"
    content = document.stable_content if aborted else document.target_content
    replicas = document.stable_replicas if aborted else document.spec.replicas
    if content is None:
        return Counter()
    if replicas == -1:
        replicas = sum(key.base == person.base for key in world.inventory.pods)
    return Counter({content.version: replicas}) if replicas else Counter()


def _serving(world: World, person: Person) -> Counter[str]:
    """Replicas by version, as the bases have it; a base that holds it without serving counts as such."""
    found: Counter[str] = Counter()
    for key, pod in world.inventory.pods.items():
        if key.base != person.base:
            continue
        for version, state in (
            world.inventory.bases[pod.address].base.modules().get(person.module, {}).items()
        ):
            found[version if state.lower() == "activated" else f"{version}{IDLE}{state}"] += 1
    return found
