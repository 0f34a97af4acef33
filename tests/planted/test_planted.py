"""The test of the tests: each planted bug is caught by the tests that are named for it, by what they assert."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.patching import PACKAGES, PATCHES, ROOT, Run, copied, patched, run
from tests.planted.table import PLANTED, Planted

SMOKE = "tests/planted/test_smoke.py"
"""What a bug has to pass, or it would be no more than a slip."""


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Planted, tmp_path: Path) -> None:
    assert _missed(bug, tmp_path) == []


def test_the_named_tests_pass_on_the_product_as_it_is(tmp_path: Path) -> None:
    nodes = sorted({SMOKE} | {node for bug in PLANTED for node in bug.caught_by})

    found = run(copied(tmp_path), nodes)

    assert [one for one in found.found if one.error] == []
    assert all(found.of(node) for node in nodes)
    assert _installed(found, tmp_path, tuple(f"{package}/__init__.py" for package in PACKAGES)) == []


def test_every_patch_is_in_the_table() -> None:
    assert sorted(file.stem for file in PATCHES.glob("*.patch")) == sorted(bug.name for bug in PLANTED)


def test_a_patch_that_does_not_apply_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (PATCHES / "ceil_for_floor.patch").read_text().replace("quantity.amount *", "quantity.number *")
    (tmp_path / "old.patch").write_text(words)
    monkeypatch.setattr("tests.planted.patching.PATCHES", tmp_path)
    with pytest.raises(ValueError, match="does not apply any more"):
        patched(tmp_path / "copy", "old")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("# Nothing is wrong with it.", "does not notice"),
        ("import nobody_has_this", "not by what it asserts"),
        ("assert Quantity.parse(5) is None", "not by what it asserts"),
    ],
)
def test_a_bug_that_is_not_caught_by_an_assertion_is_told(
    line: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "shared/tranche/contract/quantity.py"
    count = (ROOT / file).read_text().count("\n")
    last = (ROOT / file).read_text().splitlines()[-1]
    words = f"--- a/{file}\n+++ b/{file}\n@@ -{count} +{count},2 @@\n {last}\n+{line}\n"
    (tmp_path / "other.patch").write_text(words)
    monkeypatch.setattr("tests.planted.patching.PATCHES", tmp_path)
    bug = Planted("other", "", "", ("tests/unit/test_manifest_changes.py::test_how_many_may_be_unavailable",))
    found = _missed(bug, tmp_path / "copy")
    assert any(told in one for one in found)


def _missed(bug: Planted, folder: Path) -> list[str]:
    """Why the bug is not caught by the tests that are named for it; empty: it is."""
    copy = patched(folder, bug.name)
    found = run(copy, (SMOKE, *bug.caught_by))
    missed = [f"it shows on a quiet day: {one.error}" for one in found.of(SMOKE) if one.error]
    for node in bug.caught_by:
        failures = [one for one in found.of(node) if one.error]
        others = [one for one in failures if not one.by_assertion]
        if not found.of(node):
            others = [one for one in found.found if one.error]
        if others:
            missed.append(f"{node} fails, but not by what it asserts: {others[0].error}")
        elif not failures:
            missed.append(f"{node} does not notice that {bug.says}")
    if found.spent_s > bug.within_s:
        missed.append(f"{found.spent_s:.1f} s of the processor were needed, {bug.within_s:g} may be")
    return missed or _installed(found, folder, copy.patched)


def _installed(found: Run, folder: Path, files: tuple[str, ...]) -> list[str]:
    """Files that were not imported from the copy: then something else was tested."""
    imported = set(found.modules.values())
    return [f"{file} was not tested" for file in files if str(folder / file) not in imported]
