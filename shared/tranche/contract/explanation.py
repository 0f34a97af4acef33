"""Why something happens, or does not: every clause true or false (design 9.3); and what happened before."""

from __future__ import annotations

from pydantic import Field

from tranche.contract.message import Message, Time
from tranche.contract.progress import Problem
from tranche.contract.status import BudgetStatus, GateName, Phase


class GateExplained(Message):
    """One gate, open or shut."""

    gate: GateName
    open: bool
    since: Time | None = None
    until: Time | None = None
    unblock: str | None = None
    message: str = ""


class BudgetClause(Message):
    """One line of the budget's arithmetic, and whether it holds."""

    clause: str
    holds: bool
    message: str = ""


class Explanation(Message):
    """Every gate and every clause of one deployment now."""

    namespace: str
    name: str
    generation: int
    phase: Phase
    message: str
    next: str = ""
    gates: tuple[GateExplained, ...] = ()
    budget: BudgetStatus
    clauses: tuple[BudgetClause, ...] = ()
    problems: tuple[Problem, ...] = ()


class RevisionHistory(Message):
    """One revision and what became of it."""

    revision: int
    version: str
    url: str
    generation: int
    started_at: Time
    finished_at: Time | None = None
    outcome: str = ""
    by: str | None = None
    stable: bool = False
    target: bool = False


class History(Message):
    """The revisions that are kept, oldest first."""

    revisions: tuple[RevisionHistory, ...] = ()
    continue_: str | None = Field(default=None, alias="continue")


class Freeze(Message):
    """A namespace, or ``_all``, in which nothing new is disturbed; ``until`` None: until somebody lifts it."""

    namespace: str
    since: Time
    until: Time | None = None
    reason: str = ""
    by: str | None = None
    nonce: str = ""
