"""What people see: the screen at several widths, lines, tables."""

from __future__ import annotations

import io
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from tests.cli_samples import (
    NOW,
    ago,
    explanation,
    healthy,
    history,
    preview,
    preview_batch,
    record,
    rolling,
    status,
)
from tranche.contract.record import PodRecord
from tranche.contract.status import Phase, Status
from tranche_cli.app.listing import Pods
from tranche_cli.view.explanation import explanation as view_explanation
from tranche_cli.view.history import history as view_history
from tranche_cli.view.line import line, summary
from tranche_cli.view.names import folded
from tranche_cli.view.preview import Previewed, steps
from tranche_cli.view.preview import preview as view_preview
from tranche_cli.view.remaining import remaining, remaining_s
from tranche_cli.view.screen import screen
from tranche_cli.view.tables import deployments, pods, wrong_first
from tranche_cli.view.waiting import waiting as view_waiting


def text(what: RenderableType, width: int = 110) -> str:
    """As a terminal of that width shows it, without colours."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, color_system=None).print(what)
    return "\n".join(part.rstrip() for part in out.getvalue().splitlines())


def test_one_screen_answers_which_phase_why_and_what_next() -> None:
    shown = text(screen(status(), NOW, width=110))

    for words in (
        "shop/cart    base web-base    scatter · install_then_uninstall",
        "॥ Waiting: batch 2 of 4 is verified and waits for a person (3m12s)",
        "a person's confirm, since 3m12s · gray time 8s left",
        "tranche confirm shop/cart --batch 2    then batch 3: 30 replicas",
        "1.0.2 -> 2.0.0    revision 7, generation 9, by alice",
        "1 of 50 unavailable (maxUnavailable 50%)",
        "40/100 updated · 99 available · 1 failed",
        "1 beta",
        "confirmed by bob",
        "InstallFailed: ClassNotFound [x]  [web-9]",
        "try 2 failed, again in 3s: ClassNotFound com.shop.Cart",
    ):
        assert words in shown


@pytest.mark.parametrize("width", [30, 50, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    shown = text(screen(status(), NOW, width=width), width)

    assert all(len(part) <= width for part in shown.splitlines())
    assert "tranche confirm" in shown


def test_ten_thousand_batches_and_pods_stay_on_one_screen() -> None:
    many = status(
        batch={"current": 500, "count": 1000, "state": "Releasing"},
        batches=[{"index": i, "size": 10, "state": "Pending"} for i in range(476, 526)],
        pods=[
            {"pod": f"web-{i}", "version": "2.0.0", "revision": 7, "state": "installing"} for i in range(20)
        ],
    )

    shown = text(screen(many, NOW, width=110, height=40))

    assert len(shown.splitlines()) < 42
    assert "500" in shown
    assert "more batches" in shown
    assert "… and 8 more" in shown


def test_a_healthy_one_has_nothing_to_do_no_gates_no_pods() -> None:
    shown = text(screen(healthy(), NOW))

    assert "✔ Healthy: 100 of 100 available at 2.0.0" in shown
    assert "nothing to do" in shown
    assert not any(word in shown for word in ("Waits", "InstallFailed", "moving or", "left"))


@pytest.mark.parametrize("phase", get_args(Phase))
def test_every_phase_names_a_next_command(phase: Phase) -> None:
    for next_ in ("", "tranche abort shop/cart"):
        shown = text(screen(status(phase=phase, next=next_), NOW))

        assert re.search(r"Next +tranche [a-z]+", shown), phase


def test_time_left_is_estimated_from_the_batches_so_far() -> None:
    # 6 s and 41 s for a wave each, two waves to go, what is left of the gray time, and one as long after batch 3.
    took = status(replicas=100, updated=40)
    gray = remaining_s(took, NOW)
    # 40 s for a wave, 8 s for what batch 3 brought so far; 52 replicas are two waves.
    under_way = rolling(
        updated=48,
        updatedAvailable=48,
        batches=[
            {"index": 1, "size": 40, "state": "Verified", "startedAt": ago(100), "verifiedAt": ago(60)},
            {"index": 3, "size": 30, "state": "Releasing", "startedAt": ago(8)},
        ],
    )

    assert gray is not None
    assert gray == 47 + 7.5 + 199.5
    assert "· about 5m left" in text(screen(took, NOW, width=200), 200)
    assert remaining_s(under_way, NOW) == 48.0
    assert "about 50s left" in text(screen(under_way, NOW))
    assert remaining(rolling(batches=[]), NOW) == "", "no batch has told its pace"
    assert remaining(healthy(), NOW) == ""


def test_ten_thousand_pods_of_a_plan_fit_on_a_screen_and_wide_lists_them_all() -> None:
    names = [f"web-{number}" for number in range(10_000)]
    scattered = [f"web-7f9c{number * 7919 % 10007:05}-x" for number in range(10_000)]
    whole = Previewed("shop/cart", preview(batches=[preview_batch(1, names)], changes=10_000))
    other = Previewed("shop/cart", preview(batches=[preview_batch(1, scattered)], changes=10_000))

    shown, cut = text(view_preview(whole, width=80), 80), text(view_preview(other, width=80), 80)

    assert "web-0..9999" in shown
    assert len(shown.splitlines()) < 20
    assert "-o wide lists all" in cut
    assert len(cut.splitlines()) < 20
    assert len(text(steps([other]), 80).splitlines()) == 10_001


def test_a_plan_says_numbers_time_confirms_skipped_and_warnings() -> None:
    shown = text(
        view_preview(Previewed("shop/cart", preview(), "tranche apply -f x.yaml", wanted=100), width=110)
    )

    for words in (
        "shop/cart: 6 changes in 2 batches    generation 10",
        "Next     tranche apply -f x.yaml",
        "maxUnavailable 50% of 100 is 50; 1 unavailable now, never fewer than 95 available",
        "at least 1m15s of waiting and 1 confirm by a person; installing comes on top",
        "1 beta     1  replace 1.0.2 -> 2.0.0  web-0",
        "2          4  replace 1.0.2 -> 2.0.0  web-1..4",
        "1  install 2.0.0           web-5",
        "2  not ready  web-8, web-9",
        "! useBeta and needConfirm: 1 confirm will be needed",
        "✖ InsufficientCapacity: 1 short",
    ):
        assert words in shown


@pytest.mark.parametrize("width", [30, 50, 80])
def test_every_screen_fits_narrow_terminals(width: int) -> None:
    screens = [
        view_preview(Previewed("shop/cart", preview(), "tranche apply -f x.yaml"), width=width),
        view_explanation(explanation(), NOW),
        view_history("shop/cart", history(), NOW, wide=False),
        view_waiting([status()], NOW, width=width),
        deployments([status()], NOW, wide=False, namespaces=True, width=width),
    ]

    for shown in screens:
        assert all(len(part) <= width for part in text(shown, width).splitlines())


def test_an_explanation_says_open_and_shut_since_when_and_what_opens() -> None:
    shown = text(view_explanation(explanation(), NOW))

    for words in (
        "॥ Waiting: batch 2 of 4 is verified",
        "Next     tranche confirm shop/cart --batch 2",
        "✔ open",
        "✖ shut  3m12s     -  needConfirm is set  tranche confirm shop/cart --batch 2",
        "1 of 50 unavailable (maxUnavailable 50%), 49 more may go",
        "available - 1 >= wanted - maxUnavailable  ✔ yes  99 - 1 >= 100 - 50",
        "✖ InstallFailed: no jar  [web-9]",
    ):
        assert words in shown


def test_of_ten_thousand_pods_the_wrong_ones_come_first() -> None:
    many = [record(f"web-{number}") for number in range(9_998)]
    down = record("web-down", ready=False)
    behind = record(
        "web-old", modules={"cart": {"version": "1", "revision": 1, "state": "available", "since": NOW}}
    )

    assert [one.pod for one in wrong_first([*many, down, behind], "cart", "2.0.0")[:3]] == [
        "web-down",
        "web-old",
        "web-0",
    ]


async def test_ten_thousand_pods_that_are_followed_stay_on_one_screen() -> None:
    class Client:
        async def get(self, *_: str) -> Status:
            return rolling()

        async def pods(self, *_: str) -> tuple[PodRecord, ...]:
            return tuple(record(f"web-{number}") for number in range(10_000))

    found = await Pods(("shop", "cart")).once(Client())  # type: ignore[arg-type]
    shown = text(found.shown(NOW, 100, 34, False), 100)

    assert len(shown.splitlines()) < 40
    assert "… and 9966 more" in shown
    assert "Next  tranche explain shop/cart" in shown


@given(st.lists(st.from_regex(r"[a-z]{1,2}-[0-9]{1,3}", fullmatch=True), max_size=60, unique=True))
def test_folded_names_are_exactly_the_names(names: list[str]) -> None:
    told: list[str] = []
    for part in ", ".join(folded(names)).split(", ") if names else []:
        first, _, last = part.partition("..")
        stem, _, number = first.rpartition("-")
        told += [f"{stem}-{one}" for one in range(int(number), int(last) + 1)] if last else [first]

    assert sorted(told) == sorted(names)


def test_what_a_base_says_moves_no_cursor_and_is_no_markup() -> None:
    evil = status(message="[red]\x1b[2J\x1b[Hboo\nnext line[/]")

    shown = text(screen(evil, NOW))

    assert "\x1b" not in shown
    assert "[red] [2J [Hboo next line[/]" in shown


def test_an_older_generation_is_told() -> None:
    assert "still generation 8" in text(screen(status(observedGeneration=8), NOW))


def test_wide_lists_every_pod() -> None:
    records = [record("web-1"), record("web-2", ready=False, reason="PodUnreachable"), record("x", gone=True)]

    shown = text(screen(status(), NOW, records=records), 160)

    assert "web-1" in shown
    assert "PodUnreachable" in shown
    assert "moving or" not in shown


def test_lines_say_the_event_once() -> None:
    first, again = status(), status(updated=41)

    assert "BatchVerified: batch 2 of 4: 39 of 39" in line(first)
    assert "BatchVerified" not in line(again, before=first)
    assert "batch 2/4  41/100 updated" in line(again, before=first)
    assert summary(first) == summary(status())


def test_a_row_per_deployment() -> None:
    shown = text(
        deployments([status(), healthy(name="orders")], NOW, wide=True, namespaces=True, width=260), 260
    )

    heading, first, second = shown.splitlines()
    assert heading.split()[:3] == ["NAMESPACE", "NAME", "PHASE"]
    assert first.split()[:7] == ["shop", "cart", "॥", "Waiting", "2.0.0", "40/100", "99"]
    assert "✔ Healthy" in second


def test_a_row_per_pod_says_why_it_is_not_ready() -> None:
    serving = {
        "cart": {
            "version": "2.0.0",
            "revision": 7,
            "state": "installing",
            "since": NOW,
            "serving": {"version": "1.0.0", "revision": 6},
        }
    }
    down = record("web-2", ready=False, reason="PodUnreachable", message="no answer for 5 s", modules={})

    shown = text(pods([record(), down, record("web-3", modules=serving)], "cart", NOW, wide=False))

    assert "no answer for 5 s" in shown
    assert "1.0.0 -> 2.0.0" in shown
    assert "1/5" in shown
