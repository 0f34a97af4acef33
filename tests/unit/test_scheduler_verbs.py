"""Waiting until ready, retry, replace, pairs and taking over: each told as one story of rounds (design 1.1-1.6)."""

from __future__ import annotations

from datetime import timedelta

from tests.properties.test_scheduler_rollouts import Real
from tests.scheduler_oracle import NOW, content, entry, operation, plan, record
from tranche.contract.progress import Progress
from tranche_scheduler.core.progress import progress


def second(seconds: float):
    return NOW + timedelta(seconds=seconds)


def old(*pods: str, **facts):
    return [record(pod, {"cart": entry(1)}, **facts) for pod in pods]


class Story(Real):
    """Rounds under one plan after the other, written as operations and pods."""

    def tell(self, **facts):
        self.told = plan(**({"revision": self.revision + 1} | facts))
        self.revision += 1
        self.view.fold_plan(self.told)
        return self.told

    def begins(self) -> list[str]:
        return [f"{claim.op} {claim.pod}" for claim in self.round().claims]

    def counts(self) -> Progress:
        blocked = self.round().blocked.get("cart")
        return progress(self.view, self.told, self.ledger, self.revision, blocked, self.now)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_a_new_replica_counts_once_it_ran_for_long_enough_and_was_looked_at() -> None:
    story = Story(old("a", "b"))
    story.tell(replicas=2, max_unavailable=1, min_ready_s=30)
    assert story.begins() == ["replace a"]
    story.end("a")
    result = story.round()
    assert (result.claims, result.next_at) == ((), second(30))
    counts = story.counts()
    assert (counts.updated, counts.updated_available, counts.available) == (1, 0, 1)
    assert (counts.maturing, counts.mature_at, counts.blocked, counts.problems) == (1, second(30), "", ())
    story.wait(30)
    first = story.round()
    assert [(claim.op, claim.pod, claim.revision, claim.costs) for claim in first.claims] == [
        ("observe", "a", 2, False)
    ]
    assert first.ledger.contents["cart"][2] == content(2)
    assert story.counts().maturing == 1, "time alone proves nothing"
    story.end("a")
    assert story.begins() == ["replace b"]
    assert story.counts().updated_available == 1


def test_a_look_that_came_too_early_is_repeated_after_a_second() -> None:
    story = Story([record("a", {"cart": entry(2, since=NOW)}).but(observed_at=second(29.5))])
    story.tell(replicas=1, min_ready_s=30)
    assert story.round().next_at == second(30.5)


def test_what_ran_before_the_rollout_is_available_as_it_is() -> None:
    story = Story([record("a", {"cart": entry(1, since=NOW)}), record("b", {"cart": entry(1, since=NOW)})])
    story.tell(replicas=2, max_unavailable=1, min_ready_s=30)
    assert story.counts().available == 1, "one of them is being replaced"


def test_in_place_a_new_version_costs_budget_while_it_does_not_count() -> None:
    story = Story(old("a", "b", "c"))
    story.tell(replicas=3, max_unavailable=1, min_ready_s=30, upgrade_policy="install_then_uninstall")
    assert story.begins() == ["replace a"]
    assert story.ledger.claims["a"].beside
    story.tell(replicas=3, max_unavailable=0, min_ready_s=30, upgrade_policy="install_then_uninstall")
    story.end("a")
    story.wait(30)
    story.round()
    story.end("a")
    assert "scaleup_then_scaledown" in story.counts().problems[0].message


def test_paused_a_new_replica_is_looked_at_all_the_same() -> None:
    story = Story(old("a", "b"))
    story.tell(replicas=2, max_unavailable=1, min_ready_s=30)
    story.round()
    story.end("a")
    story.tell(replicas=2, max_unavailable=1, min_ready_s=30, held=True, held_at=2)
    story.wait(30)
    assert story.begins() == ["observe a"]


def failed(**facts):
    return record("a", {"cart": entry(2, "failed", **({"since": NOW, "reason": "InstallFailed"} | facts))})


def test_retry_tries_once_what_was_given_up() -> None:
    for tries, passing in ((1, False), (3, True)):
        story = Story([failed(tries=tries, passing=passing)])
        story.tell(replicas=1)
        assert (story.begins(), story.counts().failed) == ([], 1)
        story.wait(1)
        story.tell(replicas=1, retried_at=story.now)
        assert (story.begins(), story.counts().failed) == (["install a"], 0)
        story.end("a", "failed")
        assert (story.begins(), story.counts().failed) == ([], 1)


def test_retry_does_not_wait_for_the_next_try() -> None:
    story = Story([failed(tries=2, passing=True)])
    story.tell(replicas=1)
    assert story.round().next_at == second(30)
    story.wait(1)
    story.tell(replicas=1, retried_at=story.now)
    assert story.begins() == ["install a"]


def test_replace_takes_a_replica_off_its_pod_and_places_it_elsewhere() -> None:
    story = Story([*old("a", "b"), record("c"), record("d")])
    done = {"target": content(1), "target_revisions": (1,), "complete": True}
    story.tell(replicas=2, max_unavailable=1, evict=("a", "c"), evicted_at=NOW, **done)
    assert story.counts().evicting == 1
    assert story.ledger.claims.keys() == {"a", "d"}, "c is listed too, so it takes nothing"
    story.end("a")
    story.end("d")
    assert story.begins() == []
    counts = story.counts()
    assert (counts.evicting, counts.moving, counts.available) == (0, 0, 2)
    story.tell(replicas=2, max_unavailable=1, **done)
    assert story.begins() == []


def test_replace_obeys_the_budget_and_needs_a_seat() -> None:
    story = Story([*old("a", "b"), record("c")])
    story.tell(replicas=2, updated=0, max_unavailable=0, evict=("a",), evicted_at=NOW)
    assert story.counts().blocked == "BudgetExhausted"
    story = Story(old("a", "b"))
    story.tell(replicas=2, updated=0, max_unavailable=2, evict=("a",), evicted_at=NOW)
    assert story.begins() == [], "taking it off would leave one replica less"
    assert story.counts().problems[0].message == "1 short: no pod is left without the module"


def test_what_could_not_be_taken_off_is_tried_again() -> None:
    story = Story([*old("a"), record("c")])
    story.tell(replicas=1, updated=0, max_unavailable=1, evict=("a",), evicted_at=NOW)
    assert story.begins() == ["remove a", "install c"]
    stays = entry(1, "failed", since=second(1), tries=1, reason="UninstallFailed")
    token = story.ledger.claims["a"].token
    story.put(record("a", {"cart": stays}, operation=operation(token, "failed")))
    story.end("c")
    story.wait(6)
    assert story.begins() == ["remove a"]
    assert story.counts().evicting == 1


def test_a_replacement_gets_the_target_only_below_the_level() -> None:
    story = Story([*old("a", "b"), record("c")])
    story.tell(replicas=2, updated=0, max_unavailable=1, evict=("a",), evicted_at=NOW)
    story.round()
    assert story.ledger.claims["c"].revision == 1
    story = Story([*old("a", "b"), record("c")])
    story.tell(replicas=2, updated=1, max_unavailable=1, evict=("a",), evicted_at=NOW)
    story.round()
    assert story.ledger.claims["c"].revision == 2


PAIRS = {"upgrade_policy": "scaleup_then_scaledown", "max_unavailable": 0}


def test_a_pair_is_one_on_another_pod_and_then_one_less() -> None:
    story = Story([*old("a", "b"), record("c")])
    story.tell(replicas=2, **PAIRS)
    assert story.begins() == ["install c"]
    counts = story.counts()
    assert (counts.outcome, counts.present, counts.available) == (3, 2, 2)
    story.end("c")
    assert story.begins() == ["remove a"]
    assert story.counts().available == 2
    story.end("a")
    assert story.begins() == ["install a"]
    story.end("a")
    assert story.begins() == ["remove b"]
    story.end("b")
    assert story.begins() == []
    assert story.counts().updated_available == story.counts().present == 2


def test_an_old_one_waits_until_the_new_one_ran_for_long_enough() -> None:
    story = Story([*old("a", "b"), record("c")])
    story.tell(replicas=2, min_ready_s=30, **PAIRS)
    story.round()
    story.end("c")
    assert story.begins() == []
    story.wait(30)
    assert story.begins() == ["observe c"]
    story.end("c")
    assert story.begins() == ["remove a"]


def test_no_old_one_goes_before_its_new_one_though_the_budget_would_allow_it() -> None:
    story = Story([*old("a", "b", "c"), record("d"), record("e")])
    story.tell(replicas=3, **(PAIRS | {"max_unavailable": 2}))
    assert story.begins() == ["install d", "install e"]
    assert story.begins() == []
    story.end("e")
    assert story.begins() == ["remove a"]


def test_no_free_pod_is_told() -> None:
    story = Story(old("a", "b"))
    story.tell(replicas=2, **PAIRS)
    counts = story.counts()
    assert counts.blocked == "InsufficientCapacity"
    assert "needs a free pod" in counts.problems[0].message


def test_a_failed_new_one_stays_and_holds_and_goes_after_an_abort() -> None:
    story = Story([*old("a", "b"), record("c"), record("d")])
    story.tell(replicas=2, **PAIRS)
    story.round()
    story.end("c", "failed")
    assert story.begins() == []
    assert (story.counts().failed, story.counts().present) == (1, 3)
    back = {"target": content(1), "target_revisions": (1,)}
    story.tell(replicas=2, mode="abort", **back, **PAIRS)
    assert story.begins() == ["remove c"]


def test_a_failure_that_may_be_lets_its_old_one_go_within_the_budget() -> None:
    story = Story([*old("a", "b"), record("c"), record("d")])
    story.tell(replicas=2, **(PAIRS | {"max_unavailable": 1}), failure_threshold=1)
    story.round()
    story.end("c", "failed")
    assert story.begins() == ["remove a"]


def test_fewer_replicas_go_at_once_in_the_middle_of_pairs() -> None:
    story = Story([*old("a", "b", "d"), record("c")])
    story.tell(replicas=3, **PAIRS)
    assert story.begins() == ["install c"]
    story.tell(replicas=2, wanted=2, **PAIRS)
    assert story.begins() == ["remove a"]
    assert not story.ledger.claims["c"].withdrawn


def test_a_dead_old_one_waits_for_its_pod() -> None:
    story = Story([*old("a"), *old("b", ready=False), record("c")])
    story.tell(replicas=2, **PAIRS)
    story.carry_out(story.told.but(revision=8), max)
    assert story.counts().blocked == "BudgetExhausted", "one is down already"
    story.carry_out(story.told.but(revision=9, max_unavailable=1), max)
    counts = story.counts()
    assert (counts.present, counts.updated_available, counts.down) == (2, 1, 1)


def test_versions_of_somebody_else_are_told_and_those_at_the_target_are_taken_over() -> None:
    theirs = [
        record("a", {"cart": entry(0, version="2.0.0")}),
        record("b", {"cart": entry(0, version="0.9")}),
    ]
    story = Story(theirs)
    story.tell(replicas=2, stable=None, stable_revisions=(), max_unavailable=1)
    assert story.counts().foreign == ("0.9",)
    assert {f"{claim.op} {pod}" for pod, claim in story.ledger.claims.items()} == {"observe a", "replace b"}


def test_stuck_operations_are_counted() -> None:
    story = Story(old("a"))
    story.tell(replicas=1)
    story.round()
    story.put(old("a")[0].but(operation=operation(story.ledger.claims["a"].token, "stuck")))
    assert story.counts().stuck == 1


def test_where_an_interrupted_rollout_left_one_too_many_on_every_pod_it_makes_the_place() -> None:
    story = Story(old("a", "b"))
    story.tell(replicas=2, wanted=1, updated=1, **PAIRS)
    assert story.begins() == ["remove a"], "nobody misses it: one is wanted and two are there"
    assert story.counts().available == 1
    story.end("a")
    assert story.begins() == ["install a"]
    story.end("a")
    story.tell(replicas=1, wanted=1, **PAIRS)
    assert story.begins() == ["remove b"]
