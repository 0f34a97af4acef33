"""What-if questions on the real bus: kept pools, pools nobody keeps, and questions that make no sense."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.scheduler_oracle import entry, plan, record
from tests.services.test_scheduler_pool import Stage, stage  # noqa: F401
from tranche.contract import subjects
from tranche.contract.answer import RefusedAnswer
from tranche.contract.plan import Plan
from tranche.contract.preview import Levels, LevelsQuestion
from tranche.errors import Unavailable

pytestmark = pytest.mark.nats


async def ask(stage: Stage, data: bytes, base: str = "web") -> bytes:  # noqa: F811
    async with asyncio.timeout(8):
        while True:
            try:
                return await stage.bus.request(subjects.preview("shop", base), data, timeout_s=5)
            except Unavailable:
                await asyncio.sleep(0.05)


def question(*plans: Plan, **facts) -> bytes:
    return LevelsQuestion(plans=plans, **facts).encode()


LEVELS = (
    plan(mode="open", replicas=3, updated=0),
    plan(replicas=3, updated=1, max_unavailable=1),
    plan(replicas=3, max_unavailable=1),
)


async def test_a_pool_nobody_keeps_is_previewed_too(stage: Stage) -> None:  # noqa: F811
    await stage.pods(3, revision=1)
    async with stage.scheduler():
        answer = Levels.decode(await ask(stage, question(*LEVELS)))
    assert answer.progress.present == 3
    pods = [[(step.pod, step.step, step.from_, step.to) for step in level.steps] for level in answer.levels]
    assert pods == [
        [],
        [("p000", "replace", "1.0.0", "2.0.0")],
        [("p001", "replace", "1.0.0", "2.0.0"), ("p002", "replace", "1.0.0", "2.0.0")],
    ]
    assert [level.lowest_available for level in answer.levels] == [3, 2, 2]


async def test_a_pool_without_pods_or_history_is_empty(stage: Stage) -> None:  # noqa: F811
    async with stage.scheduler():
        answer = Levels.decode(await ask(stage, question(LEVELS[0])))
    assert (answer.progress.present, answer.progress.pods) == (0, 0)


async def test_a_kept_pool_answers_as_its_scheduler_knows_it_and_changes_nothing(
    stage: Stage,  # noqa: F811
) -> None:
    await stage.pods(3, revision=1)
    async with stage.scheduler("one"), stage.scheduler("two"):
        told = await stage.tell(LEVELS[0])
        await stage.wait_progress(lambda said: said.plan_revision == told.revision)
        before = await stage.ledger()
        answers = {await ask(stage, question(*LEVELS)) for _ in range(6)}
        steps = {tuple(level.steps for level in Levels.decode(answer).levels) for answer in answers}
        assert len(steps) == 1, "whoever answers says the same"
        assert await stage.ledger() == before


async def test_what_was_foreseen_happens(stage: Stage) -> None:  # noqa: F811
    await stage.pods(8, revision=1)
    for number in (8, 9):
        await stage.put(record(f"p{number:03}"))
    facts = {"replicas": 8, "max_unavailable": 3}
    async with stage.scheduler(), stage.executor():
        told = await stage.tell(plan(mode="open", updated=0, **facts))
        await stage.wait_progress(lambda said: said.plan_revision == told.revision)
        for updated in (3, -1):
            level = plan(updated=updated, **facts)
            foreseen = Levels.decode(await ask(stage, question(level))).levels[0]
            told = await stage.tell(level)
            wanted = 8 if updated < 0 else updated
            await stage.wait_progress(
                lambda said, told=told, wanted=wanted: (
                    said.plan_revision == told.revision
                    and said.updated_available == wanted
                    and not said.moving
                )
            )
            found = [await stage.record(f"p{number:03}") for number in range(10)]
            tokens = sorted((one.operation.token, one.pod) for one in found if one.operation is not None)
            assert [pod for _, pod in tokens][-foreseen.size :] == [step.pod for step in foreseen.steps]


async def test_questions_that_make_no_sense_are_refused(stage: Stage) -> None:  # noqa: F811
    other = LEVELS[0].but(name="menu", module="menu")
    async with stage.scheduler():
        for data, word in (
            (b"{", "cannot be read"),
            (question(), "no plan"),
            (question(LEVELS[0], other), "one deployment"),
            (question(LEVELS[0], skip=-1), "skip"),
        ):
            refusal = RefusedAnswer.decode(await ask(stage, data))
            assert word in refusal.errors[0].message
        assert b"not for the pool" in await ask(stage, question(LEVELS[0]), base="other")


async def test_a_new_replica_is_looked_at_when_it_ran_for_long_enough(stage: Stage) -> None:  # noqa: F811
    new = record("p000", {"cart": entry(2)})
    since = new.observed_at.now(tz=new.observed_at.tzinfo) - timedelta(seconds=0.5)
    await stage.put(record("p000", {"cart": entry(2, since=since)}).but(observed_at=since))
    async with stage.scheduler():
        await stage.tell(plan(replicas=1, min_ready_s=1, complete=True))
        said = await stage.wait_progress(lambda said: said.maturing == 1)
        assert (said.available, said.updated) == (0, 1)
        ledger = await stage.wait_ledger(lambda ledger: bool(ledger.claims))
        claim = ledger.claims["p000"]
        assert (claim.op, claim.revision, claim.costs) == ("observe", 2, False)
        found = await stage.record("p000")
        later = since + timedelta(seconds=1)
        await stage.put(found.but(observed_at=later, operation=stage._operation(claim, "done")))
        await stage.wait_progress(lambda said: said.available == 1 and not said.moving and not said.maturing)
