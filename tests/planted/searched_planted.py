"""Planted bugs that the simulation shows as well: only on demand, for it takes minutes (``make planted``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.patching import patched
from tests.planted.searching import search
from tests.planted.table import PLANTED, Planted


@pytest.mark.parametrize("bug", [bug for bug in PLANTED if bug.shown_in], ids=lambda bug: bug.name)
def test_the_simulation_shows_a_planted_bug(bug: Planted, tmp_path: Path) -> None:
    shown = search(patched(tmp_path, bug.name), seeds=bug.shown_in, within_s=900)

    assert shown is not None, f"no schedule of families {bug.shown_in} shows that {bug.says}"
    assert shown.seconds <= bug.shown_within_s
