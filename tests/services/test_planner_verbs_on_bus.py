"""The planner on a real bus: freezes, previews, and the verbs that need more than the document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from tests.installation import manifest, phase, waits_for
from tests.services.planner_stage import Scene, planner_scene
from tranche.bus.nats import NatsBus
from tranche.bus.port import Endpoint, Request
from tranche.bus.server import NatsServer
from tranche.contract import subjects
from tranche.contract.plan import ALL
from tranche.contract.preview import Level, Levels, LevelsQuestion, PreviewStep
from tranche.contract.record import ModuleEntry, PodRecord
from tranche.errors import Refused, Unavailable
from tranche.runtime import wait_until

pytestmark = pytest.mark.nats


@pytest.fixture
async def scene(bus: NatsBus) -> AsyncIterator[Scene]:
    async with planner_scene(bus) as ready:
        yield ready


async def rolling(scene: Scene, **changes: object) -> None:
    await scene.apply("1.0.0", replicas=10)
    await scene.finish(1)
    await scene.apply("2.0.0", replicas=10, batchCount=3, **changes)
    await scene.carry_out(await scene.plan(lambda plan: plan.generation == 2))
    await scene.plan(lambda plan: plan.generation == 2 and plan.batch == 1)


async def test_a_freeze_reaches_all_deployments_of_its_namespace(scene: Scene) -> None:
    await rolling(scene)
    answer = await scene.client.freeze("shop", by="ops", reason="sale")
    assert answer.message.startswith("namespace shop is frozen")
    held = await scene.plan(lambda plan: plan.held)
    await scene.tell(scene.counts(held))
    frozen = await scene.status(phase("Paused"))
    assert (frozen.reason, frozen.next) == ("Frozen", "tranche unfreeze -n shop")
    assert "already" in (await scene.client.freeze("shop", by="ops", reason="sale")).message

    await scene.client.unfreeze("shop")
    free = await scene.plan(lambda plan: not plan.held)
    assert free.batch == 1
    assert "not frozen" in (await scene.client.unfreeze("shop")).message
    await scene.finish(2)


async def test_a_freeze_of_all_holds_what_is_applied_later_and_ends_by_itself(scene: Scene) -> None:
    await scene.client.freeze(until=scene.runtime.clock.now() + timedelta(seconds=1.5), reason="night")
    await asyncio.sleep(0.1)
    await scene.apply("1.0.0", replicas=3)
    held = await scene.plan(lambda plan: plan.held)
    assert held.mode == "open"
    await scene.tell(scene.counts(held))
    assert (await scene.status(phase("Paused"))).next == "tranche unfreeze --all"
    lifted = await scene.client.unfreeze("shop")
    assert any("all namespaces are still frozen" in warning for warning in lifted.warnings)
    await scene.plan(lambda plan: not plan.held)
    await scene.finish(1)


async def test_a_freeze_outlives_the_server_and_the_planner(bus: NatsBus, nats_server: NatsServer) -> None:
    async with planner_scene(bus) as first:
        await rolling(first)
        await first.client.freeze("shop")
        await first.plan(lambda plan: plan.held)
        await nats_server.kill()
        await nats_server.start()

        async def connected() -> bool | None:
            return first.bus.connected or None

        await wait_until(connected, first.runtime.clock, timeout_s=10, every_s=0.05)
        await first.client.unfreeze("shop")
        await first.plan(lambda plan: not plan.held, timeout_s=10)
        await first.client.freeze("shop")
    async with planner_scene(bus) as second:
        second.ledger, second.replicas = first.ledger, first.replicas
        await second.plan(lambda plan: plan.held)


async def test_a_freeze_whose_bucket_was_lost_can_be_lifted(bus: NatsBus) -> None:
    async with planner_scene(bus) as first:
        await rolling(first)
        await first.client.freeze("shop")
        await first.plan(lambda plan: plan.held)
    bucket = subjects.bucket_stream(subjects.FREEZES)
    await bus.purge(bucket, subjects.key(subjects.FREEZES, "shop"))
    async with planner_scene(bus) as second:
        assert (await second.plan(lambda plan: plan.generation == 2)).held
        await second.client.unfreeze("shop")
        await second.plan(lambda plan: not plan.held)


@pytest.mark.parametrize(
    ("scope", "body", "words"),
    [
        ("shop", b'{"until": "tomorrow"}', "expected a time with its zone"),
        ("shop", b'{"until": "2026-01-31T09:30:00"}', "expected a time with its zone"),
        ("shop", b'{"until": "2001-01-31T09:30:00Z"}', "expected a time to come"),
        ("shop", b'{"untl": "x"}', "did you mean until?"),
        ("shop", b"[]", "expected a JSON object"),
        ("Shop=2E", b"{}", "expected a namespace"),
    ],
)
async def test_a_freeze_that_makes_no_sense(scene: Scene, scope: str, body: bytes, words: str) -> None:
    answer = await scene.bus.request(f"tranche.api.{scope}.freeze", body, timeout_s=2)
    assert words in json.loads(answer)["errors"][0]["message"]


async def test_verbs_travel_through_the_api(scene: Scene) -> None:
    await rolling(scene, needConfirm=True)
    assert (await scene.client.scale("shop", "cart", 12)).generation == 3
    first = await scene.plan(lambda plan: plan.generation == 3)
    assert (first.mode, first.replicas, first.updated) == ("roll", 12, 3)
    await scene.carry_out(first)
    await scene.status(waits_for(1, generation=3))
    assert "promoted" in (await scene.client.promote("shop", "cart", by="bob")).message
    await scene.plan(lambda plan: plan.batch == 2)
    assert "already" not in (await scene.client.promote("shop", "cart", full=True)).message
    await scene.finish(3)
    assert (await scene.client.restart("shop", "cart")).generation == 4
    await scene.client.promote("shop", "cart", full=True)
    await scene.finish(4)
    assert (await scene.client.undo("shop", "cart", revision=1, fast=True, by="bob")).generation == 5
    await scene.finish(5)
    told = await scene.client.history("shop", "cart")
    assert [(one.revision, one.version, one.outcome) for one in told] == [
        (1, "1.0.0", "completed"),
        (2, "2.0.0", "completed"),
        (3, "2.0.0", "completed"),
        (4, "1.0.0", "completed"),
    ]
    assert (told[-1].by, told[-1].stable, told[-1].target) == ("bob", True, True)
    assert "nothing has failed" in (await scene.client.retry("shop", "cart")).message
    explained = await scene.client.explain("shop", "cart")
    assert explained.phase == "Healthy"
    assert all(gate.open for gate in explained.gates)


async def test_history_comes_in_pages(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=1)
    await scene.apply("2.0.0", replicas=1)
    subject = subjects.api("shop", "history")
    first = json.loads(await scene.bus.request(subject, b'{"name": "cart", "limit": 1}', timeout_s=2))
    assert ([one["revision"] for one in first["revisions"]], first["continue"]) == ([1], "1")
    more = b'{"name": "cart", "limit": 1, "continue": "1"}'
    second = json.loads(await scene.bus.request(subject, more, timeout_s=2))
    assert [one["revision"] for one in second["revisions"]] == [2]
    assert "continue" not in second


async def test_replace_needs_a_replica_on_that_pod(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    await scene.finish(1)
    with pytest.raises(Refused, match="expected a pod of web-base with cart on it"):
        await scene.client.replace("shop", "cart", "web-base-9")
    now = scene.runtime.clock.now()
    record = PodRecord(
        namespace="shop",
        base="web-base",
        pod="web-base-1",
        uid="1",
        address="127.0.0.1:1238",
        ready=True,
        observed_at=now,
        modules={"cart": ModuleEntry(version="1.0.0", revision=1, state="available", since=now)},
    )
    await scene.bus.publish(subjects.record("shop", "web-base", "web-base-1"), record.encode())
    await scene.client.replace("shop", "cart", "web-base-1")
    evicting = await scene.plan(lambda plan: plan.evict == ("web-base-1",))
    await scene.tell(scene.counts(evicting, evicting=1, moving=1))
    await scene.tell(scene.counts(evicting))
    done = await scene.plan(lambda plan: not plan.evict)
    await scene.tell(scene.counts(done))
    await scene.status(phase("Healthy"))


async def test_the_progress_deadline_rings(scene: Scene) -> None:
    await rolling(scene, progressDeadlineSeconds=1)
    late = await scene.status(phase("Degraded"))
    assert late.reason == "ProgressDeadlineExceeded"
    assert (await scene.plan(lambda plan: plan.held)).batch == 1
    await scene.client.retry("shop", "cart")
    again = await scene.plan(lambda plan: not plan.held and plan.retried_at is not None)
    assert again.batch == 1


class Oracle:
    """A would-be scheduler that answers what-if questions from a list."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.asked: list[LevelsQuestion] = []
        self.foreign: tuple[str, ...] = ()

    def serving(self) -> AbstractAsyncContextManager[None]:
        endpoint = Endpoint("preview", subjects.preview("*", "*").replace("=2A", "*"), self.answer)
        return self.scene.bus.serve("oracle", "1.0.0", "answers what-if questions", [endpoint])

    async def answer(self, request: Request) -> bytes:
        question = LevelsQuestion.decode(request.data)
        self.asked.append(question)
        progress = self.scene.counts(question.plans[0], foreign=self.foreign, available=10)
        steps = [
            PreviewStep(pod=f"web-base-{number}", step="replace", from_="1.0.0", to="2.0.0")
            for number, _ in enumerate(question.plans)
        ]
        end = question.skip + question.limit
        levels = tuple(
            Level(
                steps=(step,) if question.skip <= number < end else (),
                size=1,
                lowest_available=8,
                rounds=1,
            )
            for number, step in enumerate(steps)
            if question.limit
        )
        more = bool(question.limit) and end < len(steps)
        return Levels(progress=progress, levels=levels, more=more).encode()


async def test_a_preview_asks_for_every_level(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=10)
    await scene.finish(1)
    wish = manifest("cart", "2.0.0", replicas=10, batchCount=3, useBeta=True, needConfirm=True, grayTime=60)
    with pytest.raises(Refused, match="no scheduler answers for pool shop/web-base"):
        await scene.client.plan(wish)
    oracle = Oracle(scene)
    async with oracle.serving():
        preview = await scene.client.plan(wish)
        counted, asked = oracle.asked
        assert [plan.mode for plan in counted.plans] == ["open"]
        assert [(plan.replicas, plan.updated, plan.batch) for plan in asked.plans] == [
            (10, 1, 1), (10, 5, 2), (10, ALL, 3)
        ]  # fmt: skip
        assert (preview.generation, preview.changes, preview.confirms) == (2, 10, 2)
        assert (preview.earliest_finish_seconds, preview.lowest_available) == (120, 8)
        assert [(batch.index, batch.beta, batch.pods[0].pod) for batch in preview.batches] == [
            (1, True, "web-base-0"), (2, False, "web-base-1"), (3, False, "web-base-2")
        ]  # fmt: skip
        assert (preview.budget.resolved, preview.budget.headroom) == (2, 2)
        assert any("confirm" in warning for warning in preview.warnings)
        assert (await scene.client.get("shop", "cart")).generation == 1, "nothing was changed"

        nothing = await scene.client.plan_of("shop", "cart")
        assert (nothing.changes, nothing.batches) == (0, ())

        subject = subjects.api("shop", "plan")
        page = json.loads(
            await scene.bus.request(subject, json.dumps({**wish, "limit": 2}).encode(), timeout_s=5)
        )
        assert page["continue"] == "2"
        await scene.bus.request(
            subject, json.dumps({**wish, "limit": 2, "continue": "2"}).encode(), timeout_s=5
        )
        assert (oracle.asked[-1].skip, oracle.asked[-1].limit) == (2, 2)


async def test_a_preview_of_a_running_rollout_begins_at_its_batch(scene: Scene) -> None:
    await rolling(scene, needConfirm=True)
    oracle = Oracle(scene)
    async with oracle.serving():
        preview = await scene.client.plan_of("shop", "cart")
        assert [plan.batch for plan in oracle.asked[-1].plans] == [1, 2, 3]
        assert (preview.generation, preview.confirms) == (2, 2)
        await scene.client.freeze("shop")
        await scene.plan(lambda plan: plan.held)
        held = await scene.client.plan_of("shop", "cart")
        assert any("nothing begins yet: namespace shop is frozen" in warning for warning in held.warnings)
        assert not any(plan.held for plan in oracle.asked[-1].plans)


async def test_a_first_apply_warns_of_what_others_installed(scene: Scene) -> None:
    oracle = Oracle(scene)
    oracle.foreign = ("0.9.0",)
    async with oracle.serving():
        answer = await scene.client.apply(manifest("cart", "1.0.0", replicas=3))
        assert any("0.9.0 was installed by somebody else" in warning for warning in answer.warnings)
        preview = await scene.client.plan(manifest("cart", "2.0.0", replicas=3))
        assert any("0.9.0" in warning for warning in preview.warnings)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "absent"}, "there is no deployment shop/absent"),
        ({}, "expected a ModuleDeployment manifest, or a deployment's name"),
        ({"nmae": "cart"}, "did you mean name?"),
        ({"name": "cart", "limit": 0}, "got 0; expected a whole number from 1"),
        ({"name": "cart", "continue": "x"}, "expected what the page before answered"),
        (manifest("cart", "1.0.0", replicas="3"), "expected a whole number"),
        (manifest("cart", "1.0.0", namespace="other"), "as the subject says"),
    ],
)
async def test_a_preview_of_what_makes_no_sense(scene: Scene, body: dict[str, object], words: str) -> None:
    answer = await scene.bus.request(subjects.api("shop", "plan"), json.dumps(body).encode(), timeout_s=2)
    assert words in json.loads(answer)["errors"][0]["message"]


async def test_a_preview_knows_whose_the_module_is(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=1)
    second = manifest("cart", "1.0.0", replicas=1)
    second["metadata"]["name"] = "other"
    with pytest.raises(Refused, match="belongs to shop/cart"):
        await scene.client.plan(second)
    with pytest.raises((Refused, Unavailable)):
        await scene.client.plan_of("shop", "other")


async def test_delete_leaves_behind_what_does_not_answer(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    await scene.finish(1)
    await scene.client.delete("shop", "cart")
    gone = await scene.plan(lambda plan: plan.mode == "remove")
    scene.replicas = {1: 1}
    await scene.tell(scene.counts(gone, down=1, unavailable_pods=("web-base-2",)))
    waiting = await scene.status(lambda status: "--abandon" in status.next)
    assert waiting.phase == "Deleting"
    await scene.client.delete("shop", "cart", abandon=True)
    deleted = await scene.status(phase("Deleted"))
    assert "web-base-2" in deleted.message
