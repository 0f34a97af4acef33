"""The custom resource's schema and rules say the same as the planner's reading of a manifest.

5,000 documents that are nearly right, the same ones every time, and a thousand changes of objects that are there;
25,000 and 5,000 with ``TRANCHE_STRESS=1``. A document costs 2 to 3 ms of processor, both sides together; beside a
simulation that holds both cores some 90 are judged in a second.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster import submission
from tests.cluster.differences import DIFFERENCES, Difference, Judge, reasons
from tests.cluster.documents import change, document, each_value, mutants
from tests.cluster.submission import Verdict
from tests.cluster.tenant import Tenant
from tests.properties.bad_input import STRESS
from tranche.contract.manifest import Accepted, Rejected, parse_manifest
from tranche.contract.spec import immutable_errors

DRAWN, MUTATED, CHANGED = (20_000, 5_000, 5_000) if STRESS else (4_200, 500, 1_000)


async def test_an_apiserver_takes_what_the_planner_takes(tenant: Tenant, record_property: Any) -> None:
    documents = [*each_value(), *(document(number) for number in range(DRAWN)), *mutants(MUTATED)]
    judged = await submission.creations(tenant, documents)
    ours = [parse_manifest(one, namespace=tenant.namespace) for one in documents]
    taken = sum(isinstance(answer, Accepted) for answer in ours)
    record_property("documents", len(documents))
    record_property("accepted", taken)
    assert len(documents) >= 5_000
    assert 0.25 < taken / len(documents) < 0.75, "both verdicts must be common"
    assert _unexplained(documents, ours, judged) == []


async def test_an_apiserver_takes_the_changes_that_the_planner_takes(tenant: Tenant) -> None:
    before = [document(number) for number in range(60)]
    before = [one for one in before if isinstance(parse_manifest(one), Accepted)][:8]
    stored = {}
    for one in before:
        made = await tenant.create(one)
        stored[made["metadata"]["name"]] = (one, made["metadata"]["resourceVersion"])
    asked, ours = [], []
    for number in range(CHANGED):
        name = sorted(stored)[number % len(stored)]
        old, version = stored[name]
        new = change(old, number)
        ours.append(_changed(old, new, tenant.namespace, name))
        if isinstance(new.get("metadata"), dict):
            # Who changes an object says which one he has seen.
            new = {**new, "metadata": {**new["metadata"], "resourceVersion": version}}
        asked.append((name, new))
    judged = await submission.changes(tenant, asked)
    taken = sum(isinstance(answer, Accepted) for answer in ours)
    assert 0.2 < taken / len(ours) < 0.8, "both verdicts must be common"
    refused = [one.message for one in judged if "it cannot be changed" in one.message]
    assert len(refused) > CHANGED / 50
    assert _unexplained([new for _, new in asked], ours, judged) == []


@pytest.mark.parametrize("row", [row for row in DIFFERENCES if row.known], ids=lambda row: row.because[:40])
async def test_a_known_difference_is_still_there(row: Difference, tenant: Tenant) -> None:
    (judged,) = await submission.creations(tenant, [row.example])
    ours = parse_manifest(row.example, namespace=tenant.namespace, url_allow=row.url_allow)
    assert _taker(ours, judged) == row.taker, (judged.message, ours)
    assert all(words.startswith(row.says) for words in _refusals(ours, judged)), (judged.message, ours)
    assert row.show(row.example)


def _changed(old: Any, new: Any, namespace: str, name: str) -> Accepted | Rejected:
    answer = parse_manifest(new, namespace=namespace, name=name)
    was = parse_manifest(old, namespace=namespace)
    assert isinstance(was, Accepted)
    if isinstance(answer, Accepted) and (errors := immutable_errors(was.spec, answer.spec)):
        return Rejected(errors)
    return answer


def _unexplained(
    documents: list[Any], ours: list[Accepted | Rejected], judged: list[Verdict]
) -> list[tuple[Judge, list[str], Any]]:
    """Documents that only one of them takes, for no reason we know: who takes it, and what the other says."""
    found = []
    for one, answer, verdict in zip(documents, ours, judged, strict=True):
        taker = _taker(answer, verdict)
        if taker is not None and reasons(one, taker, _refusals(answer, verdict)) is None:
            found.append((taker, _refusals(answer, verdict), one))
    return found[:20]


def _taker(ours: Accepted | Rejected, theirs: Verdict) -> Judge | None:
    """Who takes it where the other does not."""
    if isinstance(ours, Accepted) == theirs.accepted:
        return None
    return "apiserver" if theirs.accepted else "planner"


def _refusals(ours: Accepted | Rejected, theirs: Verdict) -> list[str]:
    """The words of the one who refuses, where only one does."""
    return [str(error) for error in ours.errors] if isinstance(ours, Rejected) else [theirs.message]
