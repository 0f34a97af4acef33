"""What an executor leaves behind when it dies, and what comes late: nothing runs twice, nothing at once."""

from __future__ import annotations

import pytest

from tests.unit.memory_executor import MemoryBase, hall
from tranche_executor.arklet.wire import BizState

ONLY_THE_TARGET = {("cart", "2.0.0"): BizState.ACTIVATED}


async def test_a_task_outlives_the_executor_that_had_it() -> None:
    async with hall(revision=1) as here:
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True)
        await here.tell()
        await here.until(lambda: here.base().ran)
        await here.crash("executor-1")
        here.start("executor-2")

        # Nobody says the task again: it is still there for whoever comes.
        ended = await here.over(claim)

        assert ended.operation is not None
        assert (ended.operation.state, ended.operation.holder) == ("done", "executor-2")
        assert here.base().ran == ["uninstall cart:1.0.0", "install cart:2.0.0"]
        await here.untasked()


@pytest.mark.parametrize("late_s", [7.5, 9.0, 20.0])
async def test_who_takes_over_sends_nothing_while_what_was_sent_may_still_run(late_s: float) -> None:
    async with hall(revision=1) as here:
        base = here.base()
        base.takes_s = 4.0
        base.late.append(late_s)
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True)
        await here.tell()
        await here.until(lambda: not base.late)  # the uninstall is on its way, and nobody answers
        await here.crash("executor-1")
        here.start("executor-2")

        await here.over(claim)
        await here.runtime.clock.sleep(30)

        assert base.overlaps == []
        assert base.ran == ["uninstall cart:1.0.0", "install cart:2.0.0"]
        assert base.modules == ONLY_THE_TARGET


@pytest.mark.parametrize("op", ["install", "remove"])
async def test_a_call_that_comes_in_after_the_end_never_runs(op: str) -> None:
    async with hall(revision=1 if op == "remove" else None) as here:
        base = here.base()
        base.late.append(300.0)
        here.start("executor-1")
        claim = await here.claim(op=op, revision=2)
        await here.tell()
        ended = await here.over(claim)
        assert ended.operation is not None
        assert ended.operation.open == ()
        ran, modules = list(base.ran), dict(base.modules)
        assert len(ran) == 1, "it was sent once more, under another id"

        await here.runtime.clock.sleep(600)

        assert (base.ran, base.modules) == (ran, modules)


@pytest.mark.parametrize("late_s", [1.0, 3.0])
async def test_an_unanswered_call_is_neither_done_nor_failed_until_the_base_has_told(late_s: float) -> None:
    async with hall() as here:
        base = here.base()
        base.takes_s = 10.0
        base.late.append(
            late_s
        )  # it comes in all the same, before or after nobody waits for its answer any more
        here.start("executor-1")
        claim = await here.claim(revision=2)
        await here.tell()

        ended = await here.over(claim)
        await here.runtime.clock.sleep(30)

        assert ended.modules["cart"].state == "available"
        assert base.overlaps == []
        assert base.ran == ["install cart:2.0.0"]
        assert base.modules == ONLY_THE_TARGET


async def test_the_record_names_every_call_before_it_is_sent() -> None:
    async with hall(revision=1) as here:
        unnamed: list[str] = []

        def look(id_: str) -> None:
            noted = here.record().operation
            if noted is None or id_ not in noted.open:
                unnamed.append(id_)

        here.base().on_order = look
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True)
        await here.tell()
        await here.over(claim)
        assert len(here.base().ran) == 2
        assert unnamed == []


async def test_a_claim_is_looked_up_anew_for_every_task() -> None:
    async with hall(pods=2) as here:
        here.start("executor-1")
        first, second = await here.claim("web-1"), await here.claim("web-2")
        await here.tell("web-1")
        await here.over(first)
        # Both were in the ledger when the first was read; since then somebody paused.
        await here.keep(second.but(withdrawn=True))
        await here.tell("web-2")

        ended = await here.over(second)

        assert ended.operation is not None
        assert ended.operation.state == "unchanged"
        assert here.base("web-2").ran == []


@pytest.mark.parametrize("costs", [False, True])
async def test_a_claim_that_was_withdrawn_is_not_begun(costs: bool) -> None:
    async with hall(revision=1) as here:
        here.start("executor-1")
        claim = await here.claim(
            op="replace" if costs else "install", revision=2, costs=costs, withdrawn=True
        )
        await here.tell()
        ended = await here.over(claim)
        assert ended.operation is not None
        assert (ended.operation.state, here.base().ran) == ("unchanged", [])


async def test_a_task_that_comes_again_however_late_finds_its_claim_over() -> None:
    async with hall() as here:
        here.start("executor-1")
        claim = await here.claim()
        await here.tell()
        ended = await here.over(claim)
        await here.untasked()
        # The module is lost, but that is for another claim: this one is over, though the ledger still has it.
        here.base().modules.clear()
        await here.runtime.clock.sleep(3600)
        await here.tell()
        await here.untasked()
        assert here.base().ran == ["install cart:1.0.0"]
        assert here.record() == ended


async def test_a_claim_for_a_pod_of_before_touches_no_other_of_that_name() -> None:
    async with hall() as here:
        here.start("executor-1")
        claim = await here.claim()
        await here.keep(claim.but(uid="the pod of yesterday"))
        await here.tell()
        await here.untasked()
        assert here.base().ran == []
        assert here.record().operation is None


@pytest.mark.parametrize("same_pod", [False, True])
async def test_what_was_begun_on_one_base_does_not_go_on_at_another_with_its_address(same_pod: bool) -> None:
    """The executor has not heard yet that the pod is gone, and the other base tells who it is. Where the source
    still has the very pod there, it is the same base, started again under another name."""
    async with hall(revision=1) as here:
        key, pod = next(iter(here.source.pods().items()))
        here.base().identity = "web-1/first"
        await here.identify("web-1/first")
        here.start("executor-1")
        claim = await here.claim(op="replace", revision=2, costs=True)
        await here.tell()
        await here.until(lambda: here.base().ran)

        another = here.bases.at[pod.address] = MemoryBase(here.runtime.clock, identity="web-9/second")
        if not same_pod:
            here.source.truth.pop(key)
            await here.runtime.clock.sleep(20)
            assert another.ran == []
            here.source.hear()
        ended = await here.over(claim)

        assert ended.gone is not same_pod
        assert another.ran == (["install cart:2.0.0"] if same_pod else [])
