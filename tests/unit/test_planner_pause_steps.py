"""``spec.pause``, step by step: the exact write, verb and memory for each state of the field."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.unit.object_desk import BEGAN
from tests.unit.planner_desk import Case
from tranche.contract.status import GateStatus, Status
from tranche_planner.core.objects.pausing import (
    MOST_DEAF,
    Confirm,
    GoOn,
    Memory,
    Said,
    Step,
    Stop,
    Wait,
    Write,
    pausing,
    said,
)
from tranche_planner.core.objects.seen import OURS, Owner, PauseField

US = Owner(OURS, declares=True)
PERSON, EDITOR = Owner("kubectl-patch"), Owner("kubectl-edit")
ROBOT, OTHER = Owner("argocd", declares=True), Owner("terraform")
WAIT = Wait(2, 1, BEGAN)
HELD = Memory(generation=2, batch=1, since=BEGAN)
IDLE, WAITS = Said(alive=True), Said(alive=True, wait=WAIT)
BOTH = Said(alive=True, wait=WAIT, paused=True)
STOPPED = Memory(stopped=True)


def field(value: bool | None, *owners: Owner, memory: Memory | None = None) -> PauseField:
    return PauseField(value, frozenset(owners), memory=(memory or Memory()).text)


@pytest.mark.parametrize(
    ("stands", "now", "step"),
    [
        # nothing waits
        (field(None), IDLE, None),
        (field(False, PERSON), IDLE, None),
        (field(True, PERSON), IDLE, Stop("kubectl-patch", Write(False, STOPPED))),
        (field(True, US, PERSON), IDLE, Stop("kubectl-patch", Write(False, STOPPED))),
        (field(True, EDITOR, PERSON), IDLE, Stop("kubectl-edit", Write(False, STOPPED))),
        (field(True), IDLE, Stop("", Write(False, STOPPED))),
        (field(True, PERSON, memory=STOPPED), IDLE, None),
        (field(True, US), IDLE, Write(False, Memory())),
        (field(True, US, PERSON, memory=STOPPED), IDLE, Write(False, STOPPED)),
        (field(None, memory=HELD), IDLE, Write(False, Memory())),
        (field(False, PERSON, memory=HELD), IDLE, None),
        (field(False, ROBOT), IDLE, Write(False, Memory(deaf=("argocd",)))),
        (field(False, ROBOT, memory=Memory(deaf=("argocd",))), IDLE, None),
        (field(False, OTHER), IDLE, None),
        # somebody's pause ends
        (field(False, PERSON, memory=STOPPED), IDLE, GoOn("kubectl-patch", Write(False, Memory()))),
        (field(None, memory=STOPPED), IDLE, GoOn("", Write(False, Memory()))),
        (field(False, PERSON, memory=STOPPED), BOTH, GoOn("kubectl-patch", Write(True, HELD))),
        (field(False, OTHER, memory=STOPPED), BOTH, GoOn("terraform", Write(True, HELD))),
        (
            field(False, ROBOT, memory=STOPPED),
            BOTH,
            GoOn("argocd", Write(True, HELD.but(deaf=("argocd",)))),
        ),
        # it was resumed in another way, and a batch waits
        (field(False, PERSON, memory=HELD.but(stopped=True)), WAITS, Confirm(2, 1, "kubectl-patch")),
        (field(False, PERSON, memory=STOPPED), WAITS, Write(True, HELD)),
        # a batch waits that is not held yet
        (field(None), WAITS, Write(True, HELD)),
        (field(True, PERSON, memory=STOPPED), BOTH, Write(True, HELD.but(stopped=True))),
        (field(False, PERSON), WAITS, Write(True, HELD)),
        (field(False, EDITOR), WAITS, Write(True, HELD)),
        (field(False, OTHER, ROBOT), WAITS, Write(True, HELD.but(deaf=("argocd", "terraform")))),
        (field(False, OTHER, memory=HELD.but(batch=3)), WAITS, Write(True, HELD)),
        # it is held
        (field(True, US, memory=HELD), WAITS, None),
        (field(True, US, PERSON, memory=HELD), WAITS, None),
        (
            field(True, US, ROBOT, memory=HELD.but(deaf=("argocd", "flux"))),
            WAITS,
            Write(True, HELD.but(deaf=("flux",))),
        ),
        (field(None, memory=HELD), WAITS, Write(True, HELD)),
        (field(None, PERSON, memory=HELD), WAITS, Write(True, HELD)),
        (field(False, PERSON, memory=HELD), WAITS, Confirm(2, 1, "kubectl-patch")),
        (field(False, PERSON, memory=HELD.but(generation=0)), WAITS, Confirm(2, 1, "kubectl-patch")),
        (field(False, OTHER, EDITOR, memory=HELD), WAITS, Confirm(2, 1, "kubectl-edit")),
        (
            field(False, PERSON, ROBOT, memory=HELD.but(deaf=("argocd",))),
            WAITS,
            Confirm(2, 1, "kubectl-patch"),
        ),
        (
            field(False, OTHER, ROBOT, memory=HELD.but(deaf=("terraform", "argocd"))),
            WAITS,
            Write(True, HELD.but(deaf=("terraform", "argocd")), unheard=("argocd", "terraform")),
        ),
        # there is nothing to hold
        (field(True, US, memory=HELD), Said(), Write(False, Memory())),
        (field(False, US), Said(), None),
        (field(True, PERSON), Said(), None),
        (field(True, PERSON), Said(alive=False, paused=True), None),
    ],
)
def test_one_step(stands: PauseField, now: Said, step: Step | None) -> None:
    assert pausing(stands, now) == step


def test_only_so_many_are_remembered_as_deaf() -> None:
    names = tuple(f"robot-{number:02}" for number in range(MOST_DEAF))
    step = pausing(field(False, ROBOT, OTHER, memory=Memory(deaf=names)), WAITS)
    assert isinstance(step, Write)
    assert step.memory.deaf == (*names[2:], "argocd", "terraform")


def test_the_annotation_says_only_what_there_is_to_remember() -> None:
    assert Memory().text == "{}"
    assert HELD.text == '{"generation":2,"batch":1,"since":"2026-01-31T09:00:00.000Z"}'
    assert Memory(deaf=("argocd",), stopped=True).text == '{"deaf":["argocd"],"stopped":true}'


def status(phase: str = "Progressing", *gates: str) -> Status:
    case = Case()
    case.apply("1.0.0", replicas=4)
    case.finish()
    shut = tuple(GateStatus(gate=gate, since=since(gate)) for gate in gates)
    return case.status.but(phase=phase, gates=shut)


def since(gate: str) -> datetime:
    return BEGAN if gate == "confirm" else BEGAN.replace(hour=1)


def test_what_a_status_says_of_waiting() -> None:
    now = status("Waiting", "grayTime", "confirm", "pause")
    wait = Wait(now.generation, now.batch.current, BEGAN)
    assert (wait.generation, wait.batch) == (1, 1)
    assert said(now) == Said(alive=True, wait=wait, paused=True)
    assert said(status("Waiting", "confirm")) == Said(alive=True, wait=wait, paused=False)
    assert said(status("Healthy", "grayTime")) == Said(alive=True)
    assert said(None) == Said(alive=False, wait=None, paused=False)


@pytest.mark.parametrize("phase", ["Deleting", "Deleted", "Invalid"])
def test_what_is_not_alive_neither_waits_nor_pauses(phase: str) -> None:
    assert said(status(phase, "confirm", "pause")) == Said()
