"""A confirm sent at the very instant a batch starts to wait is never lost (design 1.3).

Two planners share the work, so that whoever takes the confirm is often not the one that has just seen the batch
verified; the test plays the scheduler. 200 confirms; 10,000 with ``TRANCHE_STRESS=1``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.services.planner_stage import Scene, planner_scene
from tranche.bus.nats import NatsBus, connect
from tranche.bus.port import Follow
from tranche.bus.server import NatsServer
from tranche.contract import subjects
from tranche.contract.plan import Plan
from tranche.contract.status import Status
from tranche.errors import Refused

STRESS = os.environ.get("TRANCHE_STRESS") == "1"
CONFIRMS = 10_000 if STRESS else 200
PER_ROLLOUT = 50
PATIENCE_S = 10.0

pytestmark = [pytest.mark.nats]

WAYS = ("request when seen", "event when seen", "request meanwhile", "two requests when seen")
"""When seen: as soon as the status says that the batch waits. Meanwhile: while the planner learns of it."""


@pytest.fixture
async def scene(bus: NatsBus, nats_server: NatsServer) -> AsyncIterator[Scene]:
    async with (
        planner_scene(bus) as first,
        connect(nats_server.url, name="second") as other,
        planner_scene(other),
    ):
        yield first


async def test_a_confirm_is_never_lost(scene: Scene) -> None:
    dice = random.Random(4711)
    tally: Counter[str] = Counter()
    async with (
        scene.bus.follow(subjects.PLANS, [subjects.plan("shop", "web-base", "cart")], start="new") as plans,
        scene.bus.follow(subjects.STATUS, [subjects.status("shop", "cart")], start="new") as statuses,
    ):
        generation = 0
        while tally.total() < CONFIRMS:
            generation = await scene.apply(
                f"1.0.{generation}", replicas=PER_ROLLOUT + 1, batchCount=PER_ROLLOUT + 1, needConfirm=True
            )
            await _answer(scene, await _plan(plans, generation, 0))
            plan = await _plan(plans, generation, 1)
            for batch in range(1, PER_ROLLOUT + 1):
                way = dice.choice(WAYS)
                telling = asyncio.create_task(_answer(scene, plan))
                await _confirm(scene, statuses, way, generation, batch, dice.uniform(0, 0.008))
                await telling
                try:
                    plan = await _plan(plans, generation, batch + 1)
                except TimeoutError:
                    pytest.fail(
                        f"the confirm of batch {batch} of {generation} ({way}) was lost; so far {tally}"
                    )
                tally[way] += 1
            await _answer(scene, plan)
            while not plan.complete:
                plan = await _next(plans, generation)
            await _answer(scene, plan)
    assert set(tally) == set(WAYS)


async def _confirm(
    scene: Scene, statuses: Follow, way: str, generation: int, batch: int, offset_s: float
) -> None:
    body = {"generation": generation, "batch": batch, "by": "tester"}
    match way:
        case "request meanwhile":
            await asyncio.sleep(offset_s)
            try:
                await scene.client.confirm("shop", "cart", **body)
            except Refused:
                # It came too early and its sender was told so: once more when it waits.
                await _waits(statuses, generation, batch)
                await scene.client.confirm("shop", "cart", **body)
        case "event when seen":
            await _waits(statuses, generation, batch)
            await scene.bus.publish(subjects.event("shop", "cart", "confirm"), json.dumps(body).encode())
        case "request when seen":
            await _waits(statuses, generation, batch)
            await scene.client.confirm("shop", "cart", **body)
        case _:
            await _waits(statuses, generation, batch)
            await asyncio.gather(*(scene.client.confirm("shop", "cart", **body) for _ in range(2)))


async def _answer(scene: Scene, plan: Plan) -> None:
    """What the plan asks for is there."""
    if plan.mode == "roll" and plan.target is not None:
        there = PER_ROLLOUT + 1 if plan.updated < 0 else plan.updated
        left = sum(scene.replicas.values()) or PER_ROLLOUT + 1
        before = next((number for number in scene.replicas if number not in plan.target_revisions), 0)
        scene.replicas = {plan.target.revision: there}
        if plan.stable is not None and left > there:
            scene.replicas[before] = PER_ROLLOUT + 1 - there
    await scene.tell(scene.counts(plan, placeable=0 if plan.stable else PER_ROLLOUT + 1))


async def _plan(plans: Follow, generation: int, batch: int) -> Plan:
    """The plan that releases this batch."""
    while True:
        plan = await _next(plans, generation)
        if plan.batch >= batch and (batch == 0) == (plan.mode == "open"):
            return plan


async def _next(plans: Follow, generation: int) -> Plan:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        for stored in await plans.next(wait_s=ends - time.monotonic(), limit=1):
            plan = Plan.decode(stored.data)
            if plan.generation == generation:
                return plan
    raise TimeoutError


async def _waits(statuses: Follow, generation: int, batch: int) -> None:
    """The moment at which the status says that the batch waits for a person."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        for stored in await statuses.next(wait_s=ends - time.monotonic(), limit=1):
            status = Status.decode(stored.data)
            here = (status.observed_generation, status.batch.current) == (generation, batch)
            if here and any(gate.gate == "confirm" for gate in status.gates):
                return
    raise AssertionError(f"batch {batch} of generation {generation} never waited")
