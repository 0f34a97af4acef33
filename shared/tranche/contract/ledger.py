"""The scheduler's truth: the claims in flight of one pool, in one value that changes only by CAS (design 2.2)."""

from __future__ import annotations

from typing import Literal

from tranche.contract.content import Content
from tranche.contract.message import Message, Seconds, Time

MAX_CLAIMS = 1000
"""Claims in flight per pool at most; a claim is about 175 B."""

Op = Literal["install", "replace", "remove", "observe"]
"""install: nothing (that runs) is there, or what is there is down; brings ``revision`` up.
replace: takes an available replica to ``revision``. remove: no version of the module stays.
observe: nothing is disturbed, what is there is looked at and recorded: taking over a module found at the
target's version, and asking a pod after lost history."""


class Claim(Message):
    """The right to disturb one pod for one deployment. Never expires by time; leaves only on proof."""

    pod: str
    uid: str
    deployment: str
    module: str
    generation: int
    batch: int
    op: Op
    revision: int = 0
    """What is to run afterwards, a key of the ledger's ``contents``; 0 for remove, or for observing only."""
    beside: bool = False
    """install_then_uninstall: the new version beside the old one, then switch, then the old one goes."""
    costs: bool = False
    """Makes an available replica unavailable meanwhile: counted in the budget."""
    drain_s: Seconds = 0
    """What serves is out of traffic for so many seconds before it is taken down."""
    token: int
    withdrawn: bool = False
    """Not to be started any more: an executor that has not written itself in ends it as ``unchanged``."""


class Frozen(Message):
    """The pool lost history: nothing is disturbed until each pod answered under a token above ``above``."""

    reason: str
    since: Time
    above: int


class Ledger(Message):
    """One pool's claims. The key is never deleted; a new one starts its counter above every record's token."""

    namespace: str
    base: str
    epoch: str
    """Drawn when the ledger was made: part of every request id, so a new ledger never repeats one."""
    counter: int = 0
    """The highest token given out."""
    claims: dict[str, Claim] = {}
    """By pod: one operation per pod at a time."""
    contents: dict[str, dict[int, Content]] = {}
    """By deployment and revision: what the claims in flight install."""
    noted: dict[str, int] = {}
    """By deployment: the newest plan revision a writer knew. Nobody claims under an older one."""
    seen: int = 0
    """The availability stream's sequence its writer had folded in. Nobody claims with an older view."""
    frozen: Frozen | None = None
    forgiven: int = 0
    """Plans that saw a ledger revision up to this one were answered by a freeze: that history is lost."""
    nonce: str = ""


class Task(Message):
    """A hint that a pod has a claim. The executor does whatever the ledger says."""

    namespace: str
    base: str
    pod: str
    token: int
