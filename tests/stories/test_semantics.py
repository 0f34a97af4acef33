"""What the fields of a manifest mean, a sentence of the specification each; judged by what the bases noted."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from tests.stories.shop_stage import Mall, Shop, mall
from tranche.contract.status import Status
from tranche.errors import Refused
from tranche_fleet.faults import Fault, Kind

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

REFUSED = "this module does not like this base"
"""A cause that cannot pass by itself."""
CORDONED = {"tranche.dev/cordoned": "true"}
CAPACITY = "koupleless.io/max-module-count"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mall]:
    async with mall(tmp_path_factory.mktemp("mall")) as ready:
        yield ready


def problem(status: Status, reason: str) -> str:
    """The words of the problem with this reason."""
    words = [one.message for one in status.problems if one.reason == reason]
    assert words, f"no {reason} in {status.problems}"
    return words[0]


def has(reason: str, phase: str | None = None):  # type: ignore[no-untyped-def]
    """A condition: this problem is told, in this phase."""
    return lambda status: (
        any(one.reason == reason for one in status.problems) and phase in (None, status.phase)
    )


# --- upgradePolicy ---


async def test_scaleup_then_scaledown_installs_on_another_pod_before_it_takes_one_away(stage: Mall) -> None:
    shop = await stage.shop(5)
    options = {"replicas": 3, "upgradePolicy": "scaleup_then_scaledown", "maxUnavailable": 0}
    await shop.runs("1.0.0", **options)
    began = time.time()

    await shop.runs("2.0.0", batchCount=3, **options)

    assert await shop.versions() == {"2.0.0": 3}
    assert await shop.lowest(began) == 3, "nothing was down"
    assert await shop.most(began) <= 4, "one pair at a time"


async def test_as_many_pairs_as_may_be_unavailable_are_under_way_at_once(stage: Mall) -> None:
    shop = await stage.shop(8, install_s=0.3)
    options = {"replicas": 4, "upgradePolicy": "scaleup_then_scaledown", "maxUnavailable": 2}
    await shop.runs("1.0.0", **options)
    began = time.time()

    await shop.runs("2.0.0", **options)

    assert await shop.versions() == {"2.0.0": 4}
    assert await shop.lowest(began) >= 4
    assert await shop.most(began) <= 6


async def test_scaleup_then_scaledown_needs_a_free_pod_and_goes_on_when_there_is_one(stage: Mall) -> None:
    shop = await stage.shop(2)
    options = {"replicas": 2, "upgradePolicy": "scaleup_then_scaledown"}
    await shop.runs("1.0.0", **options)

    generation = await shop.apply("2.0.0", **options)
    blocked = await shop.phase("Blocked")
    assert "free pod" in problem(blocked, "InsufficientCapacity")

    await shop.add()
    await shop.healthy(generation)
    assert await shop.versions() == {"2.0.0": 2}


async def test_a_peer_cannot_scale_up_first(stage: Mall) -> None:
    shop = await stage.shop(1)
    with pytest.raises(Refused, match="every pod"):
        await shop.apply("1.0.0", replicas=-1, upgradePolicy="scaleup_then_scaledown")


async def test_the_same_version_again_is_taken_out_and_put_in_once(stage: Mall) -> None:
    """Other arguments under one version number cannot stand side by side: uninstall, then install."""
    shop = await stage.shop(2)
    options = {"replicas": 2, "upgradePolicy": "install_then_uninstall", "maxUnavailable": 1}
    await shop.runs("1.0.0", **options)
    began = time.time()

    await shop.runs("1.0.0", module={"args": ["--spring.profiles.active=b"]}, **options)

    for pod in shop.pods:
        assert await shop.commands(pod, began) == [("uninstallBiz", "1.0.0"), ("installBiz", "1.0.0")]
    assert await shop.lowest(began) == 1


async def test_the_same_wish_again_changes_nothing(stage: Mall) -> None:
    shop = await stage.shop(2)
    generation = await shop.runs("1.0.0", replicas=2)

    again = await shop.ask("1.0.0", replicas=2)

    assert again.generation == generation
    assert len(await shop.installs("1.0.0")) == 2


# --- module.args ---


async def test_arguments_reach_the_base_with_the_version_put_in(stage: Mall) -> None:
    """With a path per version two web modules stand side by side, so nothing is down."""
    shop = await stage.shop(2)
    options = {
        "replicas": 2,
        "upgradePolicy": "install_then_uninstall",
        "maxUnavailable": 0,
        "module": {"args": ["--server.servlet.context-path=/cart-{version}"]},
    }
    await shop.runs("1.0.0", **options)
    began = time.time()

    await shop.runs("2.0.0", **options)

    assert await shop.versions() == {"2.0.0": 2}
    assert await shop.lowest(began) == 2


# --- minReadySeconds ---


async def test_a_batch_is_verified_after_its_replicas_ran_for_min_ready_seconds(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)

    generation = await shop.apply("2.0.0", replicas=2, batchCount=2, minReadySeconds=1)
    await shop.seen(lambda status: status.updated == 1 and status.observed_generation == generation)
    await shop.healthy(generation)

    first, second = await shop.installs("2.0.0")
    assert second - first >= 1.0
    installed = [
        one.at
        for timeline in (await shop.timelines()).values()
        for one in timeline.changes
        if (one.version, one.state) == ("2.0.0", "activated")
    ]
    done = await shop.client.get(shop.namespace, "cart")
    assert done.at.timestamp() - max(installed) >= 1.0, "the last batch is looked at as well"


async def test_a_replica_that_vanishes_while_it_matures_does_not_count(stage: Mall) -> None:
    """At the end of minReadySeconds it is looked at again."""
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)
    await shop.spoil("web-base-1", Fault(Kind.LOSE_MODULE, seconds=0.4, module="cart"))

    generation = await shop.apply("2.0.0", replicas=2, batchCount=2, minReadySeconds=2)
    await shop.healthy(generation)

    starts = {
        pod: [
            one.started_at
            for one in timeline.commands
            if (one.command, one.version) == ("installBiz", "2.0.0") and one.started_at is not None
        ]
        for pod, timeline in (await shop.timelines()).items()
    }
    assert len(starts["web-base-1"]) == 2, "made again"
    assert starts["web-base-2"][0] - starts["web-base-1"][1] >= 2.0, "and waited for anew"


# --- progressDeadlineSeconds ---


async def _slow(shop: Shop, version: str, seconds: float) -> None:
    """This version takes so long to start."""
    await shop.here.fleet.list_artefact(
        f"http://modules.example/{shop.namespace}/cart-{version}.jar",
        name="cart",
        version=version,
        context_path="cart",
        start_s=seconds,
    )


def _from(shop: Shop, version: str) -> dict[str, str]:
    return {"url": f"http://modules.example/{shop.namespace}/cart-{version}.jar"}


async def test_without_progress_until_the_deadline_the_rollout_holds_and_retry_goes_on(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    await _slow(shop, "2.0.0", 3.0)
    options = {"replicas": 3, "batchCount": 3, "module": _from(shop, "2.0.0")}

    generation = await shop.apply("2.0.0", progressDeadlineSeconds=1, **options)
    held = await shop.phase("Degraded", generation=generation)
    assert held.reason == "ProgressDeadlineExceeded"
    assert "retry" in held.next or "abort" in held.next
    await shop.seen(lambda status: status.moving == 0)
    # None where the deadline came before anything could begin: on a busy machine a second is not long.
    assert len(await shop.touched("2.0.0")) <= 1, "the rollout holds"

    # More time, and on it goes.
    generation = await shop.apply("2.0.0", progressDeadlineSeconds=60, **options)
    await shop.verb("retry")
    assert (await shop.phase("Healthy")).updated == 3
    assert generation == 3


async def test_the_deadline_stands_still_while_a_gate_is_shut(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)

    generation = await shop.apply(
        "2.0.0", replicas=2, batchCount=2, needConfirm=True, progressDeadlineSeconds=1
    )
    await shop.waits(1, generation)
    await shop.stays(lambda status: status.phase == "Waiting", 2)
    await shop.verb("confirm", batch=1)

    await shop.healthy(generation)


async def test_the_deadline_stands_still_while_the_rollout_is_blocked(stage: Mall) -> None:
    shop = await stage.shop(1)
    await shop.runs("1.0.0", replicas=1)

    await shop.apply("2.0.0", replicas=1, maxUnavailable=0, progressDeadlineSeconds=1)
    await shop.phase("Blocked")

    await shop.stays(lambda status: status.phase == "Blocked", 2)


# --- failureThreshold, autoRollback ---


async def test_failures_within_the_threshold_do_not_hold_and_stay_degraded_until_mended(stage: Mall) -> None:
    shop = await stage.shop(4)
    await shop.runs("1.0.0", replicas=4)
    await shop.spoil("web-base-1", Fault(Kind.INSTALL_FAILS, module="cart", words=REFUSED))

    generation = await shop.apply("2.0.0", replicas=4, batchCount=2, failureThreshold=1, maxUnavailable=2)
    done = await shop.seen(lambda status: status.phase == "Degraded" and status.stable_version == "2.0.0")
    assert (done.failed, done.available, done.observed_generation) == (1, 3, generation)
    assert REFUSED in problem(done, "InstallFailed")
    assert "retry" in done.next

    await shop.verb("retry")
    await shop.healthy(generation)
    assert await shop.versions() == {"2.0.0": 4}


async def test_more_failures_than_the_threshold_hold(stage: Mall) -> None:
    shop = await stage.shop(4)
    await shop.runs("1.0.0", replicas=4)
    for pod in ("web-base-1", "web-base-2"):
        await shop.spoil(pod, Fault(Kind.INSTALL_FAILS, module="cart", words=REFUSED))

    await shop.apply("2.0.0", replicas=4, batchCount=2, failureThreshold="25%", maxUnavailable=2)
    held = await shop.phase("Degraded")

    assert (held.failed, held.batch.current, held.batch.state) == (2, 1, "Failed")
    assert await shop.touched("2.0.0") == {"web-base-1", "web-base-2"}


async def test_a_batch_with_nothing_available_always_holds(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)

    await shop.apply("2.0.0-broken", replicas=3, batchCount=3, failureThreshold=2, maxUnavailable=3)
    held = await shop.phase("Degraded")

    assert held.failed == 1
    assert await shop.touched("2.0.0-broken") == {"web-base-1"}


async def test_auto_rollback_aborts_by_itself_on_a_failure(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)

    await shop.apply("2.0.0-broken", replicas=3, batchCount=3, autoRollback=True)
    aborted = await shop.phase("Aborted")

    assert aborted.available == 3
    assert await shop.versions() == {"1.0.0": 3}
    assert len(await shop.touched("2.0.0-broken")) == 1
    told = [status async for status in shop.client.events(shop.namespace, "cart")]
    assert any("autoRollback" in f"{one.event.message} {one.message}" for one in told)


async def test_auto_rollback_aborts_by_itself_at_the_deadline(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)
    await _slow(shop, "2.0.0", 2.5)

    await shop.apply(
        "2.0.0",
        replicas=2,
        batchCount=2,
        progressDeadlineSeconds=1,
        autoRollback=True,
        module=_from(shop, "2.0.0"),
    )
    await shop.phase("Aborted")

    assert await shop.versions() == {"1.0.0": 2}


async def test_a_threshold_that_the_budget_cannot_serve_is_warned_of(stage: Mall) -> None:
    shop = await stage.shop(3)

    answer = await shop.ask("1.0.0", replicas=3, failureThreshold=1, maxUnavailable=1)

    assert any("failureThreshold" in warning for warning in answer.warnings)


# --- revisionHistoryLimit ---


async def test_so_many_old_revisions_are_kept(stage: Mall) -> None:
    shop = await stage.shop(1)
    for number in range(1, 6):
        await shop.runs(f"{number}.0.0", replicas=1, maxUnavailable=1, revisionHistoryLimit=2)

    history = await shop.verb("history")
    assert [one.version for one in history] == ["3.0.0", "4.0.0", "5.0.0"]  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="1"):
        await shop.verb("undo", revision=1)


# --- adoption ---


async def test_what_is_there_at_the_targets_version_is_taken_over_not_installed_again(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.somebody_installs("web-base-2", "1.0.0")
    before = await shop.installs("1.0.0")

    await shop.runs("1.0.0", replicas=2)

    assert len(await shop.installs("1.0.0")) == len(before) + 1
    assert "web-base-2" in await shop.serving()
    records = await shop.known(lambda records: records["web-base-2"].modules["cart"].revision == 1)
    assert records["web-base-2"].modules["cart"].state == "available"


async def test_another_version_that_is_there_is_replaced_in_the_rollout_and_warned_of(stage: Mall) -> None:
    shop = await stage.shop(2)
    for pod in shop.pods:
        await shop.somebody_installs(pod, "0.9.0")
    began = time.time()

    answer = await shop.ask("1.0.0", replicas=2, batchCount=2, needConfirm=True, maxUnavailable=1)
    assert any("0.9.0" in warning for warning in answer.warnings), "there is no way back to it"
    await shop.waits(1, 1)
    assert await shop.versions() == {"0.9.0": 1, "1.0.0": 1}
    await shop.verb("confirm")
    await shop.healthy(1)

    assert await shop.versions() == {"1.0.0": 2}
    assert await shop.lowest(began) >= 1


async def test_surplus_that_is_there_is_removed(stage: Mall) -> None:
    shop = await stage.shop(3)
    for pod in shop.pods:
        await shop.somebody_installs(pod, "1.0.0")

    await shop.runs("1.0.0", replicas=1)

    assert await shop.versions() == {"1.0.0": 1}
    assert len(await shop.installs("1.0.0")) == 3, "nothing was installed again"


async def test_modules_nobody_owns_are_left_alone_and_take_slots(stage: Mall) -> None:
    shop = await stage.shop(2, labels={CAPACITY: "1"})
    await shop.somebody_installs("web-base-1", "1.0.0", "stranger")

    await shop.apply("1.0.0", replicas=2)
    blocked = await shop.phase("Blocked")

    assert "1 short" in problem(blocked, "InsufficientCapacity")
    assert await shop.serving() == {"web-base-2": "1.0.0"}
    assert await shop.serving("stranger") == {"web-base-1": "1.0.0"}


# --- placement: cordoned, capacity, policy ---


async def test_a_cordoned_pod_takes_nothing_new_and_keeps_what_it_has(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=1)
    await shop.here.fleet.describe(shop.key("web-base-1"), labels=CORDONED)
    await shop.here.fleet.describe(shop.key("web-base-2"), labels=CORDONED)
    await shop.known(lambda records: records["web-base-1"].cordoned and records["web-base-2"].cordoned)

    await shop.apply("1.0.0", replicas=3)
    blocked = await shop.phase("Blocked")

    assert problem(blocked, "InsufficientCapacity") == "1 short: 1 pod cordoned"
    assert set(await shop.serving()) == {"web-base-1", "web-base-3"}
    await shop.here.fleet.describe(shop.key("web-base-2"), labels={})
    await shop.healthy(2)


async def test_a_limit_that_is_no_number_takes_nothing_new_and_is_told(stage: Mall) -> None:
    shop = await stage.shop(1, labels={CAPACITY: "many"})
    await shop.add()

    await shop.apply("1.0.0", replicas=2)
    blocked = await shop.seen(has("InvalidCapacity", "Blocked"))

    assert "many" in problem(blocked, "InvalidCapacity")
    assert set(await shop.serving()) == {"web-base-2"}


async def test_a_lowered_limit_takes_nothing_away_and_hinders_no_replacement(stage: Mall) -> None:
    shop = await stage.shop(1, labels={CAPACITY: "2"})
    await shop.runs("1.0.0", replicas=1, maxUnavailable=1)
    await shop.here.fleet.describe(shop.key("web-base-1"), labels={CAPACITY: "0"})
    await shop.known(lambda records: records["web-base-1"].max_modules == 0)

    await shop.runs("2.0.0", replicas=1, maxUnavailable=1)

    assert await shop.versions() == {"2.0.0": 1}


@pytest.mark.parametrize(
    ("policy", "install", "remove"),
    [("scatter", "web-base-1", "web-base-2"), ("stacking", "web-base-2", "web-base-1")],
)
async def test_scatter_goes_where_least_is_and_stacking_where_most_is(
    stage: Mall, policy: str, install: str, remove: str
) -> None:
    """And takes away the other way round: with one module more on the second pod."""
    shop = await stage.shop(2)
    await shop.somebody_installs("web-base-2", "1.0.0", "stranger")
    await shop.runs("1.0.0", replicas=1, schedulingPolicy=policy)
    assert set(await shop.serving()) == {install}

    await shop.runs("1.0.0", replicas=2, schedulingPolicy=policy)
    await shop.runs("1.0.0", replicas=1, schedulingPolicy=policy)

    assert set(await shop.serving()) == set(shop.pods) - {remove}


# --- batches, budget, pods that are down ---


async def test_a_pod_that_is_down_holds_up_no_batch_and_gets_the_target_when_it_returns(stage: Mall) -> None:
    shop = await stage.shop(4)
    await shop.runs("1.0.0", replicas=4, maxUnavailable=2)
    await shop.here.fleet.kill_listener(shop.key("web-base-2"))
    await shop.known(lambda records: not records["web-base-2"].ready)

    generation = await shop.apply("2.0.0", replicas=4, batchCount=3, maxUnavailable=2)
    await shop.seen(lambda status: status.observed_generation == generation and status.updated == 3)
    assert "web-base-2" not in await shop.touched("2.0.0")

    await shop.here.fleet.revive_listener(shop.key("web-base-2"))
    await shop.healthy(generation)
    assert await shop.versions() == {"2.0.0": 4}


async def test_a_canary_that_dies_while_people_look_shuts_the_gate_again(stage: Mall) -> None:
    """Verified is not latched, though the time at which it was stays."""
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", replicas=3, batchCount=2, useBeta=True, grayTime=3)
    first = await shop.seen(
        lambda status: status.phase == "Waiting" and status.observed_generation == generation
    )

    await shop.here.fleet.stop(shop.key("web-base-1"))
    await shop.seen(lambda status: any(gate.gate == "verified" for gate in status.gates))
    await shop.stays(lambda status: status.batch.current == 1, 3)
    await shop.here.fleet.start(shop.key("web-base-1"))
    await shop.healthy(generation)

    done = await shop.client.get(shop.namespace, "cart")
    assert done.batches[0].verified_at == first.batches[0].verified_at


async def test_both_gates_are_honoured_when_both_are_set(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=2)
    generation = await shop.apply("2.0.0", replicas=2, batchCount=2, needConfirm=True, grayTime=1)
    await shop.seen(lambda status: {gate.gate for gate in status.gates} >= {"confirm", "grayTime"})
    await shop.verb("confirm")
    await shop.healthy(generation)

    first, second = await shop.installs("2.0.0")
    assert second - first >= 1.0


async def test_the_last_batch_has_no_gate_behind_it(stage: Mall) -> None:
    shop = await stage.shop(1)
    await shop.runs("1.0.0", replicas=1)
    began = time.time()

    await shop.runs("2.0.0", replicas=1, batchCount=5, needConfirm=True, grayTime=600, maxUnavailable=1)

    assert time.time() - began < 20


async def test_replicas_of_zero_is_a_wish_like_any_other(stage: Mall) -> None:
    shop = await stage.shop(2)
    generation = await shop.runs("1.0.0", replicas=0)
    status = await shop.healthy(generation)
    assert (status.replicas, status.available, status.batch.count) == (0, 0, 0)


async def test_a_change_of_gates_alone_takes_effect_in_the_running_rollout(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", replicas=3, batchCount=3, needConfirm=True)
    await shop.waits(1, generation)
    await shop.verb("confirm", batch=1, by="alice")
    await shop.waits(2, generation)

    changed = await shop.apply("2.0.0", replicas=3, batchCount=3, needConfirm=False)
    done = await shop.healthy(changed)

    assert changed == generation + 1
    assert [batch.confirmed_by for batch in done.batches] == ["alice", None, None]


# --- pause and confirmBatchNum in the manifest, as the seed has it ---


async def test_pause_changed_to_false_confirms_the_batch_that_waits_and_a_repeat_nothing(stage: Mall) -> None:
    shop = await stage.shop(3)
    options = {"replicas": 3, "batchCount": 3, "needConfirm": True}
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", **options)
    await shop.waits(1, generation)

    assert await shop.apply("2.0.0", pause=False, **options) == generation
    await shop.waits(2, generation)
    await shop.apply("2.0.0", pause=False, **options)
    await shop.stays(lambda status: status.batch.current == 2, 0.5)
    await shop.apply("2.0.0", pause=True, **options)
    await shop.apply("2.0.0", pause=False, **options)

    await shop.healthy(generation)


async def test_a_change_of_confirm_batch_num_confirms_that_batch(stage: Mall) -> None:
    shop = await stage.shop(3)
    options = {"replicas": 3, "batchCount": 3, "needConfirm": True}
    await shop.runs("1.0.0", replicas=3)
    generation = await shop.apply("2.0.0", **options)
    for batch in (1, 2):
        await shop.waits(batch, generation)
        assert await shop.apply("2.0.0", confirmBatchNum=batch, **options) == generation

    done = await shop.healthy(generation)
    assert all(early.confirmed_at and late for early, late in pairwise(done.batches[:2]))


# --- peers ---


async def test_a_peer_follows_the_base_in_the_middle_of_a_rollout(stage: Mall) -> None:
    shop = await stage.shop(4)
    await shop.runs("1.0.0", replicas=-1)
    generation = await shop.apply("2.0.0", replicas=-1, batchCount=2, needConfirm=True, maxUnavailable=2)
    await shop.waits(1, generation)

    await shop.add()
    grown = await shop.seen(lambda status: status.available == 5)
    assert (grown.replicas, grown.batch.current) == (5, 1)
    await shop.here.fleet.remove(shop.key("web-base-4"))
    shop.pods.remove("web-base-4")
    await shop.seen(lambda status: status.replicas == 4 and status.available == 4)
    await shop.seen(lambda status: any(gate.gate == "confirm" for gate in status.gates))
    await shop.verb("confirm")

    await shop.healthy(generation)
    assert await shop.versions() == {"2.0.0": 4}


async def test_a_peer_is_not_scaled_by_hand(stage: Mall) -> None:
    shop = await stage.shop(2)
    await shop.runs("1.0.0", replicas=-1)
    with pytest.raises(Refused, match="peer"):
        await shop.verb("scale", replicas=1)


async def test_a_pod_that_joins_while_failures_hold_gets_stable(stage: Mall) -> None:
    shop = await stage.shop(3)
    await shop.runs("1.0.0", replicas=-1)
    await shop.apply("2.0.0-broken", replicas=-1, batchCount=3)
    await shop.phase("Degraded")

    await shop.add()
    await shop.seen(lambda status: status.replicas == 4 and status.available == 3)

    assert await shop.versions() == {"1.0.0": 3}
