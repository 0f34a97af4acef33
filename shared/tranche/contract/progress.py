"""What the scheduler answers to a plan: how many replicas are how, and why nothing more happens (design 2.1)."""

from __future__ import annotations

from tranche.contract.message import Message, Time
from tranche.contract.record import ModuleState


class Problem(Message):
    """Something that is not as it should be; ``reason`` is one of the contract's closed list."""

    reason: str
    message: str
    count: int = 1
    pods: tuple[str, ...] = ()
    """A few of them, in name order."""


class PodSample(Message):
    """A pod whose replica moves or is wrong."""

    pod: str
    version: str
    revision: int
    state: ModuleState
    reason: str = ""
    message: str = ""
    since: Time | None = None
    tries: int = 0
    retry_at: Time | None = None
    batch: int = 0


class Progress(Message):
    """Counts of one deployment under one plan. Published with the expected last sequence of its subject."""

    namespace: str
    base: str
    name: str
    plan_revision: int
    """The plan it answers, noted in the ledger before (design 2.2)."""
    plan_nonce: str = ""
    """Of that plan: after lost history two plans may bear one number; empty: by an older release."""
    generation: int
    batch: int
    ledger_revision: int
    """KV revision of the ledger it was computed against."""
    position: int
    """Sequence of the availability stream folded in."""
    at: Time
    pods: int = 0
    """Pods a peer deployment counts: not gone, not terminating; cordoned or full ones only with the module."""
    present: int = 0
    """Replicas there, whatever their state; operations under way counted by what is there now."""
    outcome: int = 0
    """Replicas there once the operations under way have ended as meant."""
    updated: int = 0
    """At the target's content, available or not; failed ones are not."""
    outcome_updated: int = 0
    """The same once the operations under way have ended as meant."""
    available: int = 0
    updated_available: int = 0
    failed: int = 0
    """Given up: no further try without a person or a new wish."""
    retrying: int = 0
    """Failed, and tried again by itself."""
    moving: int = 0
    """Claims in flight, withdrawn ones included until they ended."""
    down: int = 0
    """Replicas not at the target on pods that are down: in no batch, excused from its verification."""
    maturing: int = 0
    """At the target and running, not yet for ``min_ready_s``: not counted as available."""
    mature_at: Time | None = None
    """When the first of them may count."""
    evicting: int = 0
    """Replicas still to be taken off the pods the plan evicts."""
    emptied: tuple[str, ...] = ()
    """Those of the pods the plan evicts that are rid of theirs."""
    stuck: int = 0
    """Claims whose operation is stuck."""
    foreign: tuple[str, ...] = ()
    """Versions of the module, not the target's, that somebody else installed: replaced without a way back."""
    surplus_unavailable: int = 0
    """Replicas above ``wanted`` that are not available: removed before the cutting."""
    placeable: int = 0
    """Missing replicas (up to ``wanted``) that some pod could take now."""
    unavailable_pods: tuple[str, ...] = ()
    """A few pods whose replica is down, in name order: named when the budget is spent."""
    blocked: str = ""
    """BudgetExhausted, InsufficientCapacity or PoolFrozen when that alone forbids the next step, else empty."""
    problems: tuple[Problem, ...] = ()
    samples: tuple[PodSample, ...] = ()
    """Up to 20: moving or wrong ones first."""
    nonce: str = ""
