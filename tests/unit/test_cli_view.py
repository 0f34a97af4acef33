"""What people see: the screen at several widths, lines, tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from tests.cli_samples import NOW, healthy, record, status
from tranche_cli.view.line import line, summary
from tranche_cli.view.screen import screen
from tranche_cli.view.tables import deployments, pods


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


def test_a_healthy_one_has_no_next_no_gates_no_pods() -> None:
    shown = text(screen(healthy(), NOW))

    assert "✔ Healthy: 100 of 100 available at 2.0.0" in shown
    assert not any(word in shown for word in ("Next", "Waits", "InstallFailed", "moving or"))


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
    shown = text(deployments([status(), healthy(name="orders")], wide=True, namespaces=True), 160)

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
