"""Persons, robots, the command line and a planner that is away at times: who opens a batch by ``spec.pause``."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import booleans, sampled_from

from tests.unit.object_desk import Mirror, Rollout, Server
from tranche_planner.core.objects.pausing import Wait, remembered

PERSONS = sampled_from(["kubectl-patch", "kubectl-edit"])
LOOKS = sampled_from([True, True, False])
"""Whether the planner is there to see what was done."""


class Persons(RuleBasedStateMachine):
    """Each ``false`` of a person opens exactly one batch, the one that waited; no robot ever opens one."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        # Robots that say false were there before anything waited.
        self.server.kubectl_apply(False)
        self.server.apply("argocd", False)
        self.mirror = Mirror(self.server, Rollout())
        self.mirror.run()
        self.asked: list[Wait] = []

    @property
    def rollout(self) -> Rollout:
        return self.mirror.rollout

    @precondition(lambda self: self.rollout.wait is None)
    @rule(looks=LOOKS)
    def a_batch_is_verified(self, looks: bool) -> None:
        self.rollout.verify()
        self.look(looks)

    @rule()
    def the_planner_looks(self) -> None:
        self.look()

    @rule(who=PERSONS, looks=LOOKS)
    def a_person_says_false(self, who: str, looks: bool) -> None:
        wait, memory = self.rollout.wait, remembered(self.server.memory)
        ends_a_pause = memory.stopped and self.rollout.paused
        if self.server.value is True and wait is not None and memory.about(wait) and not ends_a_pause:
            self.asked.append(wait)
        self.server.update(who, False)
        self.look(looks)

    @rule(who=PERSONS, looks=LOOKS)
    def a_person_says_true(self, who: str, looks: bool) -> None:
        if self.server.value is not True and self.rollout.wait in self.asked:
            self.asked.remove(self.rollout.wait)  # taken back before anybody saw it
        self.server.update(who, True)
        self.look(looks)

    @rule(looks=LOOKS)
    def a_robot_heals_client_side(self, looks: bool) -> None:
        self.server.kubectl_apply(False)
        self.look(looks)

    @rule(looks=LOOKS)
    def a_robot_heals_server_side(self, looks: bool) -> None:
        self.server.apply("argocd", False)
        self.look(looks)

    @precondition(lambda self: self.rollout.wait is not None)
    @rule(looks=LOOKS, anew=booleans())
    def the_wait_ends_in_another_way(self, looks: bool, anew: bool) -> None:
        self.rollout.wait = None
        self.rollout.batch = 0 if anew else self.rollout.batch
        self.look(looks)

    @rule(looks=LOOKS)
    def somebody_resumes_on_the_command_line(self, looks: bool) -> None:
        self.rollout.paused = False
        self.look(looks)

    def look(self, looks: bool = True) -> None:
        """The planner decides until there is nothing more to do."""
        if not looks:
            return
        self.mirror.run()
        wait = self.rollout.wait
        assert wait not in self.asked, "a person's false was not heard"
        assert wait is None or self.server.value is True

    @invariant()
    def nobody_else_opened_a_batch(self) -> None:
        confirmed = self.rollout.confirmed
        assert len(set(confirmed)) == len(confirmed)
        assert set(confirmed) <= set(self.asked)


def test_persons_open_batches_and_robots_do_not() -> None:
    run_state_machine_as_test(
        Persons, settings=settings(max_examples=150, stateful_step_count=25, deadline=None)
    )
