"""``spec.pause`` under a robot that applies the same file every second, and a planner that dies in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from tests.cluster.object_stage import ObjectStage, object_stage, settled
from tests.cluster.planes import shared_plane
from tests.cluster.tenant import tenancy

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

ROLLOUT = {"replicas": 3, "maxUnavailable": 3, "batchCount": 3, "needConfirm": True}
APPLIES = {
    "client-side": ("apply", "-f", "-"),
    "server-side": ("apply", "-f", "-", "--server-side", "--force-conflicts", "--field-manager=robot"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ObjectStage]:
    plane = shared_plane(request.config, controllers=False)
    async with tenancy(plane) as tenant, object_stage(tenant, tmp_path_factory.mktemp("robots")) as given:
        yield given


@pytest.fixture
def stage(shared: ObjectStage, request: pytest.FixtureRequest) -> ObjectStage:
    """The same for all, with a module of the test's own."""
    return shared.of(request.node.name)


@asynccontextmanager
async def robot(stage: ObjectStage, how: str, version: str) -> AsyncIterator[list[int]]:
    """Applies the same file every second; counts how often."""
    wish = stage.wish(version, pause=False, **ROLLOUT)
    count: list[int] = []

    async def apply() -> None:
        await stage.kubectl(*APPLIES[how], stdin=json.dumps(wish))
        count.append(1)

    async def heal() -> None:
        while True:
            await asyncio.sleep(1.0)
            await apply()

    await apply()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(heal())
        yield count
        task.cancel()


@pytest.mark.parametrize("how", APPLIES)
async def test_a_robot_confirms_nothing_and_a_person_still_does(stage: ObjectStage, how: str) -> None:
    async with robot(stage, how, "1.0.0") as heals:
        for batch in (1, 2):
            await stage.waits(batch)
            done = len(heals)
            await stage.until(lambda done=done: stage.counted(heals, done + 3), True)
            it = await stage.waits(batch)
            assert it["status"]["batch"]["current"] == batch, "no heal has opened it"
            await stage.patch({"pause": False})
            await stage.seen(lambda it, batch=batch: it["status"]["batch"]["current"] > batch)
        await stage.healthy("1.0.0")
    assert await stage.confirmed() == ["kubectl-patch", "kubectl-patch"]
    told = [message for _, reason, message in await stage.events() if "confirms nothing" in message]
    assert len(told) == 2, "said once for each batch"


async def test_a_false_while_no_planner_runs_is_heard_by_the_next(stage: ObjectStage) -> None:
    planner = stage.here.services["planner-1"]
    await stage.apply("1.0.0", **ROLLOUT)
    await stage.waits(1)
    await planner.kill()
    await stage.patch({"pause": False})
    await stage.returns(planner)
    await stage.waits(2)
    events = await stage.events()
    await planner.kill()
    await stage.returns(planner)
    await stage.client.confirm(stage.tenant.namespace, stage.name, batch=2)
    it = await stage.healthy("1.0.0")
    assert it["spec"].get("pause") is not True
    assert await stage.confirmed() == ["kubectl-patch", ""]
    later = await stage.events()
    assert [one for one in later if one in events] == events
    assert len(later) == len(set(later)), "a restart tells nothing twice"


async def test_what_the_command_line_changed_survives_a_restart(stage: ObjectStage) -> None:
    planner = stage.here.services["planner-1"]
    await stage.runs("1.0.0", replicas=1)
    await planner.stop()
    await stage.kubectl("scale", stage.object, "--replicas=2")
    await stage.returns(planner)
    await stage.seen(lambda it: settled(it) and it["status"]["availableReplicas"] == 2)
    await stage.client.scale(stage.tenant.namespace, stage.name, 3)
    await stage.seen(lambda it: settled(it) and it["spec"]["replicas"] == 3)
    await planner.kill()
    await stage.returns(planner)
    await stage.patch({"minReadySeconds": 1})
    it = await stage.seen(lambda it: settled(it) and it["status"]["rolloutGeneration"] == 4)
    assert it["spec"]["replicas"] == 3


async def test_a_deletion_while_no_planner_runs_is_carried_out_by_the_next(stage: ObjectStage) -> None:
    planner = stage.here.services["planner-1"]
    await stage.runs("1.0.0", replicas=2)
    await planner.kill()
    await stage.kubectl("delete", stage.object, "--wait=false")
    assert (await stage.serving()) == {"1.0.0": 2}
    await stage.returns(planner)
    await stage.kubectl("wait", stage.object, "--for=delete", "--timeout=30s")
    assert await stage.serving() == {}
