"""Pages of a preview: bounded by count and by bytes, and nothing is lost between them."""

from __future__ import annotations

import pytest

from tests.scheduler_oracle import content, entry, plan, record
from tests.unit.scheduler_desk import old, rehearsal, rehearse
from tranche.contract.plan import ALL
from tranche.contract.preview import MOST_STEPS, PAGE_BYTES
from tranche_scheduler.core.rehearsal import Rehearsal


def rehearsed(names: list[str]) -> Rehearsal:
    told = plan(replicas=len(names), max_unavailable="100%")
    return rehearsal(old(*names), told.but(mode="open"), told.but(updated=ALL))


def shown(answer) -> list[list[str]]:
    return [[step.pod for step in level.steps] for level in answer.levels]


@pytest.mark.parametrize(
    ("skip", "limit", "pods", "more"),
    [
        (0, 1, [["a"], []], True),
        (0, 2, [["a", "b"], []], True),
        (0, 4, [["a", "b"], ["c", "d"]], False),
        (1, 2, [["b"], ["c"]], True),
        (1, 3, [["b"], ["c", "d"]], False),
        (2, 2, [[], ["c", "d"]], False),
        (3, 9, [[], ["d"]], False),
        (4, 2, [[], []], False),
        (9, 2, [[], []], False),
        (0, 0, [[], []], True),
    ],
)
def test_a_part_of_the_steps(skip: int, limit: int, pods: list[list[str]], more: bool) -> None:
    levels = [plan(replicas=4, updated=2), plan(replicas=4, updated=ALL)]
    answer = rehearse(old("a", "b", "c", "d"), *levels, skip=skip, limit=limit)
    assert (shown(answer), answer.more) == (pods, more)
    assert [level.size for level in answer.levels] == [2, 2]


def test_pages_join_to_the_whole() -> None:
    asked = rehearsed([f"p{number}" for number in range(7)])
    pages = [asked.answer(skip, 3) for skip in (0, 3, 6)]
    assert [page.more for page in pages] == [True, True, False]
    pods = [step.pod for page in pages for level in page.levels for step in level.steps]
    assert pods == [step.pod for level in asked.answer(0, MOST_STEPS).levels for step in level.steps]
    assert len(set(pods)) == 7


def test_long_names_make_smaller_pages_below_what_a_message_holds() -> None:
    page = rehearsed([f"{number:04}-{'x' * 240}" for number in range(4000)]).answer(0, MOST_STEPS)
    assert 0 < sum(map(len, shown(page))) < 4000
    assert page.more
    assert 0.8 * PAGE_BYTES < len(page.encode()) < 1_000_000


def to_version(version: str, count: int, **facts):
    return plan(replicas=count, max_unavailable="100%", target=content(2).but(version=version), **facts)


def running(version: str, *pods: str):
    return [record(pod, {"cart": entry(3, version=version)}) for pod in pods]


@pytest.mark.parametrize(
    ("was", "to", "at_once"),
    [
        ("1" * 100_000, "2.0.0", 7),
        ("1.0.0", "2" * 100_000, 7),
        ("1" * 100_000, "2" * 100_000, 3),
        ("1.0.0", "2" * PAGE_BYTES, 1),
    ],
    ids=["the old one", "the new one", "both", "longer than a page: or nobody ever got on"],
)
def test_long_versions_make_smaller_pages(was: str, to: str, at_once: int) -> None:
    answer = rehearse(running(was, *"abcdefgh"), to_version(to, 8), limit=MOST_STEPS)
    assert (shown(answer), answer.more) == ([list("abcdefgh")[:at_once]], True)


def test_a_page_is_as_long_as_its_own_steps_allow() -> None:
    pool = [*running("1" * 100_000, *"abcdefghij"), *running("1.0.0", *"klmnop")]
    asked = rehearsal(pool, to_version("2.0.0", 16))
    first, second = asked.answer(0, MOST_STEPS), asked.answer(7, MOST_STEPS)
    assert (shown(first), first.more) == ([list("abcdefg")], True)
    assert (shown(second), second.more) == ([list("hijklmnop")], False)
