"""What the planner tells the scheduler: a release level, the newest one says all (design 1.2, 2.1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tranche.contract.content import Content
from tranche.contract.message import Message, Seconds, Time

ALL = -1
"""As a number of replicas: every pod (peer). As `updated`: every replica."""


class Plan(Message):
    """One deployment's release level on one pool.

    ``replicas``: how many in all, -1 for one on every pod. ``updated``: how many of them may be at the target,
    -1 for all. ``wanted``: what the budget counts against, ``spec.replicas`` (-1: the pods counted).
    ``batch``: 0 before the first release; later the number of the batch released last.
    """

    namespace: str
    base: str
    name: str
    module: str
    revision: int
    """Raised with every change of the plan, never going back: newest means latest (design 2.2)."""
    generation: int
    batch: int = 0
    mode: Literal["open", "roll", "abort", "remove"] = "roll"
    """open: releases nothing yet, count and answer. roll: batches. abort: back to stable, repairs first.
    remove: take everything away, at most ``max(1, max_unavailable)`` in work at a time (delete, or the abort
    of a first installation)."""
    target: Content | None = None
    """What the rollout installs; in abort mode what it goes back to. None in remove mode."""
    stable: Content | None = None
    target_revisions: tuple[int, ...] = ()
    """Every revision number whose content is the target's."""
    stable_revisions: tuple[int, ...] = ()
    replicas: int
    updated: int
    wanted: int
    max_unavailable: int | str | None = None
    """As the user wrote it; None: the default. Resolved against ``wanted`` by the quantity rules."""
    scheduling_policy: Literal["scatter", "stacking"] = "scatter"
    upgrade_policy: Literal["uninstall_then_install", "install_then_uninstall", "scaleup_then_scaledown"] = (
        "uninstall_then_install"
    )
    failure_threshold: int = 0
    min_ready_s: Seconds = 0
    """A replica counts as available once it ran for so many seconds and was looked at again at their end."""
    drain_s: Seconds = 0
    """A replica that serves is out of traffic for so long before it is taken down; where traffic can be steered."""
    retried_at: Time | None = None
    """What failed before this is tried again, whatever its cause and however often it was tried."""
    evict: tuple[str, ...] = ()
    """Pods whose replica is taken off, where it is older than ``evicted_at``, and placed anew elsewhere."""
    evicted_at: Time | None = None
    held: bool = False
    """Paused or frozen: nothing new is disturbed, what is down is brought back, lost replicas are remade."""
    held_at: int | None = None
    """While held: replicas present (operations under way counted by their outcome) when the hold began; lost
    replicas are remade up to it."""
    complete: bool = False
    """The rollout is over (target is stable): failed replicas are tried for ever, backing off to 5 min."""
    nonce: str = ""
    """Of this plan alone, given when it is kept; empty: by an older release."""
    seen_ledger: int = Field(default=0)
    """The newest ledger revision echoed by a progress the planner acted on (a sign of lost history)."""
