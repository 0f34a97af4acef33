"""What a preview makes of operations under way: they end as meant before it counts (design 9.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record, serving
from tests.unit.scheduler_desk import REHEARSED, old, rehearse, told
from tranche.contract.ledger import Claim
from tranche_scheduler.core.rehearsal import after

LATER = NOW + timedelta(minutes=1)
REPLACE = Claim(
    pod="a",
    uid="u",
    deployment="cart",
    module="cart",
    generation=1,
    batch=1,
    op="replace",
    revision=2,
    costs=True,
    token=5,
)
BEGUN = operation(5, "started")
COUNT = plan(replicas=2, updated=0, mode="open", max_unavailable=1)
ROLL = plan(replicas=2, max_unavailable=1)


def claimed(*claims: Claim):
    """A ledger with these claims, and what they install."""
    contents = {one.revision: content(one.revision) for one in claims if one.revision}
    return REHEARSED.but(
        claims={one.pod: one for one in claims}, contents={"cart": contents} if contents else {}
    )


@pytest.mark.parametrize(
    ("claim", "first", "counts", "steps"),
    [
        pytest.param(
            REPLACE,
            old("a", operation=BEGUN),
            (2, 1),
            ["replace z 1.0.0>2.0.0"],
            id="a replacement that has begun",
        ),
        pytest.param(
            REPLACE,
            old("a", operation=operation(4)),
            (2, 0),
            ["replace a 1.0.0>2.0.0", "replace z 1.0.0>2.0.0"],
            id="one that has not, and will be withdrawn, for it is counted anew",
        ),
        pytest.param(
            REPLACE.but(withdrawn=True),
            old("a", operation=operation(4)),
            (2, 0),
            ["replace a 1.0.0>2.0.0", "replace z 1.0.0>2.0.0"],
            id="one that was withdrawn before it had begun",
        ),
        pytest.param(
            REPLACE.but(withdrawn=True),
            old("a", operation=BEGUN),
            (2, 1),
            ["replace z 1.0.0>2.0.0"],
            id="one that was withdrawn too late",
        ),
        pytest.param(
            REPLACE.but(revision=3),
            old("a", operation=BEGUN),
            (2, 0),
            ["replace a 3.0.0>2.0.0", "replace z 1.0.0>2.0.0"],
            id="one to an earlier target",
        ),
        pytest.param(
            REPLACE.but(op="install", costs=False, generation=2),
            [record("a")],
            (2, 1),
            ["replace z 1.0.0>2.0.0"],
            id="an installation that is still wanted",
        ),
        pytest.param(
            REPLACE.but(op="remove", revision=0),
            old("a", operation=BEGUN),
            (1, 0),
            ["install a None>2.0.0", "replace z 1.0.0>2.0.0"],
            id="a removal",
        ),
        pytest.param(
            REPLACE.but(op="observe", revision=0, costs=False),
            old("a", operation=BEGUN),
            (2, 0),
            ["replace a 1.0.0>2.0.0", "replace z 1.0.0>2.0.0"],
            id="a question what runs there",
        ),
        pytest.param(
            REPLACE.but(pod="gone", op="install", costs=False, generation=2),
            old("a"),
            (2, 0),
            ["replace a 1.0.0>2.0.0", "replace z 1.0.0>2.0.0"],
            id="whatever was meant for a pod that is gone",
        ),
        pytest.param(
            REPLACE.but(deployment="menu", module="menu", op="install"),
            old("a"),
            (2, 0),
            ["replace z 1.0.0>2.0.0"],
            id="another deployment's: the pod is its own for now",
        ),
    ],
)
def test_what_is_under_way_ends_before_the_counting(claim, first, counts, steps) -> None:
    answer = rehearse([*first, *old("z")], COUNT, ROLL, ledger=claimed(claim))
    assert (answer.progress.present, answer.progress.updated) == counts
    assert answer.progress.moving == 0
    assert [told(level) for level in answer.levels] == [[], steps]


def test_each_ends_in_its_own_way() -> None:
    claims = [
        REPLACE.but(withdrawn=True),
        REPLACE.but(pod="b", token=6),
        REPLACE.but(pod="gone", op="install", costs=False, generation=2, token=7),
        REPLACE.but(pod="c", token=8),
    ]
    pool = [
        *old("a", "d"),
        *old("b", operation=operation(6, "started")),
        *old("c", operation=operation(8, "stuck")),
    ]
    facts = {"replicas": 4, "max_unavailable": 1}
    answer = rehearse(pool, COUNT.but(**facts), ROLL.but(**facts), ledger=claimed(*claims))
    assert (answer.progress.updated, answer.progress.available, answer.progress.moving) == (2, 4, 0)
    assert told(answer.levels[1]) == ["replace a 1.0.0>2.0.0", "replace d 1.0.0>2.0.0"]


def test_numbers_that_begin_anew_wait_for_nothing_once_what_is_under_way_has_ended() -> None:
    """The deployment's document was forgotten: number 2 was another content when the operation began."""
    forgotten = claimed(REPLACE).but(contents={"cart": {2: content(2).but(version="7.0.0")}})
    answer = rehearse([*old("a", operation=BEGUN), *old("z")], COUNT, ROLL, ledger=forgotten)
    assert told(answer.levels[1]) == ["replace a 7.0.0>2.0.0", "replace z 1.0.0>2.0.0"]


@pytest.mark.parametrize(
    ("claim", "was", "becomes"),
    [
        pytest.param(REPLACE.but(op="install"), None, entry(2, since=LATER), id="installed"),
        pytest.param(REPLACE, entry(1), entry(2, since=LATER), id="replaced"),
        pytest.param(
            REPLACE.but(op="install"), entry(2), entry(2, since=LATER), id="installed again: it begins to run"
        ),
        pytest.param(
            REPLACE.but(op="observe"), entry(2), entry(2), id="looked at again: it runs as long as before"
        ),
        pytest.param(
            REPLACE.but(op="observe"), entry(0, version="2.0.0"), entry(2, since=LATER), id="taken over"
        ),
        pytest.param(
            REPLACE.but(op="observe"),
            entry(2, "failed", tries=1, reason="InstallFailed", serving=serving(2)),
            entry(2, since=LATER),
            id="found running after all",
        ),
        pytest.param(REPLACE.but(op="observe", revision=0), entry(1), entry(1), id="asked after"),
        pytest.param(REPLACE.but(op="remove", revision=0), entry(1), None, id="removed"),
    ],
)
def test_the_record_of_a_pod_whose_operation_has_ended(claim, was, becomes) -> None:
    beside = {"menu": entry(7)}
    before = record("a", beside | ({"cart": was} if was else {}), operation=BEGUN)
    installed = content(claim.revision) if claim.revision else None
    assert after(before, claim, installed, LATER) == before.but(
        modules=beside | ({"cart": becomes} if becomes else {}), operation=None, observed_at=LATER
    )
