"""The last hop's fence: every request id that may have been sent is known over, or burnt (design 2.2).

Before a later step, and before a terminal record, nothing that was sent may run any more, nor ever begin to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tranche_executor.arklet.failure import Failure
from tranche_executor.arklet.operation import Operation, OperationState


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the base what it remembers of an id."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Burn:
    """Spend an id the base knows nothing of, so that a call still on its way can never run."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Running:
    """It may still run."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Spent, but without a record: only what the base lists can tell whether it is over."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of an id. ``spent``: the base refused it as used, or took it for a burn's."""

    operation: Operation | None = None
    spent: bool = False
    burnt: bool = False

    @property
    def over(self) -> bool:
        known = self.operation
        return self.burnt or (known is not None and (known.over or known.burnt))


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The last changing step was carried out, as far as the base's record goes."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The base said no to the last changing step, or failed at it."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class NeverRan:
    """The last changing step did not run, or the base has forgotten that it did: look, and take it again."""


Outcome = Succeeded | Refused | NeverRan

Fence = Ask | Burn | Running | Forgotten


def fence(open_: Iterable[str], told: Mapping[str, Told]) -> Fence | None:
    """What is to be done about the ids that may have been sent; None: none of them runs, nor ever will.

    >>> fence(["e-1-install-1"], {})
    Ask(request_id='e-1-install-1')
    >>> fence(["e-1-install-1"], {"e-1-install-1": Told(Operation("e-1-install-1", OperationState.UNKNOWN))})
    Burn(request_id='e-1-install-1')
    """
    for one in open_:
        known = told.get(one, Told())
        if known.over:
            continue
        if known.operation is None:
            return Ask(one)
        if known.operation.state is not OperationState.UNKNOWN:
            return Running(one)
        return Forgotten(one) if known.spent else Burn(one)
    return None


def outcome(told: Told) -> Outcome:
    """How the step under an id that is over has ended.

    >>> outcome(Told(burnt=True))
    NeverRan()
    """
    known = told.operation
    if told.burnt or known is None or known.burnt:
        return NeverRan()
    if known.failure is not None:
        return Refused(known.failure)
    return Succeeded()
