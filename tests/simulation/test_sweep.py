"""Crashes at all I/O points of the smallest golden rollout, at some of the others, and a sweep that sees faults."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.simulation.golden import GOLDENS
from tests.simulation.logs import silence
from tests.simulation.outcome import differences
from tests.simulation.points import GIVEN_UP
from tests.simulation.rerun import play
from tests.simulation.sweep import Sweep, Tally
from tranche.contract.answer import RefusedAnswer
from tranche_planner import desk
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.verbs import reject

ROOT = Path(__file__).parents[2]
SAMPLE = 20


@pytest.fixture(autouse=True)
def quiet() -> None:
    silence()


def sweep(*arguments: str) -> str:
    """In a process of its own: pytest's has threads, and what has threads is not forked."""
    command = (sys.executable, "-m", "tests.simulation.sweep", *arguments)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def row(told: str, name: str) -> tuple[int, int, int, int]:
    """Points, crashes, kinds of points at which somebody died, kinds there are."""
    found = re.search(rf"^{name} +(\d+) +(\d+) +0 +(\d+) of (\d+) ", told, re.MULTILINE)
    assert found, told
    points, crashes, tried, kinds = map(int, found.groups())
    return points, crashes, tried, kinds


def test_the_smallest_rollout_survives_a_crash_at_every_point() -> None:
    points, crashes, tried, kinds = row(sweep("--golden", "smallest"), "smallest")
    assert crashes >= points > 300
    assert tried == kinds > 50


@pytest.mark.parametrize("name", [name for name in GOLDENS if name != "smallest"])
def test_the_others_survive_crashes_at_points_of_many_kinds(name: str) -> None:
    points, crashes, tried, kinds = row(sweep("--golden", name, "--sample", str(SAMPLE), "--seed", "1"), name)
    assert points > 400
    assert crashes == tried == SAMPLE < kinds


@pytest.mark.parametrize("name", GOLDENS)
def test_every_word_of_an_undisturbed_rollout_is_known(name: str) -> None:
    calm = play(GOLDENS[name])
    assert not calm.faults
    assert not [kind for kind in calm.kinds if GIVEN_UP in kind]
    assert calm.end["claims"] == []
    assert len(calm.end["confirmed"]) == len([kind for kind in calm.kinds if "confirm acked after" in kind])


def test_a_rollout_is_always_the_same() -> None:
    first, second = (play(GOLDENS["smallest"], (150,)) for _ in range(2))
    assert (first.digest, first.kinds, first.end) == (second.digest, second.kinds, second.end)
    assert first.digest != play(GOLDENS["smallest"]).digest


FORKED = """
import json
from tests.simulation.golden import GOLDENS
from tests.simulation.logs import silence
from tests.simulation.sweep import Sweep
silence()
sweep = Sweep.of(GOLDENS["smallest"])
tally = sweep.explore(lambda number, _: number == 150, lambda number, _: number == 190)
print(json.dumps([tally.runs, tally.seen]))
"""


def test_a_run_that_left_another_goes_on_as_if_it_had_been_played_alone() -> None:
    done = subprocess.run(
        (sys.executable, "-c", FORKED), cwd=ROOT, capture_output=True, text=True, check=True
    )
    alone = Sweep.of(GOLDENS["smallest"])
    whole = alone.judge(play(alone.golden))
    for crashes in ((150,), (150, 190)):
        whole.add(alone.judge(play(alone.golden, crashes)))
    assert json.loads(done.stdout) == [3, {kind: list(crashes) for kind, crashes in whole.seen.items()}]


def test_an_end_that_differs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Sweep.of(GOLDENS["smallest"])
    crash = alone.calm.kinds.index("planner tranche.deployments apply acked before") + 1
    assert not alone.judge(play(alone.golden, (crash,))).failures

    def wrong(document: Document, verb: str, answer: RefusedAnswer, mark: Mark, now: datetime) -> Document:
        return reject(document, verb, answer, mark.but(sequence=1 << 40), now)

    # As it once was: an event that came again after a newer one was shown as a refused change.
    monkeypatch.setattr(desk, "reject", wrong)
    (failure,) = alone.judge(play(alone.golden, (crash,))).failures
    assert failure.command == f"make sweep GOLDEN=smallest AT={crash}"
    assert any(line.startswith("document.rejected") for line in failure.words)
    assert "died at planner tranche.deployments apply acked before\n" in str(
        failure.died_at(0, alone.calm.kinds[crash - 1])
    )


def test_an_operation_that_began_before_an_abort_is_finished_beside_it() -> None:
    alone = Sweep.of(GOLDENS["abort"])
    aborted = alone.calm.asked[-2]
    last = [n for n in range(aborted - 20, aborted + 1) if alone.calm.kinds[n - 1].startswith("executor")]
    assert last
    tally = Tally()
    for number in last:
        tally.add(alone.judge(play(alone.golden, (number,))))
    assert not tally.failures, "\n".join(map(str, tally.failures))


@pytest.mark.parametrize(
    ("calm", "found", "lines"),
    [
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}, []),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a.b.1: 3, undisturbed 2"]),
        ({"a": [1]}, {"a": []}, ["a: [], undisturbed [1]"]),
        ({"a": 1}, {}, ["a: None, undisturbed 1"]),
        ({"a": {}}, {"a": None}, ["a: None, undisturbed {}"]),
    ],
)
def test_differences(calm: object, found: object, lines: list[str]) -> None:
    assert differences(calm, found) == lines
