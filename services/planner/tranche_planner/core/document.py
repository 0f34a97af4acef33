"""All the planner knows of one deployment, in one value that changes only by CAS (design 2)."""

from __future__ import annotations

from typing import Literal

from tranche.contract.content import Content
from tranche.contract.given import shown
from tranche.contract.message import Message, Time
from tranche.contract.plan import Plan
from tranche.contract.progress import Problem, Progress
from tranche.contract.spec import Spec
from tranche.contract.status import Condition, StatusEvent

MOST_REVISIONS = 100
"""Revisions kept whatever the history limit says: the document stays below 1 MiB."""


class Mark(Message):
    """Where a message stands in its stream. The time tells a stream made anew from an older message."""

    sequence: int = 0
    time: Time | None = None

    def supersedes(self, other: Mark) -> bool:
        """Whether the other message came before this one in the same stream."""
        older = other.time is None or self.time is None or other.time <= self.time
        return other.sequence < self.sequence and older


class Revision(Message):
    """A content and its history."""

    content: Content
    generation: int
    by: str | None = None
    started_at: Time
    finished_at: Time | None = None
    outcome: Literal["", "completed", "aborted", "superseded", "deleted"] = ""


class Batch(Message):
    """One batch of the rollout: its level, and what became of it."""

    size: int
    replicas: int
    updated: int
    beta: bool = False
    started_at: Time | None = None
    verified_at: Time | None = None
    confirmed_by: str | None = None
    confirmed_at: Time | None = None
    confirm_reason: str | None = None
    promoted_at: Time | None = None
    """When somebody opened its gates, gray time too."""
    brings: int = 0
    """Replicas that it brings to the target; the rest of its changes are removals."""
    available_before: int = 0
    """Available at the target when it was released."""


class Hold(Message):
    """Nothing new is disturbed."""

    since: Time
    held_at: int | None = None
    """Replicas when the hold began, operations under way counted by their outcome."""
    first_plan: int = 0
    """The plan that told the scheduler first; 0 until that plan is made."""


class Paused(Hold):
    """Somebody stopped new disruptions."""

    by: str | None = None
    reason: str | None = None
    by_manifest: bool = False


class Frozen(Hold):
    """A freeze covers the namespace; ``scope``: the namespace, or all of them."""

    scope: str
    until: Time | None = None
    by: str | None = None
    reason: str = ""


class Stopwatch(Message):
    """How long the rollout has made no progress, waiting times left out (design 1.1)."""

    spent_s: float = 0
    since: Time | None = None
    """Running since; None: it stands still."""
    updated: int = 0
    """The most replicas at the target since the batch was released, and the most available ones of them."""
    available: int = 0


class Rollout(Message):
    """What is being carried out. ``opening``: the scheduler counts, nothing is released yet."""

    kind: Literal["roll", "abort", "delete"] = "roll"
    stage: Literal["opening", "releasing", "over"] = "opening"
    first_generation: int
    first_plan: int = 0
    """The plan that told the scheduler first; 0 until that plan is made."""
    open_replicas: int = -1
    """While opening: remove surplus replicas that are not available down to so many; -1: leave all alone."""
    batches: tuple[Batch, ...] = ()
    current: int = 0
    """The batch released last, counted from 1."""
    started_at: Time
    by: str | None = None
    reason: str | None = None
    gateless: bool = False
    """No gray time and no confirm any more: promoted in full, or a fast undo."""
    pods: int = 0
    """Of a peer: the pods that were counted when what is left was cut."""
    watch: Stopwatch = Stopwatch()
    expired: Hold | None = None
    """The progress deadline is over."""
    retried_at: Time | None = None
    retried_plan: int = 0
    """The plan that told the scheduler of the retry; 0 until that plan is made."""
    scarred: bool = False
    """It completed although replicas had failed, within the threshold, and they are not mended yet."""
    abandon: bool = False
    """While deleting: what is on pods that do not answer is left behind."""
    left: tuple[str, ...] = ()
    """A few of those pods."""
    left_count: int = 0

    @property
    def batch(self) -> Batch | None:
        return self.batches[self.current - 1] if 0 < self.current <= len(self.batches) else None

    @property
    def last_batch(self) -> bool:
        return self.current >= len(self.batches)

    @property
    def over(self) -> bool:
        return self.stage == "over"

    def with_batch(self, index: int, **changes: object) -> Rollout:
        """The same rollout with one batch changed; ``index`` counts from 1."""
        batches = list(self.batches)
        batches[index - 1] = batches[index - 1].but(**changes)
        return self.but(batches=tuple(batches))


class Document(Message):
    """One deployment. ``revision`` counts its changes: newest means latest."""

    namespace: str
    name: str
    revision: int = 0
    spec: Spec
    generation: int
    observed_generation: int = 0
    revisions: tuple[Revision, ...]
    next_revision: int
    target: int
    """Number of the revision the wish asks for."""
    stable: int | None = None
    stable_replicas: int = 0
    """How many replicas were wanted when stable completed; -1: peer. What an abort goes back to."""
    by: str | None = None
    rollout: Rollout
    paused: Paused | None = None
    frozen: Frozen | None = None
    freeze_mark: Mark = Mark()
    """How new the knowledge of freezes was that ``frozen`` comes from."""
    evict: tuple[str, ...] = ()
    """Pods whose replica is being replaced, where it is older than ``evicted_at``."""
    evicted_at: Time | None = None
    evict_plan: int = 0
    plan: Plan | None = None
    progress: Progress | None = None
    """The newest one acted on."""
    rejected: Problem | None = None
    """The last change that was refused, until one is accepted."""
    event: StatusEvent
    conditions: tuple[Condition, ...] = ()
    last_wish: Mark = Mark()
    last_hold: Mark = Mark()
    last_confirm: Mark = Mark()
    last_promote: Mark = Mark()
    last_replace: Mark = Mark()
    last_progress: Mark = Mark()
    nonce: str = ""

    @property
    def fault(self) -> str:
        """What contradicts itself; empty: nothing does. A broken broker may hand out what nobody wrote."""
        numbers = [one.content.revision for one in self.revisions]
        for field, number in (("target", self.target), ("stable", self.stable)):
            if number is not None and number not in numbers:
                return f"{field}: got {shown(number)}; expected the number of a revision that is kept"
        if not 0 <= self.rollout.current <= len(self.rollout.batches):
            return (
                f"rollout.current: got {shown(self.rollout.current)}; expected one of "
                f"{len(self.rollout.batches)} batches"
            )
        for field, whose in (("plan", self.plan), ("progress", self.progress), ("spec", self.spec)):
            if whose is not None and (whose.namespace, whose.name) != (self.namespace, self.name):
                return f"{field}: got that of another deployment; expected this one's"
        return ""

    @property
    def deleted(self) -> bool:
        return self.rollout.kind == "delete" and self.rollout.over

    @property
    def deleting(self) -> bool:
        return self.rollout.kind == "delete" and not self.rollout.over

    @property
    def target_content(self) -> Content:
        return self.content(self.target)

    @property
    def stable_content(self) -> Content | None:
        return None if self.stable is None else self.content(self.stable)

    @property
    def hold(self) -> Hold | None:
        """What has held the rollout longest; a freeze holds no way back (design 1.3)."""
        frozen = self.frozen if self.rollout.kind == "roll" else None
        holds = [one for one in (self.paused, frozen, self.rollout.expired) if one is not None]
        return min(holds, key=lambda one: one.since) if holds else None

    def content(self, number: int) -> Content:
        """What this revision installs; target and stable are always kept."""
        return next(one.content for one in self.revisions if one.content.revision == number)

    def numbers_of(self, content: Content | None) -> tuple[int, ...]:
        """Every revision number with the same content."""
        if content is None:
            return ()
        # The version is compared first, because it is cheap and tells nearly all apart.
        alike = (one.content for one in self.revisions if one.content.version == content.version)
        return tuple(one.revision for one in alike if one.same_as(content))

    def trimmed(self) -> Document:
        """The same document with as many old revisions as the wish wants kept."""
        stable = () if self.stable is None else (self.stable,)
        needed = frozenset({self.target, *stable})
        return self.but(revisions=kept(self.revisions, needed, self.spec.revision_history_limit))

    def told(self, event: str, message: str) -> Document:
        """The same document with this as what happened last."""
        return self.but(event=StatusEvent(reason=event, message=message))

    def ended(self, number: int, outcome: str, at: Time) -> Document:
        """The same document with the fate of a revision noted; an aborted one may yet complete, nothing else
        takes a fate back."""
        return self.but(
            revisions=tuple(
                one.but(outcome=outcome, finished_at=at)
                if one.content.revision == number and _may_end(one.outcome, outcome)
                else one
                for one in self.revisions
            )
        )


def _may_end(before: str, outcome: str) -> bool:
    return not before or (outcome == "completed" and before != "completed")


def kept(revisions: tuple[Revision, ...], needed: frozenset[int], limit: int) -> tuple[Revision, ...]:
    """The revisions to keep: needed ones and those of the same content, and the newest others."""
    contents = [one.content for one in revisions if one.content.revision in needed]
    alike = [one for one in revisions if any(one.content.same_as(content) for content in contents)]
    others = [one for one in revisions if one not in alike]
    chosen = {
        one.content.revision for one in (*alike[-MOST_REVISIONS:], *others[max(0, len(others) - limit) :])
    }
    chosen |= needed
    return tuple(one for one in revisions if one.content.revision in chosen)
