"""What is stored names the place where it belongs: found anywhere else it is nobody's (design 2.2, S10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tranche.contract import subjects
from tranche.contract.given import quoted, shown
from tranche.contract.ledger import Ledger
from tranche.contract.message import Message
from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord

M = TypeVar("M", bound=Message)

Home = Callable[[M], str]
"""The subject a message belongs on."""


def plan_fault(plan: Plan) -> str:
    """What contradicts itself in a plan; empty: nothing does.

    What is installed as the target has to count as the target afterwards, or it is installed for ever.
    """
    for field, content, revisions in (
        ("targetRevisions", plan.target, plan.target_revisions),
        ("stableRevisions", plan.stable, plan.stable_revisions),
    ):
        if content is not None and content.revision not in revisions:
            return f"{field}: got {len(revisions)} others; expected {shown(content.revision)} among them"
    return ""


def home_of_plan(plan: Plan) -> str:
    """Raises ValueError where the plan contradicts itself."""
    if fault := plan_fault(plan):
        raise ValueError(fault)
    return subjects.plan(plan.namespace, plan.base, plan.name)


def home_of_record(record: PodRecord) -> str:
    return subjects.record(record.namespace, record.base, record.pod)


def home_of_progress(progress: Progress) -> str:
    return subjects.progress(progress.namespace, progress.name)


def home_of_ledger(ledger: Ledger) -> str:
    """Raises ValueError where its claims contradict it: who acts on them would act for another pod, or twice
    under one token."""
    for pod, claim in ledger.claims.items():
        if claim.pod != pod:
            raise ValueError(
                f"claims.{quoted(pod)[1:-1]}.pod: got {quoted(claim.pod)}; expected {quoted(pod)}"
            )
        if claim.token > ledger.counter:
            raise ValueError(
                f"counter: got {ledger.counter}; expected at least the token {claim.token} of a claim"
            )
    return subjects.key(subjects.POOLS, ledger.namespace, ledger.base)


def decode_at(kind: type[M], data: bytes, subject: str, home: Home[M]) -> M:
    """The message on a subject. Raises ValueError, with one line, where it is none or belongs elsewhere.

    >>> from tranche.contract.ledger import Ledger
    >>> decode_at(Ledger, b'{"namespace": "shop", "base": "web", "epoch": "e"}', "$KV.tranche-pools.shop.app",
    ...           home_of_ledger)
    Traceback (most recent call last):
    ...
    ValueError: got the value of "$KV.tranche-pools.shop.web"; expected that of "$KV.tranche-pools.shop.app"
    """
    message = kind.decode(data)
    if (belongs := home(message)) != subject:
        raise ValueError(f"got the value of {quoted(belongs)}; expected that of {quoted(subject)}")
    return message
