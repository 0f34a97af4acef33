"""The incremental scheduler against the one that scans everything, and the laws of a choice (design 1.4, 2.2)."""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scheduler_oracle import NOW, NaiveView, content, entry, operation, plan, record, serving
from tranche.contract.ledger import MAX_CLAIMS, Ledger
from tranche.contract.plan import ALL
from tranche_scheduler.core.budget import budget_of
from tranche_scheduler.core.choice import choose
from tranche_scheduler.core.ledger import Rest, Round, play, rest
from tranche_scheduler.core.pool import PoolView, modules_on
from tranche_scheduler.core.progress import progress
from tranche_scheduler.core.surge import surging

PODS = [f"p{number}" for number in range(7)]
NAMES = ["cart", "menu"]


@st.composite
def entries(draw):
    state = draw(st.sampled_from(["available"] * 12 + ["inactive", "failed", "failed", "unknown"]))
    revision = draw(st.sampled_from([1] * 8 + [0, 2, 2, 3]))
    facts = {}
    if state == "failed":
        facts = {
            "tries": draw(st.integers(1, 4)),
            "passing": draw(st.booleans()),
            "reason": draw(st.sampled_from(["InstallFailed", "InstallFailed", "UninstallFailed"])),
            "serving": draw(st.sampled_from([None, None, serving(1)])),
            "since": NOW - timedelta(seconds=draw(st.sampled_from([1, 10, 100, 400]))),
        }
    version = draw(st.sampled_from(["1.0.0", "2.0.0"])) if revision == 0 else f"{revision}.0.0"
    return entry(revision, state, version=version, **facts)


@st.composite
def records(draw):
    modules = draw(st.dictionaries(st.sampled_from(["cart", "cart", "menu", "other"]), entries(), max_size=3))
    done = draw(st.sampled_from([None, None, None, ("done", 1), ("done", 1), ("started", 1)]))
    return record(
        draw(st.sampled_from(PODS)),
        modules,
        ready=draw(st.sampled_from([True] * 7 + [False])),
        cordoned=draw(st.sampled_from([False] * 7 + [True])),
        terminating=draw(st.sampled_from([False] * 11 + [True])),
        gone=draw(st.sampled_from([False] * 11 + [True])),
        max_modules=draw(st.sampled_from([None, None, None, 0, 1, 2, 3])),
        capacity_problem=draw(st.sampled_from([""] * 9 + ["not a number"])),
        operation=operation(done[1], done[0]) if done else None,
    )


@st.composite
def plans(draw):
    name = draw(st.sampled_from(["cart", "cart", "menu"]))
    replicas = draw(st.sampled_from([ALL, ALL, 7, 5, 5, 4, 3, 2, 1, 0]))
    stable = draw(st.booleans())
    mode = draw(st.sampled_from(["roll"] * 6 + ["open", "abort", "remove"]))
    return plan(
        name,
        mode=mode,
        target=None if mode == "remove" else content(2, name),
        target_revisions=() if mode == "remove" else draw(st.sampled_from([(2,), (2, 3)])),
        stable=content(1, name) if stable else None,
        stable_revisions=(1,) if stable else (),
        replicas=replicas,
        updated=draw(st.sampled_from([ALL, ALL, 0, 1, 2, 4])),
        wanted=draw(st.sampled_from([replicas, replicas, replicas, ALL, 3])),
        max_unavailable=draw(st.sampled_from([None, 0, 1, 2, 3, 5, "50%", "100%"])),
        scheduling_policy=draw(st.sampled_from(["scatter", "stacking"])),
        upgrade_policy=draw(
            st.sampled_from(
                [
                    "uninstall_then_install",
                    "install_then_uninstall",
                    "scaleup_then_scaledown",
                    "scaleup_then_scaledown",
                ]
            )
        ),
        min_ready_s=draw(st.sampled_from([0, 0, 20])),
        retried_at=draw(st.sampled_from([None, None, NOW - timedelta(seconds=50), NOW])),
        evict=tuple(draw(st.sets(st.sampled_from(PODS), max_size=2))) if draw(st.booleans()) else (),
        evicted_at=NOW,
        failure_threshold=draw(st.sampled_from([0, 0, 1])),
        held=(held := draw(st.sampled_from([False, False, False, True]))),
        held_at=draw(st.sampled_from([None, 1, 3])) if held else None,
        complete=draw(st.sampled_from([False, False, True])),
    )


pools = st.lists(records(), min_size=1, max_size=12)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), plans()),
        st.tuples(st.just("round"), st.sampled_from([0, 0, 6, 40])),
        st.tuples(st.just("start"), st.sampled_from(PODS)),
        st.tuples(st.just("move"), st.sampled_from(PODS)),
        st.tuples(st.just("end"), st.sampled_from(PODS)),
        st.tuples(st.just("fail"), st.sampled_from(PODS)),
        st.tuples(st.sampled_from(["leave", "recreate"]), st.sampled_from(PODS)),
        st.tuples(st.just("record"), records()),
    ),
    min_size=1,
    max_size=30,
)

EXAMPLES = 1000 if os.environ.get("TRANCHE_STRESS") == "1" else 300
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


class World:
    """Both views, fed the same."""

    def __init__(self) -> None:
        self.view, self.naive = PoolView(), NaiveView()
        self.ledger = Ledger(namespace="shop", base="web", epoch="e", counter=1)
        self.position, self.revision, self.plan_revision = 0, 1, 0
        self.now = NOW
        self.rest: Rest | None = None
        self.last: Round | None = None
        self.rests = 0

    def put(self, found) -> None:
        self.position += 1
        for view in (self.view, self.naive):
            view.fold(found, self.position)

    def happen(self, what, value) -> None:
        match what:
            case "record":
                self.put(self._kept(value))
            case "plan":
                self.plan_revision += 1
                told = value.but(revision=self.plan_revision)
                self.view.fold_plan(told)
                self.naive.fold_plan(told)
            case "round":
                self.now += timedelta(seconds=value)
                self.round()
            case "start" if value in self.ledger.claims:
                found = self.naive.records[value]
                if not found.gone:
                    self.put(found.but(operation=operation(self.ledger.claims[value].token, "started")))
            case "move" if value in self.ledger.claims:
                self._move(value)
            case "end" if value in self.ledger.claims:
                self._end(value)
            case "leave" if value in self.ledger.claims:
                self.put(self.naive.records[value].but(operation=self._operation(value, "unchanged")))
            case "recreate" if value in self.ledger.claims:
                self.put(self.naive.records[value].but(uid=f"u{self.position}"))
            case "fail" if value in self.ledger.claims:
                self._fail(value)

    def _operation(self, pod, state):
        return operation(self.ledger.claims[pod].token, state)

    def _kept(self, found):
        """An observation never touches the operation."""
        known = self.naive.records.get(found.pod)
        return found.but(operation=known.operation) if known is not None else found

    def _move(self, pod) -> None:
        claim, found = self.ledger.claims[pod], self.naive.records[pod]
        if found.gone or not claim.revision:
            return
        moving = entry(claim.revision, "installing", since=NOW)
        begun = operation(claim.token, "started")
        self.put(found.but(operation=begun, modules={**found.modules, claim.module: moving}))

    def _end(self, pod) -> None:
        claim, found = self.ledger.claims[pod], self.naive.records[pod]
        modules = dict(found.modules)
        if claim.op == "remove":
            modules.pop(claim.module, None)
        elif claim.revision:
            was = modules.get(claim.module)
            same = claim.op == "observe" and was is not None and was.revision == claim.revision
            kept = was.since if was is not None and same and was.state == "available" else self.now
            modules[claim.module] = entry(claim.revision, since=kept)
        self.put(found.but(operation=operation(claim.token), modules=modules, observed_at=self.now))

    def _fail(self, pod) -> None:
        claim, found = self.ledger.claims[pod], self.naive.records[pod]
        reason = "UninstallFailed" if claim.op == "remove" else "InstallFailed"
        tried = entry(claim.revision, "failed", since=self.now, tries=1, passing=True, reason=reason)
        modules = {**found.modules, claim.module: tried}
        self.put(found.but(operation=operation(claim.token, "failed"), modules=modules))

    def round(self) -> Round:
        before = rest(self.view, self.ledger, self.revision, True)
        mine = play(self.view, self.ledger, self.revision, self.now, caught_up=True)
        theirs = play(self.naive, self.ledger, self.revision, self.now, caught_up=True)
        assert mine == theirs
        self.judge(mine)
        self._judge_rest(before, mine)
        self.ledger = mine.ledger
        self.revision += mine.changed
        self.view.fold_claims(self.ledger.claims)
        self.naive.fold_claims(self.ledger.claims)
        for name in self.view.plans:
            answers = [
                progress(view, view.plans[name], self.ledger, self.revision, mine.blocked.get(name), self.now)
                for view in (self.view, self.naive)
            ]
            assert answers[0] == answers[1]
        return mine

    def _judge_rest(self, here: Rest | None, mine: Round) -> None:
        """A round that the keeper would have left out comes to what the last one came to."""
        if here is not None and here == self.rest:
            assert not mine.changed
            assert (mine.blocked, mine.next_at) == (self.last.blocked, None)
            self.rests += 1
        self.rest, self.last = (None if mine.changed else here), mine

    def judge(self, result: Round) -> None:
        """The laws, counted on the records alone."""
        before, after = self.ledger.claims, result.ledger.claims
        assert len(after) <= MAX_CLAIMS
        assert len({claim.token for claim in after.values()}) == len(after)
        assert all(claim.token > self.ledger.counter for claim in result.claims)
        look = NaiveView()
        look.records, look.plans, look.claims = self.naive.records, self.naive.plans, after
        for claim in result.claims:
            self._judge_claim(claim, before, look)
        for name, told in self.naive.plans.items():
            self._judge_deployment(told, [new for new in result.claims if new.deployment == name], look)

    def _judge_claim(self, claim, before, look) -> None:
        found = look.records[claim.pod]
        told = look.plans[claim.deployment]
        was = before.get(claim.pod)
        told_over = was is not None and was.token <= (found.operation or operation(0)).token
        assert was is None or was.uid != found.uid or told_over, "one claim per pod"
        assert found.ready
        assert not found.terminating
        assert not found.gone
        assert found.operation is None or found.operation.over
        if claim.op == "install" and claim.module not in found.modules:
            assert not found.cordoned
            assert not found.capacity_problem
            assert found.max_modules is None or modules_on(found, claim) <= found.max_modules
        if told.held:
            assert not claim.costs
            assert claim.op in ("install", "replace", "observe")
        was = found.modules.get(claim.module)
        if was is not None and was.serves and claim.op in ("replace", "remove") and not claim.beside:
            assert claim.costs
        if claim.revision:
            installed = {1: "1.0.0", 2: "2.0.0", 3: "3.0.0"}[claim.revision]
            assert not (claim.beside and was.version == installed and was.serving is None)

    def _judge_deployment(self, told, new, look) -> None:
        name = told.name
        costing = [claim for claim in new if claim.costs]
        if told.mode in ("roll", "abort") and costing:
            budget = budget_of(told, look.counted(name))
            assert look.total(name, "available") >= budget.wanted - budget.allowed
        if told.mode == "remove" and new:
            allowed = max(1, budget_of(told, look.counted(name)).allowed)
            assert sum(claim.deployment == name for claim in look.claims.values()) <= allowed
        raising = [
            claim
            for claim in new
            if claim.op != "remove"
            and claim.revision in told.target_revisions
            and not self._of_target(look.records[claim.pod], told)
        ]
        if raising and told.updated != ALL and not (told.held and told.stable is None):
            assert look.total(name, "tried") <= told.updated
        added = [
            claim
            for claim in new
            if claim.op == "install" and claim.module not in look.records[claim.pod].modules
        ]
        if added:
            pairs = max(1, budget_of(told, look.counted(name)).allowed) if surging(told) else 0
            assert look.total(name, "perhaps") <= look.goal(name) + pairs
            assert not {claim.pod for claim in added} & set(look._evicted(name))

    def _of_target(self, found, told) -> bool:
        there = found.modules.get(told.module)
        return there is not None and there.revision in told.target_revisions


@MANY
@given(pools, plans(), happenings)
def test_indexes_agree_with_scanning_and_laws_hold(pool, told, happened) -> None:
    world = World()
    for found in pool:
        world.happen("record", found)
    world.happen("plan", told)
    world.round()
    for what, value in happened:
        world.happen(what, value)
        if what != "record":
            world.round()


@MANY
@given(st.lists(records(), max_size=12), st.lists(plans(), min_size=1, max_size=3), st.randoms())
def test_same_inputs_same_pods_whatever_their_order(found, told, chance) -> None:
    found = list({one.pod: one for one in found}.values())
    told = list({one.name: one for one in told}.values())
    ledger = Ledger(namespace="shop", base="web", epoch="e", counter=9)
    choices = []
    for _ in range(2):
        view = PoolView()
        for one in found:
            view.fold(one, 1)
        for one in told:
            view.fold_plan(one)
        choices.append(choose(view, ledger, NOW))
        assert not view.claims, "the view is left as it was"
        chance.shuffle(found)
        chance.shuffle(told)
    assert choices[0] == choices[1]


@MANY
@given(st.lists(records(), min_size=3, max_size=12), plans())
def test_choosing_again_with_the_claims_taken_chooses_nothing(found, told) -> None:
    world = World()
    for one in found:
        world.happen("record", one)
    world.happen("plan", told)
    world.round()
    assert world.round().claims == ()
