"""ModuleDeployment objects on a real apiserver, persons with kubectl, and a planner with exactly its rights."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.control_plane import ControlPlane
from tests.cluster.object_stage import ObjectStage, object_stage, settled
from tests.cluster.planes import shared_plane
from tests.cluster.tenant import tenancy

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ObjectStage]:
    plane: ControlPlane = shared_plane(request.config, controllers=False)
    async with (
        tenancy(plane) as tenant,
        object_stage(tenant, tmp_path_factory.mktemp("objects"), services=True) as given,
    ):
        yield given


@pytest.fixture
def stage(shared: ObjectStage, request: pytest.FixtureRequest) -> ObjectStage:
    """The same for all, with a module of the test's own."""
    return shared.of(request.node.name)


async def test_an_object_is_carried_out_and_its_status_tells_the_truth(stage: ObjectStage) -> None:
    await stage.apply("1.0.0", replicas=3)
    await stage.kubectl("wait", stage.object, "--for=condition=Completed", "--timeout=30s")
    it = await stage.healthy("1.0.0")
    assert it["metadata"]["finalizers"] == ["tranche.dev/uninstall"]
    status = it["status"]
    assert (status["replicas"], status["availableReplicas"], status["updatedReplicas"]) == (3, 3, 3)
    assert await stage.serving() == {"1.0.0": 3}
    table = (await stage.kubectl("get", stage.object)).rows
    assert dict(zip(table[0], table[1], strict=False))["PHASE"] == "Healthy"
    assert [reason for _, reason, _ in await stage.events()].count("RolloutCompleted") == 1


@pytest.mark.parametrize(
    "how",
    [
        {"operationStrategy": {"maxUnavailable": 1, "grayTimeBetweenBatchSeconds": 0}},
        {"maxUnavailable": "50%", "schedulingStrategy": {"schedulingPolicy": "STACKING"}},
        {"operationStrategy": {"upgradePolicy": "installThenUninstall"}},
    ],
    ids=["old", "capitals", "camel"],
)
async def test_every_spelling_is_taken(stage: ObjectStage, how: dict[str, object]) -> None:
    await stage.apply("1.0.0", replicas=1)
    await stage.patch(how)
    await stage.healthy("1.0.0")


async def test_each_false_of_a_person_opens_exactly_one_batch(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=4, maxUnavailable=4)
    await stage.apply("2.0.0", replicas=4, maxUnavailable=4, batchCount=4, needConfirm=True)
    for batch in (1, 2, 3):
        await stage.waits(batch)
        assert await stage.serving() == {"1.0.0": 4 - batch, "2.0.0": batch}
        await stage.patch({"pause": False})
    await stage.healthy("2.0.0")
    assert await stage.confirmed() == ["kubectl-patch"] * 3


async def test_confirm_batch_num_confirms_that_batch(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=3, maxUnavailable=3)
    await stage.apply("2.0.0", replicas=3, maxUnavailable=3, batchCount=3, needConfirm=True)
    for batch in (1, 2):
        await stage.waits(batch)
        await stage.patch({"confirmBatchNum": batch})
    it = await stage.healthy("2.0.0")
    assert it["spec"].get("pause") is not True, "what was ours is taken back"
    assert it["status"]["rolloutGeneration"] == 2


async def test_a_scale_is_a_wish_and_a_scale_elsewhere_is_written_back(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=2)
    await stage.kubectl("scale", stage.object, "--replicas=4")
    await stage.seen(lambda it: settled(it) and it["status"]["availableReplicas"] == 4)
    await stage.client.scale(stage.tenant.namespace, stage.name, 1)
    it = await stage.seen(
        lambda it: settled(it) and it["spec"]["replicas"] == 1 and it["status"]["replicas"] == 1
    )
    assert it["status"]["rolloutGeneration"] == 3, "written back, and not a wish again"
    await stage.patch({"minReadySeconds": 0})
    await stage.seen(settled)
    assert (await stage.tenant.read(stage.name))["spec"]["replicas"] == 1


async def test_a_peer_is_not_scaled_by_hand(stage: ObjectStage) -> None:
    await stage.apply("1.0.0", replicas=-1)
    it = await stage.healthy("1.0.0")
    pods = it["status"]["availableReplicas"]
    await stage.kubectl("scale", stage.object, "--replicas=1")
    await stage.seen(lambda it: settled(it) and it["spec"]["scaledReplicas"] == 0)
    it = await stage.tenant.read(stage.name)
    assert (it["spec"]["replicas"], it["status"]["availableReplicas"]) == (-1, pods)
    told = await stage.kubectl("get", "events", "-o", "json")
    assert any("cannot be scaled to 1" in event["message"] for event in told.json["items"])


async def test_an_undo_elsewhere_is_written_back(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=1)
    await stage.runs("2.0.0", replicas=1)
    await stage.client.undo(stage.tenant.namespace, stage.name)
    it = await stage.healthy("1.0.0")
    assert it["spec"]["template"]["spec"]["module"]["version"] == "1.0.0"


async def test_an_edit_in_the_middle_of_a_rollout_begins_another(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=3, maxUnavailable=1)
    await stage.apply("2.0.0", replicas=3, maxUnavailable=1, batchCount=3, needConfirm=True)
    await stage.waits(1)
    await stage.apply("3.0.0", replicas=3, maxUnavailable=1)
    it = await stage.healthy("3.0.0")
    assert it["spec"].get("pause") is not True
    assert await stage.serving() == {"3.0.0": 3}


async def test_a_true_is_a_pause_and_the_next_false_ends_it(stage: ObjectStage) -> None:
    await stage.apply("1.0.0", replicas=2, pause=True)
    await stage.seen(lambda it: it.get("status", {}).get("phase") == "Paused")
    assert await stage.serving() == {}
    await stage.patch({"pause": False})
    await stage.healthy("1.0.0")
    await stage.patch({"pause": True})
    await stage.seen(lambda it: it["status"]["phase"] == "Paused" and settled(it))
    await stage.patch({"pause": None})
    await stage.healthy("1.0.0")


async def test_an_invalid_edit_changes_nothing_and_says_what_is_wrong(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=1)
    bad = {"template": {"spec": {"module": {"url": "https://elsewhere.example/x.jar"}}}}
    await stage.patch(bad)
    it = await stage.seen(lambda it: settled(it) and bool(it["status"]["problems"]))
    (problem,) = it["status"]["problems"]
    assert problem["reason"] == "Invalid"
    assert "module.url" in problem["message"]
    assert it["status"]["targetVersion"] == "1.0.0"
    assert ("Warning", "Invalid") in [(type_, reason) for type_, reason, _ in await stage.events()]
    await stage.runs("2.0.0", replicas=1)
    assert not (await stage.tenant.read(stage.name))["status"]["problems"]


async def test_an_object_that_never_was_valid_says_so_and_goes_at_once(stage: ObjectStage) -> None:
    await stage.apply("1.0.0", module={"url": "https://elsewhere.example/x.jar"})
    it = await stage.seen(lambda it: settled(it) and it["status"].get("phase") == "Invalid")
    assert "module.url" in it["status"]["message"]
    await stage.kubectl("delete", stage.object, "--timeout=20s")


async def test_an_object_that_had_no_say_in_a_deployment_does_not_take_it_along(stage: ObjectStage) -> None:
    applied = await stage.client.apply(stage.wish("1.0.0", replicas=1))
    await stage.apply("2.0.0", replicas=1, module={"url": "https://elsewhere.example/x.jar"})
    await stage.seen(lambda it: settled(it) and bool(it["status"].get("problems")))
    await stage.kubectl("delete", stage.object, "--timeout=20s")
    left = await stage.client.get(stage.tenant.namespace, stage.name)
    assert (left.generation, left.target_version) == (applied.generation, "1.0.0")
    assert left.phase not in ("Deleting", "Deleted")


async def test_a_deleted_object_goes_when_its_replicas_are_gone(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=3)
    await stage.kubectl("delete", stage.object, "--timeout=30s")
    assert await stage.serving() == {}
    await stage.runs("1.0.0", replicas=1)
    assert await stage.serving() == {"1.0.0": 1}


async def test_a_service_stands_before_the_module_while_it_is_asked_for(stage: ObjectStage) -> None:
    await stage.runs("1.0.0", replicas=1)
    strategy = {"enableModuleService": True, "port": 80, "targetPort": 8080}
    await stage.patch({"operationStrategy": {"serviceStrategy": strategy}})
    name = f"{stage.name}-service"
    await stage.seen(lambda it: it["status"].get("service") == name)
    service = (await stage.kubectl("get", "service", name, "-o", "json")).json
    assert service["spec"]["selector"] == {f"module.koupleless.io/{stage.name}": "true"}
    assert service["metadata"]["ownerReferences"][0]["kind"] == "ModuleDeployment"
    await stage.patch({"operationStrategy": {"serviceStrategy": {"port": 81}}})

    async def port() -> int:
        told = await stage.kubectl("get", "service", name, "-o", "json")
        return int(told.json["spec"]["ports"][0]["port"])

    await stage.until(port, 81)
    await stage.patch({"operationStrategy": {"serviceStrategy": {"enableModuleService": False}}})
    await stage.seen(lambda it: not it["status"].get("service"))
    assert (await stage.kubectl("get", "service", name, ok=False)).code == 1


async def test_a_service_of_somebody_else_is_left_alone(stage: ObjectStage) -> None:
    name = f"{stage.name}-service"
    await stage.kubectl("create", "service", "clusterip", name, "--tcp=9:9")
    strategy = {"enableModuleService": True, "port": 80}
    await stage.apply("1.0.0", replicas=1)
    await stage.patch({"operationStrategy": {"serviceStrategy": strategy}})
    it = await stage.seen(lambda it: bool(it.get("status", {}).get("problems")))
    assert it["status"]["problems"][0]["reason"] == "ServiceConflict"
    told = (await stage.kubectl("get", "service", name, "-o", "json")).json
    assert told["spec"]["ports"][0]["port"] == 9
    await stage.healthy("1.0.0")
