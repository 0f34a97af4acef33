"""What to do next for one claim on one pod: look first, then only the missing steps, one at a time (design 1.4).

``decide`` looks at nothing but the base's own list and what the record keeps of this operation, so whoever takes
an operation over in the middle goes on where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from tranche.contract.content import Content
from tranche.contract.ledger import Claim
from tranche.contract.record import ModuleEntry, PodRecord
from tranche_executor.arklet.failure import Cause, Failure
from tranche_executor.arklet.wire import Biz, BizState, Bizzes
from tranche_executor.core.fence import NeverRan, Outcome, Refused, Succeeded
from tranche_executor.core.step import (
    BROUGHT,
    Change,
    Done,
    Failed,
    Install,
    Kept,
    Step,
    Switch,
    Uninstall,
    Wait,
    about,
    word_of,
    written,
)

MOST_ATTEMPTS = 12
"""Changing calls under one claim; a base that loses every one of them would keep us for ever."""
DEAD = frozenset({BizState.BROKEN, BizState.STOPPED})


@dataclass(frozen=True, slots=True)
class Situation:
    """All a decision needs. ``last``: how the last changing step ended; None: nothing was sent yet."""

    claim: Claim
    content: Content | None
    record: PodRecord
    bizzes: Bizzes
    last: Outcome | None = None

    @property
    def module(self) -> str:
        return self.claim.module

    @property
    def step(self) -> str:
        """The last changing step of this operation."""
        noted = self.record.operation
        return noted.step if noted is not None and noted.token == self.claim.token else ""

    @property
    def attempt(self) -> int:
        noted = self.record.operation
        return noted.attempt if noted is not None and noted.token == self.claim.token else 0


def decide(now: Situation) -> Step:
    """The next step, with no request id open."""
    starting = next((biz for biz in now.bizzes.bizzes if biz.state is BizState.RESOLVED), None)
    if starting is not None:
        return Wait(f"{starting.name}:{starting.version} is starting")
    return _within_attempts(now, _paid(now, _wanted(now)))


def _wanted(now: Situation) -> Step:
    match now.claim.op:
        case "observe":
            return Done()
        case "remove":
            return _remove(now)
        case "install" | "replace":
            return _bring(now, now.content) if now.content else _unknown_content(now)
        case _:
            assert_never(now.claim.op)


def _paid(now: Situation, step: Step) -> Step:
    """The step, unless it takes down the only version that serves under a claim that the budget does not know of:
    the claim was made by a view that had forgotten it, or that it came since."""
    if now.claim.costs or now.claim.op == "remove" or not isinstance(step, Uninstall) or step.word == "undo":
        return step
    serving = [biz.version for biz in now.bizzes.of(now.module) if biz.state is BizState.ACTIVATED]
    return Kept(step.version) if serving == [step.version] else step


def _within_attempts(now: Situation, step: Step) -> Step:
    if not isinstance(step, Change) or now.attempt < MOST_ATTEMPTS:
        return step
    message = f"given up after {now.attempt} calls, the next would have been {written(step)}"
    failure = _passing(message)
    return Failed(failure, "UninstallFailed") if now.claim.op == "remove" else Failed(failure)


def _unknown_content(now: Situation) -> Step:
    # The scheduler writes contents in the same CAS as the claim, so this is a fault of ours, not the base's.
    message = f"the ledger holds no content for revision {now.claim.revision} of {now.claim.deployment}"
    return Failed(Failure(Cause.UNKNOWN, True, message))


def _remove(now: Situation) -> Step:
    there = now.bizzes.of(now.module)
    return _take_away(now, Uninstall(now.module, there[0].version)) if there else Done()


def _take_away(now: Situation, step: Uninstall) -> Step:
    """Uninstall it, unless the base has just refused that."""
    if now.step == written(step) and isinstance(now.last, Refused):
        return Failed(now.last.failure, "UninstallFailed")
    return step


def _bring(now: Situation, target: Content) -> Step:
    word = word_of(now.step)
    if word == "undo":
        return _undone(now, target)
    mine = now.bizzes.find(now.module, target.version)
    others = [biz for biz in now.bizzes.of(now.module) if biz.version != target.version]
    if mine is None:
        return _absent(now, target, others)
    if mine.state in DEAD:
        # A retry would be REPEAT_BIZ: what a failed start left behind is cleared first (design 5.2).
        if word in BROUGHT and not isinstance(now.last, NeverRan):
            return Failed(_why_dead(now, mine))
        return _take_away(now, Uninstall(now.module, mine.version, "clear"))
    if not _ours(now, target):
        # The same version with other content cannot stand beside itself: it makes room first (design 1.4).
        return _take_away(now, Uninstall(now.module, mine.version))
    return _present(now, mine, others)


def _ours(now: Situation, target: Content) -> bool:
    """Whether the target's version on the base has the target's content."""
    if word_of(now.step) in BROUGHT:
        return True
    entry = now.record.modules.get(now.module)
    return now.attempt == 0 and entry is not None and _is(entry, target)


def _is(entry: ModuleEntry, target: Content) -> bool:
    return (entry.version, entry.revision) == (target.version, target.revision)


def _absent(now: Situation, target: Content, others: Sequence[Biz]) -> Step:
    """The target is not on the base."""
    if word_of(now.step) == "install":
        match now.last:
            case Refused(failure):
                return Failed(failure)
            case Succeeded():
                return _vanished(now, target)
            case NeverRan() | None:
                pass
            case _:
                assert_never(now.last)
    elif word_of(now.step) in BROUGHT and isinstance(now.last, Succeeded):
        return Failed(_lost(target))
    if others and not now.claim.beside:
        return _take_away(now, Uninstall(now.module, others[0].version))
    return Install(now.module, target.version)


def _vanished(now: Situation, target: Content) -> Step:
    """The base says it installed it: then the jar is another module, or the base has lost it again."""
    strangers = [biz for biz in now.bizzes.bizzes if not _known(now.record, now.module, biz)]
    if len(strangers) == 1:
        return Uninstall(strangers[0].name, strangers[0].version, "undo")
    return Failed(_lost(target))


def _known(record: PodRecord, module: str, biz: Biz) -> bool:
    """Whether the module was on the pod before, as the record tells; what came since is our jar."""
    entry = record.modules.get(biz.name)
    # A record keeps one version per module, so of modules that are not ours we take away none that was there.
    if entry is None or biz.name != module:
        return entry is not None
    return entry.serving is not None and biz.version == entry.serving.version


def _undone(now: Situation, target: Content) -> Step:
    """The jar was another module, which is being taken away again."""
    name, _, version = about(now.step).partition(":")
    if now.bizzes.find(name, version) is not None and isinstance(now.last, NeverRan):
        return Uninstall(name, version, "undo")
    left = "; it could not be removed again" if now.bizzes.find(name, version) is not None else ""
    message = f"the jar says it is {name}:{version}, expected {target.module}:{target.version}{left}"
    return Failed(Failure(Cause.ARTEFACT, False, message))


def _present(now: Situation, mine: Biz, others: Sequence[Biz]) -> Step:
    """The target is on the base: have it serve, and it alone."""
    match mine.state:
        case BizState.ACTIVATED:
            return _take_away(now, Uninstall(now.module, others[0].version, "retire")) if others else Done()
        case BizState.DEACTIVATED:
            if word_of(now.step) == "switch" and isinstance(now.last, Refused):
                return Failed(now.last.failure)
            return Switch(now.module, mine.version)
        case _:
            return Wait(f"{mine.name}:{mine.version} is {mine.state.value}")


def _why_dead(now: Situation, mine: Biz) -> Failure:
    if isinstance(now.last, Refused) and now.last.failure.cause is not Cause.UNKNOWN:
        return now.last.failure
    words = mine.message or (now.last.failure.message if isinstance(now.last, Refused) else "")
    return Failure(Cause.MODULE, False, words or f"{mine.name}:{mine.version} is {mine.state.value}")


def _lost(target: Content) -> Failure:
    return _passing(f"the base said it installed {target.module}:{target.version}, and it is not there")


def _passing(message: str) -> Failure:
    return Failure(Cause.UNKNOWN, True, message)


def settled_by_sight(now: Situation, step: str) -> bool:
    """Whether the base's list alone shows that a step is over whose record was lost.

    An installation that ended in failure leaves nothing to see: then only a restart of the base tells.
    """
    word, what = word_of(step), about(step)
    # An id left by an operation before this one: nobody knows what it was about.
    if not step or any(biz.state is BizState.RESOLVED for biz in now.bizzes.bizzes):
        return False
    if word == "install":
        return now.bizzes.find(now.module, what) is not None
    name, version = what.split(":", 1) if word == "undo" else (now.module, what)
    return now.bizzes.find(name, version) is None
