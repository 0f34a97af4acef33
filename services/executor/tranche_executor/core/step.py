"""What may be done next on one pod, and how a changing step is written down and named to the base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tranche.contract.record import Operation as Noted
from tranche_executor.arklet.failure import Failure

Word = Literal["clear", "uninstall", "install", "switch", "retire", "undo"]
"""clear: what a failed start left behind. uninstall: what makes room. retire: the old version, once the new one
serves. undo: what a jar turned out to be instead of what was meant."""

BROUGHT: frozenset[str] = frozenset({"install", "switch", "retire", "undo"})
"""Steps that are only taken once the target was sent, or was found to be there: it is this operation's own."""


@dataclass(frozen=True, slots=True)
class Install:
    """Have the base fetch and start the target."""

    module: str
    version: str
    word: Word = "install"


@dataclass(frozen=True, slots=True)
class Uninstall:
    """Take one version of a module away."""

    module: str
    version: str
    word: Word = "uninstall"


@dataclass(frozen=True, slots=True)
class Switch:
    """Have calls served by this version."""

    module: str
    version: str
    word: Word = "switch"


Change = Install | Uninstall | Switch


@dataclass(frozen=True, slots=True)
class Wait:
    """Something still runs on the base: nothing may be sent there meanwhile."""

    what: str


@dataclass(frozen=True, slots=True)
class Done:
    """The pod is as the claim wants it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be brought there now; ``reason`` is one of the contract's."""

    failure: Failure
    reason: Literal["InstallFailed", "UninstallFailed"] = "InstallFailed"


@dataclass(frozen=True, slots=True)
class Kept:
    """What serves here could only be brought to the claim by taking it down, and the claim did not count with that:
    it is left as it is, for the scheduler to decide again."""

    version: str


Step = Change | Wait | Done | Failed | Kept


def written(change: Change) -> str:
    """The step as the record keeps it.

    >>> written(Uninstall("cart", "1.0.0"))
    'uninstall:1.0.0'
    >>> written(Uninstall("orders", "1.0.0", "undo"))
    'undo:orders:1.0.0'
    """
    name = f"{change.module}:" if change.word == "undo" else ""
    return f"{change.word}:{name}{change.version}"


def word_of(step: str) -> str:
    """The word of a step as the record keeps it; empty where nothing was sent."""
    return step.partition(":")[0]


def about(step: str) -> str:
    """What a step was about: a version, or for ``undo`` name and version."""
    return step.partition(":")[2]


def request_id(noted: Noted, change: Change) -> str:
    """The id a base carries out once (design 2.2): the same for every holder of this attempt.

    >>> operation = Noted(token=41, uid="u", holder="e", attempt=2, state="started", op="replace",
    ...                   deployment="cart", epoch="e0")
    >>> request_id(operation, Install("cart", "2.0.0"))
    'e0-41-install-2'
    """
    return f"{noted.epoch}-{noted.token}-{change.word}-{noted.attempt}"
