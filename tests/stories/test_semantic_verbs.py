"""What the verbs do in the middle of rollouts, a sentence of the specification each; judged by the bases."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tests.stories.shop_stage import Mall, mall, runs
from tranche.contract.status import Status
from tranche.errors import Refused
from tranche_fleet.faults import Fault, Kind

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

REFUSED = "this module does not like this base"
THREE = {"replicas": 3, "batchCount": 3}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mall]:
    async with mall(tmp_path_factory.mktemp("mall")) as ready:
        yield ready


def shut(status: Status) -> set[str]:
    """The gates that are shut."""
    return {gate.gate for gate in status.gates}


# --- promote ---


async def test_promote_opens_the_gates_of_the_waiting_batch_and_full_all_that_remain(stage: Mall) -> None:
    shop = await stage.shop(4)
    await shop.runs("1.0.0", replicas=4)
    generation = await shop.apply("2.0.0", replicas=4, batchCount=4, needConfirm=True, grayTime=600)
    await shop.waits(1, generation)

    await shop.verb("promote", by="alice", reason="seen enough")
    second = await shop.waits(2, generation)
    assert shut(second) >= {"confirm", "grayTime"}, "the next batch has gates of its own"
    await shop.verb("promote", full=True)

    await shop.healthy(generation)
    assert await shop.versions() == {"2.0.0": 4}


async def test_promote_full_ends_a_persons_pause(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", needConfirm=True, **THREE)
    await shop.waits(1, generation)
    await shop.verb("pause", by="alice")
    await shop.phase("Paused")

    await shop.verb("promote", full=True)

    await shop.healthy(generation)


async def test_promote_opens_neither_the_budget_nor_failures(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    await shop.apply("2.0.0-broken", **THREE)
    await shop.phase("Degraded")

    with pytest.raises(Refused, match="retry"):
        await shop.verb("promote")
    assert len(await shop.touched("2.0.0-broken")) == 1


# --- retry ---


async def test_retry_tries_what_failed_again(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    await shop.spoil("web-base-1", Fault(Kind.INSTALL_FAILS, module="cart", words=REFUSED))
    generation = await shop.apply("2.0.0", **THREE)
    held = await shop.phase("Degraded")
    assert "retry" in held.next or "abort" in held.next

    await shop.verb("retry", by="alice")

    await shop.healthy(generation)
    assert await shop.versions() == {"2.0.0": 3}


async def test_retry_of_an_aborted_wish_is_a_new_generation_of_it(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    await shop.spoil("web-base-1", Fault(Kind.INSTALL_FAILS, module="cart", words=REFUSED))
    generation = await shop.apply("2.0.0", **THREE)
    await shop.phase("Degraded")
    await shop.verb("abort")
    await shop.phase("Aborted")

    again = await shop.verb("retry")

    assert again.generation == generation + 1
    await shop.healthy(generation + 1)
    assert await shop.versions() == {"2.0.0": 3}


async def test_retry_with_nothing_failed_is_so_already(stage: Mall) -> None:
    shop = await stage.shop(1)
    generation = await shop.runs("1.0.0", replicas=1)
    assert (await shop.verb("retry")).generation == generation


# --- restart ---


async def test_restart_installs_the_same_again_once_on_every_replica_within_the_budget(stage: Mall) -> None:
    shop = await stage.shop(4)
    generation = await shop.runs("1.0.0", replicas=4, batchCount=2, maxUnavailable=1)
    began = time.time()

    answer = await shop.verb("restart", by="alice")
    assert answer.generation == generation + 1
    await shop.healthy(generation + 1)

    for pod in shop.pods:
        assert await shop.commands(pod, began) == [("uninstallBiz", "1.0.0"), ("installBiz", "1.0.0")]
    assert await shop.lowest(began) == 3


# --- undo ---


async def test_undo_goes_back_to_the_last_stable_revision_through_the_specs_gates(stage: Mall) -> None:
    shop = await stage.shop(2)
    options = {"replicas": 2, "batchCount": 2, "needConfirm": True}
    await shop.runs("1.0.0", replicas=2)
    generation = await shop.apply("2.0.0", **options)
    await shop.waits(1, generation)
    await shop.verb("confirm")
    await shop.healthy(generation)

    undone = await shop.verb("undo", by="alice")

    assert undone.generation == generation + 1
    await shop.waits(1, generation + 1)
    await shop.verb("confirm")
    done = await shop.healthy(generation + 1)
    assert (done.target_version, await shop.versions()) == ("1.0.0", {"1.0.0": 2})


async def test_undo_fast_waits_for_nobody(stage: Mall) -> None:
    shop = await stage.shop(2)
    options = {"replicas": 2, "batchCount": 2, "needConfirm": True, "grayTime": 600}
    await shop.runs("1.0.0", replicas=2)
    generation = await shop.apply("2.0.0", **options)
    await shop.waits(1, generation)
    await shop.verb("promote", full=True)
    await shop.healthy(generation)

    undone = await shop.verb("undo", fast=True)

    assert undone.generation is not None
    await shop.healthy(undone.generation)
    assert await shop.versions() == {"1.0.0": 2}


async def test_undo_of_a_half_done_rollout_leaves_alone_what_was_never_changed(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", needConfirm=True, **THREE)
    await shop.waits(1, generation)

    undone = await shop.verb("undo", fast=True)
    assert undone.generation is not None
    await shop.healthy(undone.generation)

    assert await shop.versions() == {"1.0.0": 3}
    assert len(await shop.installs("1.0.0")) == 3 + 1


async def test_undo_to_a_revision_that_is_named(stage: Mall) -> None:
    shop = await stage.shop(1)
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await shop.runs(version, replicas=1, maxUnavailable=1)

    undone = await shop.verb("undo", revision=1)
    assert undone.generation is not None
    await shop.healthy(undone.generation)

    assert await shop.versions() == {"1.0.0": 1}
    history = await shop.verb("history")
    stable = [one.version for one in history if one.stable]  # type: ignore[attr-defined]
    assert stable == ["1.0.0"]


# --- replace ---


async def test_replace_takes_a_replica_off_a_pod_and_places_it_anew(stage: Mall) -> None:
    shop = await stage.shop(4)
    generation = await shop.runs("1.0.0", replicas=3, maxUnavailable=1)
    began = time.time()

    await shop.verb("replace", pod="web-base-2", by="alice")
    await shop.known(lambda records: runs(records["web-base-4"]))
    await shop.seen(lambda status: status.available == 3 and status.moving == 0)

    assert set(await shop.serving()) == {"web-base-1", "web-base-3", "web-base-4"}
    assert await shop.lowest(began) >= 2
    await shop.healthy(generation)


async def test_replace_of_a_peer_is_refused_and_names_restart(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=-1)
    with pytest.raises(Refused, match="restart"):
        await shop.verb("replace", pod="web-base-1")


async def test_replace_of_a_pod_without_a_replica_is_refused(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=1)
    with pytest.raises(Refused, match="no-such-pod"):
        await shop.verb("replace", pod="no-such-pod")


# --- scale ---


async def test_scale_out_and_in(stage: Mall) -> None:
    shop = await stage.shop(5)
    generation = await shop.runs("1.0.0", replicas=2)

    assert (await shop.verb("scale", replicas=5)).generation == generation + 1
    await shop.healthy(generation + 1)
    assert await shop.versions() == {"1.0.0": 5}
    assert (await shop.verb("scale", replicas=5)).generation == generation + 1, "so already"
    await shop.verb("scale", replicas=1)
    await shop.healthy(generation + 2)
    assert await shop.versions() == {"1.0.0": 1}


async def test_replicas_added_in_the_middle_come_at_once_at_stable_and_confirms_are_kept(
    stage: Mall,
) -> None:
    shop = await stage.shop(6)
    await shop.runs("1.0.0", replicas=4)
    generation = await shop.apply("2.0.0", replicas=4, batchCount=4, needConfirm=True)
    await shop.waits(1, generation)
    await shop.verb("confirm", batch=1, by="alice")
    await shop.waits(2, generation)

    scaled = await shop.verb("scale", replicas=6)
    assert scaled.generation == generation + 1
    await shop.seen(lambda status: status.available == 6)
    assert await shop.versions() == {"2.0.0": 2, "1.0.0": 4}
    waiting = await shop.waits(2, generation + 1)
    assert (waiting.batches[0].confirmed_by, waiting.batch.count) == ("alice", 4)

    await shop.verb("promote", full=True)
    await shop.healthy(generation + 1)
    assert await shop.versions() == {"2.0.0": 6}


async def test_replicas_taken_away_in_the_middle_go_at_once_and_the_rest_is_cut_again(stage: Mall) -> None:
    shop = await stage.shop(6)
    await shop.runs("1.0.0", replicas=6)
    generation = await shop.apply("2.0.0", replicas=6, batchCount=3, needConfirm=True)
    await shop.waits(1, generation)

    await shop.verb("scale", replicas=4)
    await shop.seen(lambda status: status.available == 4 and status.moving == 0)
    assert await shop.versions() == {"2.0.0": 2, "1.0.0": 2}, "not those at the target"

    for batch in (1, 2):
        await shop.waits(batch, generation + 1)
        await shop.verb("confirm", batch=batch)
    await shop.healthy(generation + 1)
    assert await shop.versions() == {"2.0.0": 4}


# --- freeze ---


async def test_a_freeze_stops_what_is_new_until_it_is_lifted_and_promote_does_not_lift_it(
    stage: Mall,
) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)
    await shop.client.freeze(shop.namespace, by="carol", reason="the big day")

    generation = await shop.apply("2.0.0", replicas=2, batchCount=2)
    frozen = await shop.phase("Paused")
    assert "freeze" in shut(frozen)
    assert "the big day" in "".join(gate.message for gate in frozen.gates) + frozen.message
    assert "unfreeze" in frozen.next
    with suppress(Refused):
        await shop.verb("promote", full=True)
    await shop.stays(lambda status: status.phase == "Paused", 1)
    assert await shop.touched("2.0.0") == set()

    await shop.client.unfreeze(shop.namespace)
    await shop.healthy(generation)


async def test_a_freeze_with_an_end_ends_by_itself(stage: Mall) -> None:
    shop = await stage.shop(1)
    await shop.runs("1.0.0", replicas=1)
    until = datetime.now(UTC) + timedelta(seconds=2)
    await shop.client.freeze(shop.namespace, until=until)

    generation = await shop.apply("2.0.0", replicas=1, maxUnavailable=1)
    frozen = await shop.phase("Paused")
    assert [gate.until is not None for gate in frozen.gates if gate.gate == "freeze"] == [True]
    await shop.healthy(generation)

    (start,) = await shop.installs("2.0.0")
    assert start >= until.timestamp() - 0.002


async def test_abort_and_delete_act_under_a_freeze(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", needConfirm=True, **THREE)
    await shop.waits(1, generation)
    await shop.client.freeze(shop.namespace)

    await shop.verb("abort")
    await shop.phase("Aborted")
    assert await shop.versions() == {"1.0.0": 3}
    await shop.verb("delete")
    await shop.phase("Deleted")
    assert await shop.versions() == {}


async def test_a_freeze_of_all_namespaces_covers_each(stage: Mall) -> None:
    shop = await stage.shop(1)
    await shop.runs("1.0.0", replicas=1)
    await shop.client.freeze()
    try:
        generation = await shop.apply("2.0.0", replicas=1, maxUnavailable=1)
        await shop.phase("Paused")
    finally:
        await shop.client.unfreeze()
    await shop.healthy(generation)


# --- abort, delete, superseding ---


async def test_abort_goes_back_to_stable_and_to_the_number_of_replicas_before(stage: Mall) -> None:
    shop = await stage.shop(5)
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", replicas=5, batchCount=5, needConfirm=True)
    await shop.waits(1, generation)

    await shop.verb("abort", by="alice", reason="not today")
    aborted = await shop.phase("Aborted")

    assert await shop.versions() == {"1.0.0": 3}
    assert (await shop.ask("2.0.0", replicas=5, batchCount=5, needConfirm=True)).generation == generation
    assert aborted.generation == generation


async def test_abort_of_a_first_installation_removes_it(stage: Mall) -> None:
    shop = await stage.shop(3)
    generation = await shop.apply("1.0.0", needConfirm=True, **THREE)
    await shop.waits(1, generation)

    await shop.verb("abort")
    await shop.phase("Aborted")

    assert await shop.versions() == {}


async def test_a_newer_wish_supersedes_an_unfinished_rollout(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    second = await shop.apply("2.0.0", needConfirm=True, **THREE)
    await shop.waits(1, second)

    third = await shop.apply("3.0.0", needConfirm=True, **THREE)
    waiting = await shop.waits(1, third)
    assert waiting.updated == 1
    with pytest.raises(Refused):
        await shop.verb("confirm", generation=second, batch=1)
    await shop.verb("promote", full=True)
    await shop.healthy(third)

    assert await shop.versions() == {"3.0.0": 3}
    outcomes = {one.version: one.outcome for one in await shop.verb("history")}  # type: ignore[attr-defined]
    assert (outcomes["2.0.0"], outcomes["3.0.0"]) == ("superseded", "completed")
    first_touched = await shop.touched("2.0.0")
    assert len(first_touched) == 1


async def test_delete_waits_for_a_dead_base_until_told_to_abandon_it(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    await shop.here.fleet.kill_listener(shop.key("web-base-2"))
    await shop.known(lambda records: not records["web-base-2"].ready)

    await shop.verb("delete")
    await shop.seen(
        lambda status: (
            status.phase == "Deleting"
            and "abandon" in f"{status.next} {status.message}"
            and any("web-base-2" in one.pods for one in status.problems)
        )
    )
    await shop.stays(lambda status: status.phase == "Deleting", 1)
    await shop.verb("delete", abandon=True)
    deleted = await shop.phase("Deleted")

    assert "web-base-2" in f"{deleted.message} {deleted.problems} {deleted.event}"
    assert await shop.serving() == {"web-base-2": "1.0.0"}, "left behind"


async def test_generations_go_on_after_a_deletion(stage: Mall) -> None:
    shop = await stage.shop(1)
    generation = await shop.runs("1.0.0", replicas=1)
    await shop.verb("delete")
    await shop.phase("Deleted")

    assert await shop.runs("1.0.0", replicas=1) == generation + 1


# --- explain, history ---


async def test_explain_tells_every_gate_and_what_opens_it(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)
    generation = await shop.apply("2.0.0", replicas=2, batchCount=2, needConfirm=True, grayTime=600)
    await shop.waits(1, generation)

    told = await shop.verb("explain")

    gates = {gate.gate: gate for gate in told.gates}  # type: ignore[attr-defined]
    assert set(gates) == {"verified", "grayTime", "confirm", "pause", "freeze"}
    shut_ones = {name for name, gate in gates.items() if not gate.open}
    assert shut_ones == {"grayTime", "confirm"}
    assert gates["grayTime"].until is not None
    assert "confirm" in (gates["confirm"].unblock or "")
    assert told.budget.resolved == 1  # type: ignore[attr-defined]


async def test_history_tells_who_asked_for_what_and_what_became_of_it(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)
    generation = await shop.apply("2.0.0", replicas=2, batchCount=2, needConfirm=True)
    await shop.waits(1, generation)
    await shop.verb("abort", by="alice")
    await shop.phase("Aborted")

    first, second = await shop.verb("history")  # type: ignore[misc]

    assert (first.version, first.outcome, first.stable) == ("1.0.0", "completed", True)  # type: ignore[has-type]
    assert (second.version, second.outcome, second.generation) == ("2.0.0", "aborted", generation)  # type: ignore[has-type]
