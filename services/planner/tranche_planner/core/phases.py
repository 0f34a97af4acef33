"""Which phase a deployment is in, and why: the first that fits of design 1.4."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tranche.contract.progress import Progress
from tranche.contract.status import BatchState, Phase
from tranche_planner.core.budget import budget
from tranche_planner.core.document import Document, Hold
from tranche_planner.core.gates import Frozen, Graying, Unconfirmed, shut, told, unfreeze
from tranche_planner.core.plans import wanted
from tranche_planner.core.rollout import deleted_words
from tranche_planner.core.verification import degraded, fresh, given_up, verified
from tranche_planner.core.words import in_words, replicas, signed


@dataclass(frozen=True, slots=True)
class Standing:
    """A phase with its reason, a sentence, and the command that helps."""

    phase: Phase
    reason: str
    message: str
    next: str


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
    if degraded(document):
        return "Failed"
    waits = not rollout.last_batch and verified(document) and bool(shut(document, now))
    return "Waiting" if waits else "Releasing"


def observed(document: Document) -> bool:
    """Whether the scheduler has answered the rollout's first plan: before that nothing is known to have begun."""
    return fresh(document)


def where(document: Document) -> str:
    """The deployment as commands name it."""
    return f"{document.namespace}/{document.name}"


def _watch(document: Document) -> str:
    return f"tranche status {where(document)} -w"


def _leaving(document: Document) -> Standing | None:
    rollout = document.rollout
    if rollout.kind == "delete":
        return _deleting(document)
    if rollout.kind != "abort":
        return None
    stable, version = document.stable_content, document.spec.module.version
    held = "; paused" if document.paused is not None else ""
    command = f"tranche resume {where(document)}" if held else _watch(document)
    by = f" by {rollout.by}" if rollout.by else ""
    why = f": {rollout.reason}" if rollout.reason else ""
    if rollout.over:
        back = f"back at {stable.version}" if stable else "what it installed is removed"
        message = (
            f"{version} was aborted{by}{why}; {back}; the wish is not fulfilled: apply another or retry{held}"
        )
        return Standing("Aborted", "Aborted", message, f"tranche retry {where(document)}")
    if not observed(document):
        # Shown as Aborting only once the scheduler has noted it: from then on nothing starts under the old plan.
        return Standing("Progressing", "Aborted", "the abort is on its way to the scheduler", command)
    to = f"back to {stable.version}" if stable else "removing what was installed"
    return Standing("Aborting", "Aborted", f"aborting {version}{by}{why}; {to}{held}", command)


def _deleting(document: Document) -> Standing:
    rollout, progress = document.rollout, document.progress
    if rollout.over:
        return Standing("Deleted", "Deleted", deleted_words(document), "tranche apply -f FILE")
    left = progress.present if progress else 0
    if document.paused is not None:
        message = f"{replicas(left)} left to uninstall and it is paused"
        return Standing("Deleting", "Deleted", message, f"tranche resume {where(document)}")
    waiting = progress is not None and 0 < left <= progress.down + progress.stuck and observed(document)
    if waiting and not rollout.abandon:
        message = f"{replicas(left)} left to uninstall, on pods that do not answer; it waits until they do"
        return Standing("Deleting", "Deleted", message, f"tranche delete {where(document)} --abandon")
    return Standing("Deleting", "Deleted", f"{replicas(left)} left to uninstall", _watch(document))


def _degraded(document: Document) -> Standing | None:
    count, rollout = given_up(document), document.rollout
    progress, name = document.progress, where(document)
    if count and progress is not None:
        words = next((one.message for one in progress.problems if one.reason == "InstallFailed"), "")
        said = f": {words}" if words else ""
        many = replicas(count)
        if rollout.over:
            message = f"complete, but {many} failed{said}; tranche retry {name} tries again"
            return Standing("Degraded", "InstallFailed", message, f"tranche retry {name}")
        message = f"{many} failed and will not be tried again; nothing further is disturbed{said}"
        return Standing("Degraded", "InstallFailed", message, f"tranche abort {name}")
    if rollout.expired is not None:
        return Standing("Degraded", "ProgressDeadlineExceeded", _too_slow(document), f"tranche abort {name}")
    return None


def _too_slow(document: Document) -> str:
    rollout, name = document.rollout, where(document)
    return (
        f"batch {rollout.current} of {len(rollout.batches)} made no progress for "
        f"{document.spec.progress_deadline_seconds} seconds; nothing further is disturbed: tranche retry {name} "
        f"goes on, tranche abort {name} goes back"
    )


def _paused(document: Document) -> Standing | None:
    paused, frozen = document.paused, document.frozen
    if paused is not None and _noted(document, paused):
        message = f"paused{signed(paused.by, paused.reason)}; nothing new is disturbed"
        return Standing("Paused", "Paused", message, f"tranche resume {where(document)}")
    if frozen is not None and _noted(document, frozen):
        gate = Frozen(frozen.since, frozen.until, frozen.scope, frozen.by, frozen.reason)
        message = f"{told(gate, document).message}; nothing new is disturbed"
        return Standing("Paused", "Frozen", message, unfreeze(frozen.scope))
    return None


def _noted(document: Document, hold: Hold) -> bool:
    """Whether the scheduler knows of the hold: only then is it said."""
    return document.progress is not None and document.progress.plan_revision >= hold.first_plan


def _waiting(document: Document, now: datetime) -> Standing | None:
    rollout = document.rollout
    if not verified(document):
        return None
    which = f"batch {rollout.current} of {len(rollout.batches)} is verified"
    gates = shut(document, now)
    graying = next((gate for gate in gates if isinstance(gate, Graying)), None)
    if any(isinstance(gate, Unconfirmed) for gate in gates):
        command = f"tranche confirm {document.namespace}/{document.name} --batch {rollout.current}"
        too = f", and its gray time ends at {in_words(graying.until)}" if graying else ""
        return Standing("Waiting", "AwaitingConfirm", f"{which} and waits for a person{too}", command)
    if graying:
        command = f"tranche promote {where(document)}"
        message = f"{which} and is watched until {in_words(graying.until)}"
        return Standing("Waiting", "GrayTime", message, command)
    return None


def _blocked(document: Document) -> Standing | None:
    progress = document.progress
    if progress is None or not progress.blocked or not observed(document) or _whole(document, progress):
        return None
    reason = progress.blocked
    words = next((one.message for one in progress.problems if one.reason == reason), reason)
    name = where(document)
    spent = budget(document)
    if reason == "BudgetExhausted" and 0 < spent.resolved <= min(progress.failed, spent.unavailable):
        # Within the threshold, yet nothing but a retry ever gives back what they spend.
        failed = f"{replicas(progress.failed)} failed and will not be tried again"
        command = f"tranche retry {name}"
        return Standing("Blocked", reason, f"{words}; {failed} unless {command} says so", command)
    return Standing(
        "Blocked", reason, f"{words}; it goes on by itself when that changes", f"tranche explain {name}"
    )


def _under_way(document: Document) -> Standing:
    rollout, progress = document.rollout, document.progress
    version, generation = document.spec.module.version, document.generation
    command = _watch(document)
    if progress is None or rollout.stage == "opening":
        if progress is None or not observed(document):
            message = f"generation {generation} is accepted and waits for the scheduler to count"
        elif document.spec.peer and not progress.pods:
            message = f"no pod of {document.spec.base} is known yet; it begins when one appears"
        elif document.hold is not None:
            word = "pause" if document.paused else "freeze"
            message = f"nothing is released: the {word} is on its way to the scheduler"
        else:
            message = "surplus replicas that are not available are removed first"
        return Standing("Pending", "Accepted", message, command)
    if not rollout.over:
        count, total = rollout.current, len(rollout.batches)
        trying = f", {progress.retrying} failed, to be tried again" if progress.retrying else ""
        done = progress.updated_available if observed(document) else 0
        ripening = progress.maturing and observed(document)
        message = f"batch {count} of {total} is under way: {done} available at {version}{trying}"
        ripe = (
            f", {progress.maturing} not yet for {document.spec.min_ready_seconds} seconds" if ripening else ""
        )
        return Standing("Progressing", "BatchReleased", f"{message}{ripe}{_evicting(document)}", command)
    if _whole(document, progress) and not document.evict:
        history = f"tranche history {where(document)}"
        return Standing(
            "Healthy", "RolloutCompleted", f"{progress.available} available at {version}", history
        )
    if document.evict and progress.available >= wanted(document) - len(document.evict):
        message = f"{progress.available} available at {version}{_evicting(document)}"
        return Standing("Progressing", "Accepted", message, command)
    if missing := max(0, wanted(document) - progress.updated_available):
        what = "not available" if progress.available < wanted(document) else f"not at {version}"
        message = f"{missing} of {wanted(document)} are {what}; they are brought back{_evicting(document)}"
    else:
        failed = progress.failed + progress.retrying
        message = f"{progress.available} available at {version}; {failed} more failed, to be tried again"
    return Standing("Progressing", "PodLost", message, command)


def _evicting(document: Document) -> str:
    if not document.evict:
        return ""
    names = ", ".join(document.evict[:5]) + (" and others" if len(document.evict) > 5 else "")
    return f"; what runs on {names} is placed anew"


def _whole(document: Document, progress: Progress) -> bool:
    """Complete, and all available at the target."""
    enough = min(progress.available, progress.updated_available) >= wanted(document)
    return document.rollout.over and enough and not progress.failed and not progress.retrying
