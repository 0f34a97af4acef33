"""Which phase a deployment is in, and why: the first that fits of design 1.4."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tranche.contract.progress import Progress
from tranche.contract.status import BatchState, Phase
from tranche_planner.core.document import Document
from tranche_planner.core.gates import Graying, Unconfirmed, in_words, shut
from tranche_planner.core.plans import wanted
from tranche_planner.core.verification import fresh, given_up, verified


@dataclass(frozen=True, slots=True)
class Standing:
    """A phase with its reason, a sentence, and the command that helps."""

    phase: Phase
    reason: str
    message: str
    next: str = ""


def standing(document: Document, now: datetime) -> Standing:
    """Where the deployment stands."""
    return (
        _leaving(document)
        or _degraded(document)
        or _paused(document)
        or _waiting(document, now)
        or _blocked(document)
        or _under_way(document)
    )


def batch_state(document: Document, now: datetime) -> BatchState:
    """The state of the current batch."""
    rollout = document.rollout
    if rollout.over:
        return "Verified"
    if rollout.stage == "opening":
        return "Pending"
    if given_up(document):
        return "Failed"
    return "Waiting" if _waits(document, now) else "Releasing"


def observed(document: Document) -> bool:
    """Whether the scheduler has answered the rollout's first plan: before that nothing is known to have begun."""
    return fresh(document)


def _leaving(document: Document) -> Standing | None:
    rollout, where = document.rollout, f"{document.namespace}/{document.name}"
    progress = document.progress
    left = progress.present if progress else 0
    if rollout.kind == "delete":
        if rollout.over:
            return Standing("Deleted", "Deleted", "all replicas are uninstalled")
        held = document.paused is not None
        message = f"{left} replicas are left to uninstall{' and it is paused' if held else ''}"
        return Standing("Deleting", "Deleted", message, f"tranche resume {where}" if held else "")
    if rollout.kind != "abort":
        return None
    stable = document.stable_content
    back = f"back at {stable.version}" if stable else "what it installed is removed"
    if rollout.over:
        message = (
            f"{document.spec.module.version} was aborted, {back}; the wish is not fulfilled: apply another"
        )
        return Standing("Aborted", "Aborted", message)
    if not observed(document):
        # Shown as Aborting only once the scheduler has noted it: from then on nothing starts under the old plan.
        return Standing("Progressing", "Aborted", "the abort is on its way to the scheduler")
    to = f"back to {stable.version}" if stable else "removing what was installed"
    held = document.paused is not None
    message = f"aborting {document.spec.module.version}, {to}{'; paused' if held else ''}"
    return Standing("Aborting", "Aborted", message, f"tranche resume {where}" if held else "")


def _degraded(document: Document) -> Standing | None:
    count = given_up(document)
    progress = document.progress
    if not count or progress is None:
        return None
    words = next((one.message for one in progress.problems if one.reason == "InstallFailed"), "")
    many = "1 replica" if count == 1 else f"{count} replicas"
    held = "" if document.rollout.over else "; nothing further is disturbed"
    message = f"{many} failed and will not be tried again{held}{f': {words}' if words else ''}"
    command = "" if document.rollout.over else f"tranche abort {document.namespace}/{document.name}"
    return Standing("Degraded", "InstallFailed", message, command)


def _paused(document: Document) -> Standing | None:
    paused, progress = document.paused, document.progress
    if paused is None:
        return None
    if progress is None or progress.plan_revision < paused.first_plan:
        return None  # said only once the scheduler has noted it
    who, why = f" by {paused.by}" if paused.by else "", f": {paused.reason}" if paused.reason else ""
    command = f"tranche resume {document.namespace}/{document.name}"
    return Standing("Paused", "Paused", f"paused{who}{why}; nothing new is disturbed", command)


def _waits(document: Document, now: datetime) -> bool:
    rollout, batch = document.rollout, document.rollout.batch
    between = rollout.stage == "releasing" and not rollout.last_batch
    seen = batch is not None and batch.verified_at is not None
    return between and seen and verified(document) and bool(shut(document, now))


def _waiting(document: Document, now: datetime) -> Standing | None:
    rollout = document.rollout
    if not _waits(document, now):
        return None
    which = f"batch {rollout.current} of {len(rollout.batches)} is verified"
    gates = shut(document, now)
    graying = next((gate for gate in gates if isinstance(gate, Graying)), None)
    if any(isinstance(gate, Unconfirmed) for gate in gates):
        command = f"tranche confirm {document.namespace}/{document.name} --batch {rollout.current}"
        too = f", and its gray time ends at {in_words(graying.until)}" if graying else ""
        return Standing("Waiting", "AwaitingConfirm", f"{which} and waits for a person{too}", command)
    if graying:
        return Standing("Waiting", "GrayTime", f"{which} and is watched until {in_words(graying.until)}")
    return Standing("Waiting", "Paused", f"{which}; the pause is on its way to the scheduler")


def _blocked(document: Document) -> Standing | None:
    progress = document.progress
    if progress is None or not progress.blocked or not observed(document) or _whole(document, progress):
        return None
    reason = progress.blocked
    words = next((one.message for one in progress.problems if one.reason == reason), reason)
    return Standing("Blocked", reason, f"{words}; it goes on by itself when that changes")


def _under_way(document: Document) -> Standing:
    rollout, progress = document.rollout, document.progress
    version, generation = document.spec.module.version, document.generation
    if rollout.stage == "opening":
        if progress is None or not observed(document):
            message = f"generation {generation} is accepted and waits for the scheduler to count"
        elif document.spec.peer and not progress.pods:
            message = f"no pod of {document.spec.base} is known yet; it begins when one appears"
        elif document.paused:
            message = "nothing is released: the pause is on its way to the scheduler"
        else:
            message = "surplus replicas that are not available are removed first"
        return Standing("Pending", "Accepted", message)
    if progress is None:
        return Standing("Progressing", "BatchReleased", "waiting for the scheduler to count")
    if not rollout.over:
        count, total = rollout.current, len(rollout.batches)
        trying = f", {progress.retrying} failed and are tried again" if progress.retrying else ""
        done = progress.updated_available if observed(document) else 0
        message = f"batch {count} of {total} is under way: {done} available at {version}{trying}"
        return Standing("Progressing", "BatchReleased", message)
    if _whole(document, progress):
        return Standing("Healthy", "RolloutCompleted", f"{progress.available} available at {version}")
    missing = max(0, wanted(document) - progress.updated_available)
    return Standing(
        "Progressing", "PodLost", f"{missing} of {wanted(document)} are not available; they are brought back"
    )


def _whole(document: Document, progress: Progress) -> bool:
    """Complete, and all available at the target."""
    enough = min(progress.available, progress.updated_available) >= wanted(document)
    return document.rollout.over and enough and not progress.failed and not progress.retrying
