"""Files of manifests: several documents, and errors that name their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tranche_cli.documents import Document, Unreadable, parse, read_files


def test_several_documents_in_order_and_empty_ones_passed_over() -> None:
    found = parse(b"---\na: 1\n---\n---\nb: 2\n", "x.yaml")

    assert found == [Document("x.yaml, document 1", {"a": 1}), Document("x.yaml, document 2", {"b": 2})]


def test_json_is_yaml_too() -> None:
    assert parse(b'{"a": {"b": [1, null]}}', "x.json") == [Document("x.json", {"a": {"b": [1, None]}})]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: [1,\nb: }", "x.yaml: line 2, column"),
        (b"spec:\n  a: 1\n  a: 2\n", 'x.yaml: line 3, column 3: the key "a" stands twice'),
        (b"spec:\n  x:\n    a: 1\n    a: 1\n", "line 4, column 5"),
        (b"- 1\n- 2\n", "got a list of 2; expected an object"),
        (b"hello", 'got "hello"; expected an object'),
        (b"", "holds no document"),
        (b"# only words\n---\n", "holds no document"),
        (b"\xff\xfe\x00a", "is not UTF-8 text"),
        (b"a: \x07", "is no YAML"),
        (b"a: !!python/object:os.system {}", "could not determine a constructor"),
        (b"[" * 3000, "x.yaml:"),
        (
            b"a: &a [1,2,3,4,5,6,7,8,9]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\n"
            b"d: &d [*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]\n",
            "values",
        ),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(data: bytes, words: str) -> None:
    (found,) = parse(data, "x.yaml")

    assert isinstance(found, Unreadable)
    assert words in str(found)


def test_what_looks_like_a_date_is_text() -> None:
    assert parse(b"version: 2026-01-31", "x") == [Document("x", {"version": "2026-01-31"})]


def test_merged_keys_may_be_overridden() -> None:
    (found,) = parse(b"base: &b {a: 1, c: 3}\nspec:\n  <<: *b\n  a: 2\n", "x")

    assert isinstance(found, Document)
    assert found.manifest["spec"] == {"a": 2, "c": 3}


def test_all_files_are_read_and_all_faults_told(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("a: 1")

    documents, faults = read_files([str(tmp_path / "absent.yaml"), str(good), str(tmp_path)])

    assert [one.manifest for one in documents] == [{"a": 1}]
    assert "No such file" in str(faults[0])
    assert len(faults) == 2
