"""The executor's truth: what is known of one pod, and the operation under way there (design 2.2, 3.3)."""

from __future__ import annotations

from typing import Literal

from tranche.contract.message import Message, Time

ModuleState = Literal["available", "installing", "uninstalling", "inactive", "failed", "unknown"]

OperationState = Literal["started", "stuck", "done", "failed", "unchanged"]

TERMINAL: frozenset[OperationState] = frozenset({"done", "failed", "unchanged"})
"""States that prove a claim over. ``unchanged``: withdrawn before anything was sent."""


class Serving(Message):
    """The version that serves while another is being installed beside it, or failed to be."""

    version: str
    revision: int


class ModuleEntry(Message):
    """One module on one pod. ``revision`` 0: not ours. ``failed``: version and revision are what was tried."""

    version: str
    revision: int
    state: ModuleState
    serving: Serving | None = None
    reason: str = ""
    message: str = ""
    generation: int = 0
    batch: int = 0
    token: int = 0
    since: Time
    tries: int = 0
    """Installations of this revision on this pod that ended in failure, since it last ran."""
    passing: bool = False
    """The cause of the failure can pass by itself (busy, artefact host down, absent after the time limit)."""

    @property
    def serves(self) -> bool:
        """Whether requests are answered, by this version or by the one beside it."""
        return self.state == "available" or self.serving is not None


class Operation(Message):
    """The last operation on the pod; survives removal and ``gone``, or an uninstall would lose its proof."""

    token: int
    uid: str
    holder: str
    attempt: int = 0
    """Raised and written before each changing call is sent: part of its request id."""
    state: OperationState
    op: str
    deployment: str
    epoch: str = ""
    step: str = ""
    """The changing step that is being sent, e.g. ``uninstall:1.0.0``."""
    open: tuple[str, ...] = ()
    """Request ids that may have been sent and are not yet known finished or burnt."""
    since: Time | None = None
    message: str = ""
    """Why it is stuck, and what to do."""

    @property
    def over(self) -> bool:
        return self.state in TERMINAL


class PodRecord(Message):
    """All that is known of one pod, last value per subject, written by executors alone, by CAS."""

    namespace: str
    base: str
    pod: str
    uid: str
    address: str
    ready: bool
    """The source says ready *and* the base answered when last asked."""
    terminating: bool = False
    cordoned: bool = False
    max_modules: int | None = None
    """Modules the pod may hold; None: unlimited."""
    capacity_problem: str = ""
    """Why the label cannot be read: the pod takes nothing new (``InvalidCapacity``)."""
    reason: str = ""
    """Why it is not ready, as a reason of the contract, e.g. ``PodUnreachable``."""
    message: str = ""
    base_identity: str = ""
    gone: bool = False
    observed_at: Time
    operation: Operation | None = None
    modules: dict[str, ModuleEntry] = {}
    source: str = ""
    """Which kind of source knows the pod, ``static``, ``heartbeat`` or ``kubernetes``: so it can be gone."""
    nonce: str = ""
