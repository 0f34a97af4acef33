"""A broker that forgets what was said of a deployment that rests: it is said again with the next sweep."""

from __future__ import annotations

import pytest

from tests.installation import phase
from tests.services.planner_stage import planner_scene
from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.contract import subjects
from tranche.runtime import system_runtime, wait_until
from tranche_planner import due


async def test_the_end_of_the_status_stream_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "SWEEP_S", 0.2)
    monkeypatch.setattr(due, "STEP_S", 0.05)
    runtime = system_runtime()
    broker = MemoryBroker(runtime.clock)
    looks = 0
    shrunk = due.Sweep._forgotten

    async def counted(sweep: due.Sweep) -> bool:
        nonlocal looks
        looks += 1
        return await shrunk(sweep)

    monkeypatch.setattr(due.Sweep, "_forgotten", counted)
    async with planner_scene(MemoryBus(broker, runtime)) as scene:
        await scene.apply("1.0.0", replicas=3)
        healthy = await scene.finish(1)
        seen = looks

        async def looked() -> bool | None:
            return looks >= seen + 2 or None

        await wait_until(looked, runtime.clock, timeout_s=5, every_s=0.01)
        broker.streams[subjects.STATUS].lose(after=1)
        assert (await scene.status(lambda _: True)).phase != "Healthy"
        again = await scene.status(phase("Healthy"))
        assert (again.generation, again.available) == (1, healthy.available)


async def test_a_plan_that_nobody_answers_is_said_anew_until_somebody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due, "SWEEP_S", 0.2)
    monkeypatch.setattr(due, "STEP_S", 0.05)
    runtime = system_runtime()
    async with planner_scene(MemoryBus(MemoryBroker(runtime.clock), runtime)) as scene:
        await scene.apply("1.0.0", replicas=3)
        first = await scene.plan(lambda _: True)
        again = await scene.plan(lambda plan: plan.revision > first.revision)
        assert again.but(revision=first.revision, nonce=first.nonce) == first
        await scene.finish(1)
        last = await scene.plan(lambda _: True)
        await runtime.clock.sleep(1.0)
        assert (await scene.plan(lambda _: True)).revision == last.revision, "that one was answered"
