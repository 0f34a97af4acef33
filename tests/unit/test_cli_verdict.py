"""The demo's verdict: judged by what bases noted, and able to say no."""

from __future__ import annotations

from tranche_cli.exits import Exit, worst
from tranche_cli.run.verdict import Promise, failed_first, most_down, verdict
from tranche_fleet.timeline import ACTIVATED, Command, Timeline

PROMISE = Promise("web-base", "cart", "2.0.0", replicas=3, allowed=1, since=10.0)


def upgraded(at: float, *, down_s: float = 1.0, version: str = "2.0.0") -> Timeline:
    """A base that served 1.0.0 from the start, and another version from ``at`` on after ``down_s`` seconds."""
    timeline = Timeline()
    timeline.change(1.0, "cart", "1.0.0", ACTIVATED)
    timeline.change(at, "cart", "1.0.0", "gone")
    timeline.change(at + down_s, "cart", version, ACTIVATED)
    return timeline


def found(*timelines: Timeline) -> list[bool]:
    named = {f"shop/web-base/web-base-{number}": one for number, one in enumerate(timelines)}
    return [finding.kept for finding in verdict(named, [PROMISE], 50.0)]


def test_one_after_another_is_as_promised() -> None:
    assert found(upgraded(11), upgraded(13), upgraded(15)) == [True, True, True]


def test_two_down_at_once_are_one_too_many() -> None:
    assert found(upgraded(11), upgraded(11.5), upgraded(15)) == [True, False, True]


def test_a_base_at_another_version_is_found() -> None:
    assert found(upgraded(11), upgraded(13), upgraded(15, version="3.0.0")) == [False, True, True]


def test_two_commands_at_once_on_a_base_are_found() -> None:
    busy = upgraded(15)
    for start in (15.0, 15.5):
        busy.commands.append(Command(start, "installBiz", "cart", "2.0.0", "id", start, start + 1, "SUCCESS"))

    assert found(upgraded(11), upgraded(13), busy) == [True, True, False]


def test_what_was_down_before_does_not_count() -> None:
    assert most_down([upgraded(5), upgraded(6)], "cart", 2, since=10.0, until=50.0) == 0


def test_a_refusal_then_a_success_is_a_retry() -> None:
    timeline = Timeline()
    for at, outcome in ((1.0, "FAILED"), (6.0, "SUCCESS")):
        timeline.commands.append(Command(at, "installBiz", "cart", "2.0.0", None, at, at, outcome))
    named = {"shop/web-base/web-base-5": timeline}

    assert failed_first(named, "web-base-5", "cart", "2.0.0")
    assert not failed_first(named, "web-base-5", "cart", "1.0.0")


def test_the_worst_of_several_outcomes_is_the_exit_code() -> None:
    assert worst([]) == Exit.DONE
    assert worst([Exit.TIMEOUT, Exit.REFUSED]) == Exit.REFUSED
