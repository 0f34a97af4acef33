"""Whether a claim is still to be carried out, by what the pod's record says (design 2.2)."""

from __future__ import annotations

from tranche.contract.ledger import Claim
from tranche.contract.record import PodRecord


def over(record: PodRecord, claim: Claim) -> bool:
    """Whether the record proves the claim over, or outdated: there is nothing to do but to say so.

    A later token means that the ledger moved on since it was read; another uid, or ``gone``, that the pod the
    claim was made for is no more.
    """
    if record.gone or record.uid != claim.uid:
        return True
    noted = record.operation
    if noted is None:
        return False
    return noted.token > claim.token or (noted.token == claim.token and noted.over)


def begun(record: PodRecord, claim: Claim) -> bool:
    """Whether somebody has written themselves in for this claim: it can no longer be withdrawn."""
    return record.operation is not None and record.operation.token == claim.token


def held_by(record: PodRecord, claim: Claim, holder: str) -> bool:
    """Whether the record still names this holder for this claim, and the operation is not over."""
    noted = record.operation
    return (
        not over(record, claim) and noted is not None and (noted.token, noted.holder) == (claim.token, holder)
    )
