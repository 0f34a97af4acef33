"""Small rollouts to their end: the scheduler's rehearsal against a naive one, and reality against the rehearsal.

The naive scheduler knows neither records nor claims: pods are rows of a table, cutting is the design's formulas.
"""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import chain, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scheduler_oracle import NOW, content, entry, operation, plan, record
from tranche.contract.ledger import Ledger
from tranche.contract.plan import ALL
from tranche.contract.preview import MOST_STEPS
from tranche_scheduler.core.ledger import Round, play
from tranche_scheduler.core.pool import PoolView
from tranche_scheduler.core.progress import progress
from tranche_scheduler.core.rehearsal import Rehearsal, Snapshot, after

POLICIES = ("uninstall_then_install", "install_then_uninstall", "scaleup_then_scaledown")
ENOUGH = 10_000


class Naive:
    """Pods with so many other modules, and the revision of ours or None; rounds of steps by the design's words."""

    def __init__(self, others, there, *, wanted, allowed, policy, scatter, stable) -> None:
        self.others, self.there = list(others), list(there)
        self.wanted, self.allowed, self.policy, self.scatter = wanted, allowed, policy, scatter
        self.stable = stable

    def level(self, replicas, updated):
        """Rounds of (kind, pod) until nothing more is to be done; the fewest that were available."""
        rounds, lowest = [], self.available({})
        while taken := self.round(replicas, self.wanted if updated == ALL else updated):
            rounds.append([(kind, pod) for pod, (kind, _) in taken.items()])
            lowest = min(lowest, self.available(taken))
            for pod, (_, revision) in taken.items():
                self.there[pod] = revision
        return rounds, lowest

    def available(self, taken) -> int:
        down = [
            pod for pod, (kind, _) in taken.items() if kind in ("remove", "replace") and not self.beside(kind)
        ]
        return sum(found is not None for pod, found in enumerate(self.there) if pod not in down)

    def beside(self, kind) -> bool:
        return kind == "replace" and self.policy == "install_then_uninstall"

    def round(self, goal, updated):
        taken: dict[int, tuple[str, int | None]] = {}
        surge = self.policy == "scaleup_then_scaledown"
        self.remove(taken, goal, surge)
        while self.outcome(taken) < goal and (free := self.free(taken)):
            revision = 2 if self.tried(taken) < updated else self.stable
            if revision is None:
                break
            taken[free[0]] = ("install", revision)
        while not surge and self.tried(taken) < updated and (old := self.idle(taken, 1, "replace")):
            if self.policy == "uninstall_then_install" and not self.affordable(taken):
                break
            taken[old[0]] = ("replace", 2)
        removing = sum(kind == "remove" for kind, _ in taken.values())
        while surge and self.tried(taken) < updated:
            extra = self.outcome(taken) - goal
            if (
                not 0 <= extra < max(1, self.allowed) - removing
                or len(self.idle(taken, 1, "replace")) <= extra
            ):
                break
            free = self.free(taken)
            leaving = [pod for pod, (kind, _) in taken.items() if kind == "remove"]
            best = sorted([*free, *leaving], key=lambda pod: self.rank(pod, "install", -(pod in leaving)))
            if not free and not extra + removing and self.available(taken) > self.wanted:
                # One that nobody misses makes the place.
                taken[self.idle(taken, 1, "remove")[0]] = ("remove", None)
            if not free or best[0] in leaving:
                break
            taken[free[0]] = ("install", 2)
        return taken

    def remove(self, taken, goal, surge) -> None:
        while (surplus := self.outcome(taken) - goal) > 0:
            old, new = self.idle(taken, 1, "remove"), self.idle(taken, 2, "remove")
            if surge:
                olds = self.outcome(taken) - self.tried(taken)
                ready = sum(found == 2 for pod, found in enumerate(self.there) if pod not in taken)
                if surplus <= olds and olds + ready <= goal:
                    return
                pods = old + new if surplus > olds else old
            else:
                pods = old + new
            if not pods or not self.affordable(taken):
                return
            taken[pods[0]] = ("remove", None)

    def affordable(self, taken) -> bool:
        return self.available(taken) - 1 >= self.wanted - self.allowed

    def outcome(self, taken) -> int:
        return sum(self.meant(taken, pod) is not None for pod in range(len(self.there)))

    def tried(self, taken) -> int:
        return sum(self.meant(taken, pod) == 2 for pod in range(len(self.there)))

    def meant(self, taken, pod):
        return taken[pod][1] if pod in taken else self.there[pod]

    def idle(self, taken, revision, kind) -> list[int]:
        pods = [pod for pod, found in enumerate(self.there) if found == revision and pod not in taken]
        return sorted(pods, key=lambda pod: self.rank(pod, kind))

    def free(self, taken) -> list[int]:
        pods = [pod for pod, found in enumerate(self.there) if found is None and pod not in taken]
        return sorted(pods, key=lambda pod: self.rank(pod, "install"))

    def rank(self, pod, kind, change=0):
        fewest = self.scatter == (kind != "remove")
        count = self.others[pod]
        return (count if fewest else -count), pod


def cut(present, updated, wanted, free, batches, beta):
    """Cumulative changes, and the levels they stand for (design 1.2, word by word)."""
    installs, removals = max(0, wanted - present), max(0, present - wanted)
    replaced = max(0, min(present, wanted) - updated)
    m = installs + replaced + removals
    if m == 0:
        return []
    if beta and m > 1:
        k = max(1, min(batches - 1, m - 1))
        ends = [1] + [1 + i * (m - 1) // k for i in range(1, k + 1)]
    else:
        k = min(max(batches, 1), m)
        ends = [i * m // k for i in range(1, k + 1)]
    levels, before = [], 0
    for c in ends:
        i = min(c, min(installs, free))
        p = min(c - i, replaced)
        d = min(c - i - p, removals)
        late = c - i - p - d
        level = (present + i + late - d, min(present + i + late - d, updated + i + late + p))
        levels.append((c - before, (wanted, ALL) if c == m else level))
        before = c
    return levels


def pool_of(others, there, modules_limit=None):
    names = [[f"m{n}" for n in range(count)] for count in others]
    return [
        record(
            f"p{pod}",
            dict.fromkeys(names[pod], entry()) | ({"cart": entry(found)} if found is not None else {}),
            max_modules=modules_limit,
        )
        for pod, found in enumerate(there)
    ]


def rehearse(records, plans):
    rehearsal = Rehearsal(
        Snapshot(records, Ledger(namespace="shop", base="web", epoch="e"), 1, 1), plans, NOW
    )
    for _ in rehearsal.perform():
        pass
    return rehearsal.answer(0, MOST_STEPS)


def plans_of(levels, wanted, allowed, policy, scatter, stable, **more):
    common = {
        "wanted": wanted,
        "max_unavailable": allowed,
        "upgrade_policy": policy,
        "scheduling_policy": "scatter" if scatter else "stacking",
        "stable": content(1) if stable else None,
        "stable_revisions": (1,) if stable else (),
        **more,
    }
    opened = plan(mode="open", replicas=wanted, updated=0, **common)
    return [opened, *(plan(replicas=level[0], updated=level[1], **common) for _, level in levels)]


def small_cases(policy):
    for pods in range(1, 6):
        for present, wanted in product(range(pods + 1), range(5)):
            for allowed, batches, beta in product(range(wanted + 1), range(1, 5), (False, True)):
                if not (beta and batches == 1):
                    yield pods, present, wanted, allowed, batches, beta


@pytest.mark.parametrize("policy", POLICIES)
def test_all_small_rollouts_end_without_overshoot_and_within_budget(policy) -> None:
    for number, (pods, present, wanted, allowed, batches, beta) in enumerate(small_cases(policy)):
        case = f"{pods=} {present=} {wanted=} {allowed=} {batches=} {beta=}"
        others = [(pod * 7 + number) % 3 for pod in range(pods)]
        there = [1 if (pod + number) % pods < present else None for pod in range(pods)]
        scatter, stable = number % 2 == 0, present > 0
        levels = cut(present, 0, wanted, pods - present, batches, beta)
        naive = Naive(
            others,
            there,
            wanted=wanted,
            allowed=allowed,
            policy=policy,
            scatter=scatter,
            stable=1 if stable else None,
        )
        answer = rehearse(pool_of(others, there), plans_of(levels, wanted, allowed, policy, scatter, stable))
        assert answer.levels[0].steps == (), case
        for (size, (replicas, updated)), level in zip(levels, answer.levels[1:], strict=True):
            before = naive.available({})
            rounds, lowest = naive.level(replicas, updated)
            assert [(step.step, int(step.pod[1:])) for step in level.steps] == list(chain(*rounds)), case
            assert (level.rounds, level.lowest_available) == (len(rounds), lowest), case
            assert level.lowest_available >= min(before, wanted - allowed), case
            target = sum(found == 2 for found in naive.there)
            assert updated == ALL or target <= updated, case
            done = sum(found is not None for found in naive.there) == replicas
            if level.blocked is None:
                changes = len(level.steps) - (
                    _removed(level) if policy == POLICIES[2] and _pairs(level) else 0
                )
                assert changes > 0, f"an empty batch: {case}"
                assert changes == size or policy == POLICIES[2], case
                assert done, case
                assert target == (wanted if updated == ALL else updated), case
            else:
                assert level.blocked.reason in ("BudgetExhausted", "InsufficientCapacity"), case
                break


def _removed(level) -> int:
    return sum(step.step == "remove" for step in level.steps)


def _pairs(level) -> bool:
    return {step.step for step in level.steps} >= {"install", "remove"}


class Real:
    """A pool that is played round by round; operations end in any order."""

    def __init__(self, records) -> None:
        self.view = PoolView()
        self.ledger = Ledger(namespace="shop", base="web", epoch="e")
        self.now = NOW
        self.position = self.revision = 0
        for found in records:
            self.put(found)

    def put(self, found) -> None:
        self.position += 1
        self.view.fold(found, self.position)

    def round(self) -> Round:
        result = play(self.view, self.ledger, self.revision, self.now, caught_up=True)
        assert isinstance(result, Round)
        self.ledger = result.ledger
        self.view.fold_claims(self.ledger.claims)
        return result

    def end(self, pod: str, state: str = "done") -> None:
        claim, found = self.ledger.claims[pod], self.view.record(pod)
        contents = self.ledger.contents.get(claim.deployment, {})
        ended = after(found, claim, contents.get(claim.revision), self.now)
        if state == "failed":
            there = entry(claim.revision, "failed", since=self.now, tries=1, reason="InstallFailed")
            ended = found.but(modules={**found.modules, claim.module: there}, observed_at=self.now)
        self.put(ended.but(operation=operation(claim.token, state)))

    def carry_out(self, told, chance, judge=lambda: None, seconds=1) -> list[tuple[str, str]]:
        """The steps of one level in the order in which they were begun."""
        self.view.fold_plan(told)
        begun = []
        for _ in range(ENOUGH):
            result = self.round()
            judge()
            for claim in result.claims:
                if claim.op != "observe":
                    begun.append((claim.op, claim.pod))
            if self.ledger.claims:
                self.end(chance(sorted(self.ledger.claims)))
                self.now += timedelta(seconds=seconds)
            elif result.next_at is not None:
                self.now = result.next_at
            else:
                return begun
        raise AssertionError("it does not end")


@st.composite
def rollouts(draw):
    pods = draw(st.integers(1, 9))
    others = draw(st.lists(st.integers(0, 3), min_size=pods, max_size=pods))
    there = draw(st.lists(st.sampled_from([None, 1, 1, 1]), min_size=pods, max_size=pods))
    present = sum(found is not None for found in there)
    wanted = draw(st.integers(max(0, present - 2), present + 2))
    batches = draw(st.integers(1, 4))
    levels = cut(present, 0, wanted, pods - present, batches, beta=batches > 1 and draw(st.booleans()))
    plans = plans_of(
        levels,
        wanted,
        draw(st.integers(0, max(1, wanted))),
        draw(st.sampled_from(POLICIES)),
        draw(st.booleans()),
        present > 0,
        min_ready_s=draw(st.sampled_from([0, 0, 1, 30])),
    )
    plans = [told.but(revision=number, batch=number) for number, told in enumerate(plans)]
    return pool_of(others, there), plans


def pairs(real, told) -> int:
    """Replicas there are, or may be, beyond those asked for."""
    claims = real.ledger.claims
    pods = {found.pod for found in real.view.records() if "cart" in found.modules}
    return len(pods | {pod for pod, claim in claims.items() if claim.op == "install"}) - told.replicas


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(rollouts(), st.integers(0, 1_000_000))
def test_reality_takes_the_pods_of_the_rehearsal_whatever_ends_first(rollout, seed) -> None:
    records, plans = rollout
    foreseen = rehearse(records, plans)
    real = Real(records)
    chance = random.Random(seed)
    for told, level in zip(plans, foreseen.levels, strict=True):
        at_most = max(1, int(told.max_unavailable))
        surge = told.upgrade_policy == "scaleup_then_scaledown"
        start = pairs(real, told)
        real.view.fold_plan(told)
        before = progress(real.view, told, real.ledger, 1, None, real.now).available

        def judge(told=told, surge=surge, at_most=at_most, start=start, before=before) -> None:
            counts = progress(real.view, told, real.ledger, 1, None, real.now)
            costing = [claim for claim in real.ledger.claims.values() if claim.costs]
            if costing:
                assert counts.available >= told.wanted - int(told.max_unavailable)
            if surge and told.mode == "roll":
                assert pairs(real, told) <= max(start, at_most)
                # No old one goes before a new one is available in its place, whatever the budget would allow, but
                # for one that nobody misses.
                assert counts.available >= min(before, told.replicas, told.wanted)
            ready = told.min_ready_s
            ripe = [
                found
                for found in real.view.records()
                if (there := found.modules.get("cart")) is not None
                and there.revision == 2
                and found.observed_at >= there.since + timedelta(seconds=ready)
            ]
            assert counts.updated_available <= len(ripe)

        begun = real.carry_out(told, chance.choice, judge)
        steps = [(step.step, step.pod) for step in level.steps]
        if surge and at_most > 1:
            # Removals wait for whichever new one is available first; the pods that are free again may differ.
            assert len(begun) == len(steps)
            assert [pod for op, pod in begun if op == "remove"] == [
                pod for op, pod in steps if op == "remove"
            ]
        else:
            assert begun == steps
        if level.blocked is not None:
            break


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(rollouts(), st.integers(0, 1_000_000), st.integers(0, 3), st.integers(1, 2))
def test_evictions_and_failures_end_and_are_retried_once(rollout, seed, evicted, threshold) -> None:
    """Some installations fail for good: no other pod is tried in their stead, whatever the policy."""
    records, plans = rollout
    real, chance = Real(records), random.Random(seed)
    told = plans[-1].but(failure_threshold=threshold)
    if told.mode == "open":
        return
    real.view.fold_plan(told.but(revision=1))
    failed = 0
    for _ in range(ENOUGH):
        result = real.round()
        if real.ledger.claims:
            pod = chance.choice(sorted(real.ledger.claims))
            fails = real.ledger.claims[pod].op in ("install", "replace") and chance.random() < 0.2
            failed += fails
            real.end(pod, "failed" if fails else "done")
            real.now += timedelta(seconds=1)
        elif result.next_at is not None:
            real.now = result.next_at
        else:
            break
    else:
        raise AssertionError("it does not end")
    counts = progress(real.view, told, real.ledger, 1, None, real.now)
    assert counts.failed == failed <= threshold + max(1, int(told.max_unavailable)) + told.replicas
    assert counts.moving == 0
    if told.upgrade_policy == "scaleup_then_scaledown" and counts.present > told.replicas:
        assert counts.failed > 0 or counts.foreign or counts.updated < told.replicas

    # A person asks for another try of each: once, and all of them succeed.
    real.now += timedelta(seconds=1)
    begun = real.carry_out(told.but(revision=2, retried_at=real.now), chance.choice)
    counts = progress(real.view, told, real.ledger, 1, None, real.now)
    assert counts.failed == counts.retrying == 0
    assert len(begun) >= failed

    pods = sorted(found.pod for found in real.view.records() if "cart" in found.modules)[:evicted]
    real.now += timedelta(seconds=1)
    emptied = told.but(revision=3, evict=tuple(pods), evicted_at=real.now)
    begun = real.carry_out(emptied, chance.choice)
    after_ = progress(real.view, emptied, real.ledger, 1, None, real.now)
    # What is left has no pod to go to, or no budget to go with.
    blocked = real.round().blocked
    assert after_.evicting == 0 or "cart" in blocked
    assert after_.evicting == sum("cart" in real.view.record(pod).modules for pod in pods)
    taken_off = [pod for op, pod in begun if op == "remove" and pod in pods]
    assert len(taken_off) == len(set(taken_off)) == len(pods) - after_.evicting
    assert not [pod for op, pod in begun if op == "install" and pod in pods]
