"""The judge of the campaign sees each promise broken, and nothing where none is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.kills import verdict
from tests.kills.recovery import recovery
from tests.kills.rollout import Story
from tests.kills.wishes import PAIRS, Wish
from tranche_fleet.timeline import Command, Timeline

OLD = Wish("cart", "1.0.0", replicas=4, max_down=1)
NEW = Wish("cart", "2.0.0", replicas=4, max_down=1, batches=2, confirm=True)
ASKED, CONFIRMED, ENDED = 10.0, 20.0, 30.0


@dataclass
class World:
    """Four bases on which a rollout of two batches went as it must; a test then spoils one thing."""

    story: Story = field(
        default_factory=lambda: Story(
            *(NEW, OLD, ASKED, 2, ASKED + 0.1, {1: CONFIRMED}), ended_at=ENDED, outcome="Healthy"
        )
    )
    lines: dict[str, Timeline] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, at in enumerate((11.0, 13.0, 21.0, 23.0), start=1):
            self.line(f"pod-{number}").change(1.0, "cart", "1.0.0", "activated")
            self.replace(f"pod-{number}", at)

    def line(self, pod: str) -> Timeline:
        return self.lines.setdefault(pod, Timeline())

    def run(self, pod: str, command: str, version: str, at: float, took_s: float = 0.5) -> None:
        """A command that changes something, and what it changes."""
        line, end = self.line(pod), at + took_s
        line.commands.append(Command(at, command, "cart", version, f"{pod}-{at}", at, end, "SUCCESS"))
        if command == "uninstallBiz":
            line.change(at, "cart", version, "deactivated")
            line.change(end, "cart", version, "gone")
        else:
            line.change(end, "cart", version, "activated")
        line.changes.sort(key=lambda change: change.at)

    def replace(self, pod: str, at: float) -> None:
        self.run(pod, "uninstallBiz", "1.0.0", at)
        self.run(pod, "installBiz", "2.0.0", at + 0.6)

    def forget(self, pod: str) -> None:
        """Only the old version was ever there."""
        self.lines[pod] = Timeline()
        self.lines[pod].change(1.0, "cart", "1.0.0", "activated")

    def broken(self) -> set[str]:
        """The rules that were broken."""
        span = verdict.Span(5.0, ENDED + 1, [self.story], {"cart": NEW})
        return {one.partition(":")[0] for one in verdict.violations(self.lines, span)}


def test_nothing_is_broken_where_all_went_as_it_must() -> None:
    assert World().broken() == set()


def _two_at_once(world: World) -> None:
    world.run("pod-1", "installBiz", "2.0.0", 12.0)


def _two_down(world: World) -> None:
    world.forget("pod-4")
    world.replace("pod-4", 21.3)


def _next_batch_early(world: World) -> None:
    world.forget("pod-3")
    world.replace("pod-3", 13.7)
    world.story.confirms[1] = 13.0
    world.story.wish = replace(NEW, max_down=2)


def _unconfirmed(world: World) -> None:
    world.story.confirms.clear()


def _confirmed_after_it_began(world: World) -> None:
    world.story.confirms[1] = 21.5


def _gray_time_cut_short(world: World) -> None:
    world.story.wish = replace(NEW, gray_s=8)


def _begun_after_the_abort_was_told(world: World) -> None:
    world.story.wish = replace(NEW, turn="pause")
    world.story.turned_at, world.story.echoed_at, world.story.resumed_at = 12.0, 12.5, ENDED


def _again(world: World) -> None:
    world.run("pod-1", "uninstallBiz", "2.0.0", 25.0)
    world.run("pod-1", "installBiz", "2.0.0", 26.0)


def _unasked(world: World) -> None:
    world.run("pod-1", "uninstallBiz", "2.0.0", 30.2, 0.1)


def _before_it_was_asked(world: World) -> None:
    world.run("pod-1", "switchBiz", "1.0.0", 9.0)


def _one_left_out(world: World) -> None:
    world.forget("pod-4")


def _two_versions_kept(world: World) -> None:
    world.line("pod-1").change(29.0, "cart", "1.0.0", "deactivated")


def _over_too_early(world: World) -> None:
    world.run("pod-2", "installBiz", "3.0.0", 29.9)


def _one_pod_too_many(world: World) -> None:
    world.run("pod-5", "installBiz", "2.0.0", 25.0)
    world.run("pod-5", "uninstallBiz", "2.0.0", 27.0)


def _moved(world: World) -> None:
    world.forget("pod-4")
    world.run("pod-4", "uninstallBiz", "1.0.0", 23.0)
    world.run("pod-5", "installBiz", "2.0.0", 23.0)


@pytest.mark.parametrize(
    ("spoil", "rules"),
    [
        (_two_at_once, {"S7", "twice"}),
        (_two_down, {"S1"}),
        (_next_batch_early, {"S5"}),
        (_unconfirmed, {"S6"}),
        (_confirmed_after_it_began, {"S6"}),
        (_gray_time_cut_short, {"S6"}),
        (_begun_after_the_abort_was_told, {"echo"}),
        (_again, {"twice", "S5"}),
        (_unasked, {"disturbed without cause"}),
        (_before_it_was_asked, {"disturbed without cause"}),
        (_one_left_out, {"end", "cause"}),
        (_two_versions_kept, {"end"}),
        (_over_too_early, {"end"}),
        (_one_pod_too_many, {"cause", "S6"}),
        (_moved, {"cause", "S5"}),
    ],
)
def test_each_broken_promise_is_seen(spoil: Callable[[World], None], rules: set[str]) -> None:
    world = World()
    spoil(world)
    assert world.broken() == rules


def _pairs(second_at: float) -> World:
    """Two pairs, one in each batch; the second begins at that time."""
    world = World()
    world.lines.clear()
    for pod in ("pod-1", "pod-2"):
        world.line(pod).change(1.0, "cart", "1.0.0", "activated")
    wish = Wish("cart", "2.0.0", replicas=2, max_down=0, policy=PAIRS, batches=2)
    world.story.wish, world.story.before = wish, replace(OLD, replicas=2, max_down=0)
    world.run("pod-3", "installBiz", "2.0.0", 11.0)
    world.run("pod-1", "uninstallBiz", "1.0.0", 12.0)
    # The pod that the first pair left is where the second one goes.
    world.run("pod-1", "installBiz", "2.0.0", second_at)
    world.run("pod-2", "uninstallBiz", "1.0.0", 15.0)
    return world


def test_of_a_pair_both_pods_belong_to_one_change() -> None:
    world = _pairs(13.0)
    assert world.broken() == set()
    early = _pairs(12.6)
    early.lines["pod-1"].commands[0].ended_at = 12.8
    assert "S5" in early.broken()


def test_the_way_back_of_an_abort_is_no_change_of_the_wish() -> None:
    world = World()
    for pod in ("pod-3", "pod-4"):
        world.forget(pod)
    world.story.wish = replace(NEW, turn="abort")
    world.story.turned_at, world.story.echoed_at, world.story.outcome = 15.0, 15.1, "Aborted"
    for pod, at in (("pod-1", 24.0), ("pod-2", 26.0)):
        world.run(pod, "uninstallBiz", "2.0.0", at)
        world.run(pod, "installBiz", "1.0.0", at + 0.6)
    assert world.broken() == set()


def test_while_a_new_promise_is_on_its_way_the_lower_one_holds() -> None:
    world = World()
    world.story.wish = replace(NEW, max_down=0, confirm=False)
    world.story.observed_at = 22.0
    found = verdict.violations(world.lines, verdict.Span(5.0, ENDED + 1, [world.story], {"cart": NEW}))
    assert [one.partition(" went")[0] for one in found] == ["S1: cart on pod-4"]


def test_recovery_leaves_out_what_nobody_could_have_worked_in() -> None:
    world = World()
    found = recovery(world.lines, [world.story], back_at=14.0, until=ENDED)
    assert found.goes_on_s == pytest.approx(7.0), "from 14 to the next change at 21"
    world.story.idle.append((14.5, 20.5))
    found = recovery(world.lines, [world.story], back_at=14.0, until=ENDED)
    assert found.goes_on_s == pytest.approx(1.0)
    assert found.standstill_s == pytest.approx(ENDED - 24.1), "nothing happened before it was said to be over"


def test_recovery_says_why_it_could_not_be_measured() -> None:
    world = World()
    assert recovery(world.lines, [world.story], ENDED, ENDED + 1).unmeasured == "nothing was left to do"
    assert recovery(world.lines, [world.story], 14.2, 15.0).unmeasured == "struck again before it went on"
