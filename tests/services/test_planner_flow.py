"""The planner on a real bus: plans, statuses, gates and verbs, with the test as the scheduler."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.installation import manifest, phase, waits_for
from tests.services.planner_stage import Scene, planner_scene
from tranche.bus.nats import NatsBus
from tranche.bus.server import NatsServer
from tranche.contract import subjects
from tranche.contract.plan import ALL
from tranche.contract.progress import Problem
from tranche.errors import Refused
from tranche.runtime import wait_until

pytestmark = pytest.mark.nats

BETA = {"replicas": 10, "batchCount": 3, "useBeta": True}


@pytest.fixture
async def scene(bus: NatsBus) -> AsyncIterator[Scene]:
    async with planner_scene(bus) as ready:
        yield ready


async def test_a_first_rollout_opens_releases_and_completes(scene: Scene) -> None:
    assert await scene.apply("1.0.0", replicas=3) == 1
    opened = await scene.plan(lambda plan: plan.mode == "open")
    assert (opened.replicas, opened.updated, opened.target_revisions) == (-1, 0, (1,))
    pending = await scene.status(phase("Pending"))
    assert (pending.generation, pending.observed_generation) == (1, 0)

    await scene.carry_out(opened)
    released = await scene.plan(lambda plan: plan.mode == "roll")
    assert (released.batch, released.replicas, released.updated) == (1, 3, ALL)

    await scene.carry_out(released)
    done = await scene.plan(lambda plan: plan.complete)
    assert (done.replicas, done.updated, done.stable) == (3, ALL, done.target)
    healthy = await scene.status(phase("Healthy", generation=1))
    assert (healthy.available, healthy.replicas, healthy.stable_version) == (3, 3, "1.0.0")
    assert await scene.apply("1.0.0", replicas=3) == 1, "the same wish again"


async def test_beta_confirm_and_gray_time(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=10)
    await scene.finish(1)
    await scene.apply("2.0.0", **BETA, needConfirm=True, grayTime=1)
    await scene.carry_out(await scene.plan(lambda plan: plan.generation == 2))
    one = await scene.plan(lambda plan: plan.batch == 1 and plan.generation == 2)
    assert (one.replicas, one.updated) == (10, 1)

    with pytest.raises(Refused, match="batch 1 of 3 is under way"):
        await scene.client.confirm("shop", "cart", batch=1)
    await scene.carry_out(one)
    waiting = await scene.status(waits_for(1, generation=2))
    assert {gate.gate for gate in waiting.gates} == {"confirm", "grayTime"}
    assert waiting.next == "tranche confirm shop/cart --batch 1"
    assert (waiting.batch.count, waiting.batches[0].beta, waiting.updated) == (3, True, 1)
    verified_at = waiting.batches[0].verified_at
    assert verified_at is not None

    with pytest.raises(Refused, match="batch 2 does not wait"):
        await scene.client.confirm("shop", "cart", batch=2)
    with pytest.raises(Refused, match="generation"):
        await scene.client.confirm("shop", "cart", generation=1, batch=1)
    await scene.client.confirm("shop", "cart", generation=2, batch=1, by="bob", reason="ok")
    again = await scene.client.confirm("shop", "cart", batch=1)
    assert "already" in again.message
    two = await scene.plan(lambda plan: plan.batch == 2)
    assert (scene.runtime.clock.now() - verified_at).total_seconds() >= 1.0, "gray time was waited for"
    assert two.updated == 5

    await scene.carry_out(two)
    second = await scene.status(waits_for(2, generation=2))
    assert (second.batches[0].confirmed_by, second.batches[0].confirm_reason) == ("bob", "ok")
    await scene.client.confirm("shop", "cart")
    done = await scene.finish(2)
    assert (done.batch.current, done.batch.state, done.stable_version) == (3, "Verified", "2.0.0")
    assert (await scene.client.confirm("shop", "cart", batch=2)).message == "batch 2 was confirmed already"


async def test_the_next_batch_waits_for_no_timer(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=10)
    await scene.finish(1)
    await scene.apply("2.0.0", replicas=10, batchCount=10)
    await scene.carry_out(await scene.plan(lambda plan: plan.generation == 2))
    took = []
    for batch in range(1, 10):
        plan = await scene.plan(lambda plan, batch=batch: plan.generation == 2 and plan.batch == batch)
        began = time.perf_counter()
        await scene.carry_out(plan)
        await scene.plan(lambda plan, batch=batch: plan.batch == batch + 1)
        took.append(time.perf_counter() - began)
    # Sooner than any timer: how soon is measured in benchmarks.
    assert max(took) < 5, took


async def test_a_gates_change_keeps_batches_and_confirms(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=10)
    await scene.finish(1)
    await scene.apply("2.0.0", **BETA, needConfirm=True)
    await scene.carry_out(await scene.plan(lambda plan: plan.generation == 2))
    await scene.carry_out(await scene.plan(lambda plan: plan.batch == 1 and plan.generation == 2))
    await scene.status(waits_for(1, generation=2))

    assert await scene.apply("2.0.0", **BETA, needConfirm=False, maxUnavailable=3) == 3
    changed = await scene.plan(lambda plan: plan.generation == 3)
    assert (changed.mode, changed.batch, changed.max_unavailable) == ("roll", 1, 3)
    await scene.carry_out(changed)
    assert (await scene.plan(lambda plan: plan.batch == 2)).updated == 5


async def test_a_failed_canary_holds_and_is_aborted(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=6)
    await scene.finish(1)
    await scene.apply("3.0.0", replicas=6, batchCount=3, useBeta=True)
    await scene.carry_out(await scene.plan(lambda plan: plan.generation == 2))
    one = await scene.plan(lambda plan: plan.generation == 2 and plan.batch == 1)
    problem = Problem(reason="InstallFailed", message="it is built to fail at start", pods=("web-base-1",))
    await scene.tell(scene.counts(one, available=5, failed=1, problems=(problem,)))

    held = await scene.status(phase("Degraded"))
    assert "abort" in held.next
    assert held.problems == (problem,)
    assert held.batch.state == "Failed"
    assert (await scene.plan(lambda plan: plan.generation == 2)).batch == 1

    await scene.client.abort("shop", "cart", by="tester")
    back = await scene.plan(lambda plan: plan.mode == "abort")
    assert back.target is not None
    assert (back.target.version, back.replicas, back.updated) == ("1.0.0", 6, ALL)
    await scene.carry_out(back)
    aborted = await scene.status(phase("Aborted"))
    assert (aborted.available, aborted.stable_version, aborted.updated) == (6, "1.0.0", 0)
    assert await scene.apply("3.0.0", replicas=6, batchCount=3, useBeta=True) == 2, "the same wish"
    assert await scene.apply("3.0.1", replicas=6) == 3
    await scene.finish(3)


async def test_aborting_a_first_installation_removes_it(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=4, batchCount=2)
    await scene.carry_out(await scene.plan(lambda plan: plan.mode == "open"))
    await scene.plan(lambda plan: plan.batch == 1)
    await scene.client.abort("shop", "cart")
    await scene.carry_out(await scene.plan(lambda plan: plan.mode == "remove"))
    aborted = await scene.status(phase("Aborted"))
    assert (aborted.stable_version, aborted.replicas, aborted.available) == (None, 0, 0)


async def test_pause_is_said_once_it_is_noted(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=10)
    await scene.finish(1)
    await scene.apply("2.0.0", replicas=10, batchCount=2)
    await scene.carry_out(await scene.plan(lambda plan: plan.generation == 2))
    one = await scene.plan(lambda plan: plan.generation == 2 and plan.batch == 1)

    await scene.client.pause("shop", "cart", by="tester", reason="let me look")
    held = await scene.plan(lambda plan: plan.held)
    assert held.held_at == 10
    before = await scene.status(lambda status: any(gate.gate == "pause" for gate in status.gates))
    assert before.phase == "Progressing", "not before the scheduler has noted it"
    await scene.tell(scene.counts(held))
    paused = await scene.status(phase("Paused"))
    assert paused.next == "tranche resume shop/cart"
    assert "let me look" in paused.message

    await scene.carry_out(one.but(revision=held.revision))
    await scene.client.resume("shop", "cart")
    await scene.finish(2)


async def test_delete_and_a_second_life(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    await scene.finish(1)
    await scene.client.delete("shop", "cart")
    gone = await scene.plan(lambda plan: plan.mode == "remove")
    await scene.tell(scene.counts(gone))
    assert (await scene.status(phase("Deleting"))).replicas == 0
    with pytest.raises(Refused, match="being deleted"):
        await scene.apply("1.0.0", replicas=3)
    await scene.carry_out(gone)
    await scene.status(phase("Deleted"))
    quiet = await scene.plan(lambda plan: plan.complete and plan.mode == "open")
    assert (quiet.replicas, quiet.target) == (-1, None)
    assert await scene.client.list() == ()
    with pytest.raises(Refused, match="no such deployment"):
        await scene.client.pause("shop", "cart")

    assert await scene.apply("2.0.0", replicas=1) == 2
    await scene.finish(2)


async def test_one_deployment_per_module_and_pool(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=1)
    second = manifest("cart", "1.0.0", replicas=1)
    second["metadata"]["name"] = "other"
    with pytest.raises(Refused, match="belongs to shop/cart"):
        await scene.client.apply(second)
    await scene.client.delete("shop", "cart")
    await scene.carry_out(await scene.plan(lambda plan: plan.mode == "remove"))
    await scene.status(phase("Deleted"))
    assert (await scene.client.apply(second)).generation == 1
    with pytest.raises(Refused, match="belongs to shop/other"):
        await scene.apply("1.0.0", replicas=1)


async def test_what_is_refused_is_kept_and_shown(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    await scene.finish(1)
    bad = manifest("cart", "2.0.0", replicas="3")
    await scene.event("apply", bad)
    await scene.bus.publish("tranche.deployments.shop", b"{}")
    shown = await scene.status(lambda status: any(one.reason == "Invalid" for one in status.problems))
    assert shown.phase == "Healthy"
    assert "spec.replicas" in shown.problems[0].message
    kept = json.loads((await _rejected(scene, subjects.rejected("shop", "cart"))).decode())
    assert kept["accepted"] is False
    assert kept["errors"][0]["field"] == "spec.replicas"
    assert kept["subject"] == "tranche.deployments.shop.cart.apply"
    assert json.loads(kept["payload"]) == bad
    await _rejected(scene, subjects.rejected())
    await scene.apply("1.0.0", replicas=3)
    await scene.status(lambda status: not status.problems)


async def test_an_answer_never_goes_where_the_asker_may_not_write(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    told = await scene.plan(lambda plan: plan.mode == "open")
    plans = subjects.plan("shop", "web-base", "cart")
    event = subjects.event("shop", "cart", "explode")

    await scene.bus.publish(event, b"{}", headers={subjects.REPLY_HEADER: plans})

    assert json.loads(await _rejected(scene, subjects.rejected("shop", "cart")))["subject"] == event
    stored = await scene.bus.last(subjects.PLANS, plans)
    assert stored is not None
    assert stored.data == told.encode()


async def test_reads_come_in_pages(scene: Scene) -> None:
    for name in ("cart", "orders", "stock"):
        await scene.client.apply(manifest(name, "1.0.0"))
    assert [one.name for one in await scene.client.list("shop")] == ["cart", "orders", "stock"]
    first = json.loads(await _ask(scene, "list", {"limit": 2}))
    assert [one["name"] for one in first["items"]] == ["cart", "orders"]
    second = json.loads(await _ask(scene, "list", {"limit": 2, "continue": first["continue"]}))
    assert [one["name"] for one in second["items"]] == ["stock"]
    assert "continue" not in second
    assert (await scene.client.get("shop", "cart")).phase == "Pending"
    assert await scene.client.pods("shop", "cart") == ()
    for body in ({"nme": "cart"}, {"name": 3}, {"name": "absent"}):
        assert b'"accepted":false' in await _ask(scene, "get", body)


async def test_an_older_event_is_superseded_and_a_repeated_one_harmless(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    await scene.finish(1)
    for _ in range(3):
        await scene.event("pause", {"by": "robot"})
    await scene.event("resume", {"by": "robot"})
    await scene.status(lambda status: status.event.reason == "Resumed")
    plan = await scene.plan(lambda plan: not plan.held)
    await scene.tell(scene.counts(plan))
    assert (await scene.status(phase("Healthy"))).gates == ()


async def test_a_newer_answer_than_any_plan_is_a_sign_of_lost_history(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    plan = await scene.plan(lambda plan: plan.mode == "open")
    await scene.tell(scene.counts(plan, plan_revision=40))
    again = await scene.plan(lambda plan: plan.revision == 41)
    assert again.mode == "open"
    await scene.finish(1)


async def test_counts_begin_again_after_the_ledger_was_lost(scene: Scene) -> None:
    scene.ledger = 500
    await scene.apply("1.0.0", replicas=3)
    await scene.carry_out(await scene.plan(lambda plan: plan.mode == "open"))
    scene.ledger = 1
    await scene.finish(1)


async def test_documents_that_were_lost_are_outranked(scene: Scene) -> None:
    await scene.apply("1.0.0", replicas=3)
    await scene.finish(1)
    plan = await scene.plan(lambda plan: plan.complete)
    bucket = subjects.bucket_stream(subjects.DOCUMENTS)
    await scene.bus.purge(bucket, subjects.key(subjects.DOCUMENTS, "shop", "cart"))
    await scene.apply("1.0.0", replicas=4)
    again = await scene.plan(lambda new: new.revision > plan.revision)
    assert again.mode == "open"
    await scene.status(lambda status: status.replicas == 4)
    await scene.finish(1)


async def test_it_goes_on_after_the_server_was_killed(scene: Scene, nats_server: NatsServer) -> None:
    await scene.apply("1.0.0", replicas=3)
    await scene.plan(lambda plan: plan.mode == "open")
    await nats_server.kill()
    await nats_server.start()

    async def connected() -> bool | None:
        return scene.bus.connected or None

    await wait_until(connected, scene.runtime.clock, timeout_s=10, every_s=0.05)
    await scene.finish(1)


async def test_what_was_saved_and_not_said_is_repaired_at_the_start(bus: NatsBus) -> None:
    async with planner_scene(bus) as first:
        await first.apply("1.0.0", replicas=3)
        await first.plan(lambda plan: plan.mode == "open")
        await first.status(phase("Pending"))
    await bus.purge(subjects.PLANS, subjects.plan("shop", "web-base", "cart"))
    await bus.purge(subjects.STATUS, subjects.status("shop", "cart"))
    async with planner_scene(bus) as second:
        await second.plan(lambda plan: plan.mode == "open")
        await second.status(phase("Pending"))


async def _ask(scene: Scene, verb: str, body: dict[str, Any]) -> bytes:
    return await scene.bus.request(subjects.api("shop", verb), json.dumps(body).encode(), timeout_s=2)


async def _rejected(scene: Scene, subject: str) -> bytes:
    async def kept() -> bytes | None:
        stored = await scene.bus.last(subjects.REJECTED, subject)
        return stored.data if stored else None

    return await wait_until(kept, scene.runtime.clock, timeout_s=5, every_s=0.01)
