"""``spec.pause``: whose ``false`` confirms a batch, whose ``true`` is a pause, and what is no change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.object_desk import CLIENT_SIDE, Mirror, Rollout, Server
from tranche_planner.core.objects.pausing import Confirm, GoOn, Said, Stop, Write, pausing, remembered
from tranche_planner.core.objects.seen import OURS, Owner, PauseField

PERSON = "kubectl-patch"


@pytest.fixture
def mirror() -> Mirror:
    return Mirror(Server(), Rollout())


def confirms(steps: list[Any]) -> list[int]:
    return [step.batch for step in steps if isinstance(step, Confirm)]


def test_a_batch_that_waits_holds_the_field(mirror: Mirror) -> None:
    assert mirror.run() == []
    mirror.rollout.verify()
    (step,) = mirror.run()
    assert isinstance(step, Write)
    assert (mirror.server.value, mirror.server.owners) == (True, {Owner(OURS, declares=True)})
    assert remembered(mirror.server.memory).batch == 1


@pytest.mark.parametrize("manager", [PERSON, "kubectl-edit", "k9s", CLIENT_SIDE])
def test_each_false_of_a_person_opens_one_batch(mirror: Mirror, manager: str) -> None:
    for batch in (1, 2, 3):
        mirror.rollout.verify()
        mirror.run()
        mirror.server.update(manager, False)
        steps = mirror.run()
        assert confirms(steps) == [batch]
        assert [step.by for step in steps if isinstance(step, Confirm)] == [manager]
        assert mirror.server.value is False, "what a person wrote is left as it is"


def test_a_person_who_said_false_too_early_may_say_it_again(mirror: Mirror) -> None:
    mirror.server.update(PERSON, False)
    mirror.rollout.verify()
    assert confirms(mirror.run()) == []
    mirror.server.update(PERSON, False)
    assert confirms(mirror.run()) == [1]


def test_a_false_that_stood_before_and_comes_again_is_a_robot(mirror: Mirror) -> None:
    mirror.server.update("terraform", False)
    mirror.rollout.verify()
    mirror.run()
    for _ in range(3):
        mirror.server.update("terraform", False)
        (step,) = mirror.run()
        assert isinstance(step, Write)
        assert step.unheard == ("terraform",)
    mirror.server.update(PERSON, False)
    assert confirms(mirror.run()) == [1]


@pytest.mark.parametrize("server_side", [True, False])
def test_a_file_applied_again_and_again_confirms_nothing(mirror: Mirror, server_side: bool) -> None:
    def robot() -> None:
        if server_side:
            mirror.server.apply("argocd", False)
        else:
            mirror.server.kubectl_apply(False)

    robot()
    for batch in (1, 2, 3):
        mirror.rollout.verify()
        for _ in range(3):
            mirror.run()
            robot()
        assert confirms(mirror.did) == [*range(1, batch)]
        mirror.run()
        mirror.server.update(PERSON, False)
        if batch == 2:
            robot()  # whose false is then there as well, and changes nothing of the person's
        mirror.run()
        assert confirms(mirror.did) == [*range(1, batch + 1)]


def test_a_robot_that_a_person_was_faster_than_stays_a_robot(mirror: Mirror) -> None:
    mirror.server.kubectl_apply(False)
    for batch in (1, 2):
        mirror.rollout.verify()
        mirror.run()
        mirror.server.update(PERSON, False)
        assert confirms(mirror.run()) == [batch]
    mirror.rollout.verify()
    mirror.run()
    mirror.server.kubectl_apply(False)
    assert confirms(mirror.run()) == []


def test_a_file_changed_to_false_confirms_and_the_same_file_again_does_not(mirror: Mirror) -> None:
    mirror.server.kubectl_apply(None)
    mirror.rollout.verify()
    mirror.run()
    mirror.server.kubectl_apply(False)
    assert confirms(mirror.run()) == [1]
    mirror.rollout.verify()
    mirror.run()
    mirror.server.kubectl_apply(False)
    assert confirms(mirror.run()) == []
    mirror.server.kubectl_apply(True)
    mirror.run()
    mirror.server.kubectl_apply(False)
    assert confirms(mirror.run()) == [2], "true, then false, is a change"


def test_a_declared_false_is_heard_again_once_its_manager_said_true(mirror: Mirror) -> None:
    mirror.server.apply("argocd", False)
    mirror.rollout.verify()
    mirror.run()
    mirror.server.apply("argocd", True)
    mirror.run()
    mirror.server.apply("argocd", False)
    assert confirms(mirror.run()) == [1]


def test_a_field_that_is_taken_away_is_put_back(mirror: Mirror) -> None:
    mirror.rollout.verify()
    mirror.run()
    mirror.server.update("kubectl-replace", None)
    assert confirms(mirror.run()) == []
    assert mirror.server.value is True


def test_when_the_wait_ends_in_another_way_our_true_is_taken_back(mirror: Mirror) -> None:
    mirror.rollout.verify()
    mirror.run()
    mirror.rollout.wait = None
    mirror.run()
    assert (mirror.server.value, mirror.server.owners) == (None, set())
    assert remembered(mirror.server.memory).batch == 0


def test_a_true_is_a_pause_and_the_next_false_ends_it(mirror: Mirror) -> None:
    mirror.server.update(PERSON, True)
    (stop,) = mirror.run()
    assert isinstance(stop, Stop)
    assert (stop.by, mirror.rollout.paused, mirror.run()) == (PERSON, True, [])
    mirror.server.update(PERSON, False)
    (on,) = mirror.run()
    assert isinstance(on, GoOn)
    assert (on.by, mirror.rollout.paused, mirror.run()) == (PERSON, False, [])


def test_a_pause_that_is_taken_out_of_the_object_ends(mirror: Mirror) -> None:
    mirror.server.apply("argocd", True)
    mirror.run()
    mirror.server.apply("argocd", None)
    mirror.run()
    assert not mirror.rollout.paused


def test_the_false_that_ends_a_pause_confirms_nothing_and_the_next_one_does(mirror: Mirror) -> None:
    mirror.server.update(PERSON, True)
    mirror.run()
    mirror.rollout.verify()
    mirror.run()
    mirror.server.update(PERSON, False)
    assert confirms(mirror.run()) == []
    assert (mirror.rollout.paused, mirror.server.value) == (False, True)
    mirror.server.update(PERSON, False)
    assert confirms(mirror.run()) == [1]


def test_a_false_behind_a_resume_from_elsewhere_is_about_the_batch(mirror: Mirror) -> None:
    mirror.server.update(PERSON, True)
    mirror.run()
    mirror.rollout.verify()
    mirror.run()
    mirror.rollout.paused = False  # by tranche resume
    mirror.server.update(PERSON, False)
    assert confirms(mirror.run()) == [1]


def test_a_true_while_a_batch_waits_is_no_change(mirror: Mirror) -> None:
    mirror.rollout.verify()
    mirror.run()
    mirror.server.update(PERSON, True)
    assert mirror.run() == []
    mirror.server.update(PERSON, False)
    assert confirms(mirror.run()) == [1]


def test_the_same_batch_of_a_later_rollout_waits_anew(mirror: Mirror) -> None:
    mirror.rollout.verify()
    mirror.run()
    mirror.server.update(PERSON, False)
    mirror.rollout.batch = 0
    mirror.rollout.verify()
    assert confirms(mirror.run()) == [], "it was said of the batch before"
    assert mirror.server.value is True


def test_a_generation_that_keeps_the_wait_keeps_the_answer(mirror: Mirror) -> None:
    wait = mirror.rollout.verify()
    mirror.run()
    mirror.rollout.wait = type(wait)(wait.generation + 1, wait.batch, wait.since)
    mirror.server.update(PERSON, False)
    (step,) = mirror.run()
    assert step == Confirm(wait.generation, 1, PERSON)


def test_without_a_deployment_nothing_is_held() -> None:
    held = PauseField(True, frozenset({Owner(OURS, declares=True)}), memory='{"batch": 1}')
    assert isinstance(step := pausing(held, Said()), Write)
    assert not step.held
    assert pausing(PauseField(True, frozenset({Owner(PERSON)})), Said()) is None


def test_a_memory_that_cannot_be_read_says_nothing() -> None:
    assert remembered("nonsense") == remembered("") == remembered('{"batch": "x"}')
