"""The test of the tests: each planted bug is caught by the tests that are named for it, by what they assert."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.patching import PATCHES, Run, copied, patched, run
from tests.planted.table import PLANTED, Planted


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Planted, tmp_path: Path) -> None:
    copy = patched(tmp_path, bug.name)

    found = run(copy, bug.caught_by, within_s=bug.within_s)

    _came_from(found, tmp_path, copy.patched)
    for node in bug.caught_by:
        ended = found.of(node)
        assert ended, f"there is no test {node}:\n{found.output}"
        failures = [one for one in ended if one.error]
        assert failures, f"{node} does not notice that {bug.says}"
        others = [one for one in failures if not one.by_assertion]
        assert not others, f"{node} fails, but not by what it asserts: {others}"


def test_the_named_tests_pass_on_the_product_as_it_is(tmp_path: Path) -> None:
    nodes = sorted({node for bug in PLANTED for node in bug.caught_by})

    found = run(copied(tmp_path), nodes, within_s=180)

    assert [one for one in found.found if one.error] == []
    assert all(found.of(node) for node in nodes)
    _came_from(found, tmp_path, ("shared/tranche/__init__.py",))


def test_every_patch_is_in_the_table() -> None:
    assert sorted(file.stem for file in PATCHES.glob("*.patch")) == sorted(bug.name for bug in PLANTED)


def test_a_patch_that_does_not_apply_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (PATCHES / "ceil_for_floor.patch").read_text().replace("quantity.amount *", "quantity.number *")
    (tmp_path / "old.patch").write_text(words)
    monkeypatch.setattr("tests.planted.patching.PATCHES", tmp_path)
    with pytest.raises(ValueError, match="does not apply any more"):
        patched(tmp_path / "copy", "old")


def _came_from(found: Run, folder: Path, files: tuple[str, ...]) -> None:
    """The run had these files from the copy."""
    imported = set(found.modules.values())
    installed = [file for file in files if str(folder / file) not in imported]
    assert not installed, f"not the copy was tested, but what is installed: {installed}\n{found.output}"
