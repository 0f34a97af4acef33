"""A person at a terminal: apply, watch, confirm, a failure explained, abort; each screen names the next command.

``TRANCHE_RECORD=1`` writes what was seen to docs/recording.md.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.installation import Installation, installation, manifest
from tests.terminal import PROMPT, Terminal, seen, terminal
from tranche_fleet.faults import Fault, Kind

pytestmark = pytest.mark.nats

RECORDING = Path(__file__).parents[2] / "docs" / "recording.md"
REFUSED = "java.lang.ClassNotFoundException: com.shop.cart.PriceList"
GATES = {"batchCount": 3, "useBeta": True, "needConfirm": True, "grayTime": 2}
INTRODUCTION = """# A recording

Ten bases serve `cart` 1.0.0. A person releases 2.0.0, and one of the second batch does not take it. Every screen
names the command that helps next. This is what a terminal showed, as text;
`TRANCHE_RECORD=1 make test PYTEST_ARGS=tests/stories/test_recording.py` records it anew.
"""


class Person:
    """Types, looks, and keeps what was seen."""

    def __init__(self, at: Terminal) -> None:
        self._at = at
        self.recorded: list[tuple[str, str]] = []

    async def does(self, title: str, command: str) -> str:
        """A command that ends by itself; what it said."""
        await self._type(command)
        text = await seen(self._at, _done)
        return self._keep(title, text.removesuffix("$"))

    async def watches(self, title: str, command: str, until: Callable[[str], bool]) -> str:
        """A command that is ended when the picture is as hoped for."""
        await self._type(command)
        text = await seen(self._at, lambda text: until(text) and "BATCH" in text)
        self._at.type("\x03")
        await seen(self._at, _done)
        return self._keep(title, text)

    async def _type(self, command: str) -> None:
        """On an empty screen, so that nothing of before is taken for an answer."""
        self._at.type("clear\r")
        await seen(self._at, lambda text: text.strip() == "$")
        self._at.type(f"{command}\r")
        await seen(self._at, lambda text: text.startswith(f"{PROMPT}{command}"))

    def _keep(self, title: str, text: str) -> str:
        self.recorded.append((title, text.rstrip()))
        return text


def _done(text: str) -> bool:
    """Whether the shell asks for the next command, behind what the last one said."""
    return text.endswith("\n$")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Both versions as files, and a PATH on which the command is the one under test."""
    for version, gates in (("1.0.0", {}), ("2.0.0", GATES)):
        wish = manifest("cart", version, replicas=10, maxUnavailable="50%", **gates)
        (tmp_path / f"cart-{version}.json").write_text(json.dumps(wish))
    command = tmp_path / "bin" / "tranche"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tranche_cli "$@"\n')
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRANCHE_")}
    return {**kept, "PATH": f"{command.parent}:{os.environ['PATH']}", "USER": "alice", "LOGNAME": "alice"}


async def test_every_screen_names_the_next_command(tmp_path: Path, environment: dict[str, str]) -> None:
    async with installation(tmp_path, "shop/web-base:10:5", fleet=("--install-seconds", "1")) as here:
        await here.start()
        url = {"TRANCHE_NATS_URL": here.nats.url}
        async with terminal({**environment, **url}, tmp_path) as at:
            person = Person(at)
            await _release(person, here)
    if os.environ.get("TRANCHE_RECORD"):
        RECORDING.write_text(recording(person.recorded))
    assert titles(RECORDING.read_text()) == [title for title, _ in person.recorded], "record it anew"


async def _release(person: Person, here: Installation) -> None:
    first = await person.does("The first version", "tranche apply -f cart-1.0.0.json --wait")
    assert "Healthy" in first
    assert "next: tranche history shop/cart" in first

    preview = await person.does("What would happen", "tranche plan -f cart-2.0.0.json")
    assert "Next     tranche apply -f cart-2.0.0.json" in preview
    assert "3 batches" in preview

    # One of the second batch does not take it.
    await here.fleet.arm(Fault(Kind.INSTALL_FAILS, times=1, module="cart", words=REFUSED), "web-base-3")
    applied = await person.does("Apply", "tranche apply -f cart-2.0.0.json")
    assert "next: tranche status shop/cart -w" in applied

    waits = await person.watches(
        "Watch", "tranche status shop/cart -w", lambda text: "waits for confirm" in text
    )
    assert "Next     tranche confirm shop/cart --batch 1" in waits

    confirmed = await person.does("Confirm", 'tranche confirm shop/cart --batch 1 -m "looks good"')
    assert "next: tranche status shop/cart -w" in confirmed

    failed = await person.watches(
        "A failure", "tranche status shop/cart -w", lambda text: "✖ Degraded" in text
    )
    assert REFUSED in failed
    assert re.search(r"Next +tranche (retry|abort) shop/cart", failed)

    why = await person.does("Why nothing goes on", "tranche explain shop/cart")
    assert "ClassNotFoundException" in why
    assert re.search(r"Next +tranche (retry|abort) shop/cart", why)

    aborted = await person.does("Abort", 'tranche abort shop/cart -m "2.0.0 lacks a class" --wait')
    assert "Aborted" in aborted
    assert "next: tranche " in aborted

    end = await person.does("Back where it was", "tranche status shop/cart")
    assert "Next     tranche " in end
    assert "10 available" in end


def recording(recorded: list[tuple[str, str]]) -> str:
    """The page."""
    scenes = [f"## {title}\n\n```\n{text}\n```\n" for title, text in recorded]
    return "\n".join([INTRODUCTION, *scenes])


def titles(page: str) -> list[str]:
    return re.findall(r"^## (.*)$", page, re.MULTILINE)


@pytest.mark.parametrize("kind", ["tmux", "pty"])
async def test_both_terminals_show_the_same(kind: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    if kind == "tmux" and not any((Path(part) / "tmux").exists() for part in environment["PATH"].split(":")):
        pytest.skip("there is no tmux")
    script = tmp_path / "draw"
    script.write_text(
        r"""printf 'one\nzwei größe\n\033[31mthree\033[0m\n'; printf '\033[2A\r\033[2Kover\033[2B\r\n'"""
    )
    async with terminal(environment, tmp_path, kind=kind, columns=40, lines=10) as at:
        at.type("clear; sh draw\r")
        text = await seen(at, lambda text: "over" in text and _done(text))

    assert [part.rstrip() for part in text.splitlines()] == ["one", "over", "three", "", "$"]
