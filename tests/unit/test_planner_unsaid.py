"""A plan that was kept and not said: whoever hears that the scheduler does not know it says it."""

from __future__ import annotations

import pytest

from tests.services.planner_stage import planner_scene
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract.plan import Plan
from tranche.errors import Unknown
from tranche.runtime import system_runtime, wait_until
from tranche_planner.saying import Plans


async def test_a_newer_answer_to_the_plan_before_has_the_plan_said(monkeypatch: pytest.MonkeyPatch) -> None:
    say = Plans.say
    failed: list[Plan] = []

    async def fail_once(plans: Plans, plan: Plan) -> int:
        if plan.mode == "roll" and not failed:
            failed.append(plan)
            raise Unknown("no answer in time")
        return await say(plans, plan)

    monkeypatch.setattr(Plans, "say", fail_once)
    runtime = system_runtime()
    async with planner_scene(MemoryBus(MemoryBroker(runtime.clock), runtime)) as scene:
        await scene.apply("1.0.0", replicas=3)
        opened = await scene.plan(lambda plan: plan.mode == "open")
        await scene.tell(scene.counts(opened))

        async def kept() -> bool | None:
            return bool(failed) or None

        await wait_until(kept, runtime.clock, timeout_s=5, every_s=0.001)
        # The answer that the plan followed from is replaced by this one, and never delivered again.
        await scene.tell(scene.counts(opened, pods=9))
        released = await scene.plan(lambda plan: plan.mode == "roll")
        assert released.but(nonce="") == failed[0].but(nonce="")
