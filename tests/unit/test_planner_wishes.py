"""What the body of each verb may say, how it is read, and what somebody is told whose body cannot be."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.installation import manifest
from tranche.contract.answer import RefusedAnswer
from tranche.contract.names import NameKind, rule
from tranche_planner.core.wishes import FREEZES, Apply, Json, read_fields, read_json, read_wish

SIGNED = {"by": "bob", "reason": "it looks good"}
NOBODY = {"by": None, "reason": None}


def read(verb: str, body: Any = None, **more: Any) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    return read_wish(verb, data, namespace="shop", name="cart", **more)


def refusal(answer: object) -> tuple[str, str]:
    """The field and the words of the only error."""
    assert isinstance(answer, RefusedAnswer), answer
    (error,) = answer.errors
    return error.field, error.message


@pytest.mark.parametrize(
    ("verb", "given", "kind", "left_out"),
    [
        ("delete", {"abandon": True}, "Delete", {"abandon": False}),
        ("confirm", {"generation": 3, "batch": 2}, "Confirm", {"generation": None, "batch": None}),
        ("pause", {}, "Pause", {}),
        ("resume", {}, "Resume", {}),
        ("abort", {}, "Abort", {}),
        ("promote", {"full": True}, "Promote", {"full": False}),
        ("retry", {}, "Retry", {}),
        ("restart", {}, "Restart", {}),
        ("undo", {"revision": 4, "fast": True}, "Undo", {"revision": None, "fast": False}),
        ("replace", {"pod": "web-base-1"}, "Replace", {"pod": "web-base-1"}),
        ("scale", {"replicas": 7}, "Scale", {"replicas": 7}),
    ],
)
def test_a_verb_is_read_with_all_it_may_say_and_with_nothing_but_what_it_must(
    verb: str, given: dict[str, Any], kind: str, left_out: dict[str, Any]
) -> None:
    full = read(verb, {**given, **SIGNED})
    assert (type(full).__name__, asdict(full)) == (kind, {**given, **SIGNED})
    needed = {key: value for key, value in given.items() if key in ("pod", "replicas")}
    for least in (needed, {**dict.fromkeys(given), **NOBODY, **needed}):
        wish = read(verb, least or None)
        assert (type(wish).__name__, asdict(wish)) == (kind, {**left_out, **NOBODY})


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("pause", {"reason": "x" * 1000}),
        ("confirm", {"generation": 1, "batch": 1}),
        ("confirm", {"generation": 2**53, "batch": 2**53}),
        ("undo", {"revision": 1, "fast": False}),
        ("scale", {"replicas": 0}),
        ("scale", {"replicas": 1_000_000}),
    ],
)
def test_the_widest_bounds_are_accepted(verb: str, body: dict[str, Any]) -> None:
    wish = read(verb, body)
    assert not isinstance(wish, RefusedAnswer)
    assert {key: value for key, value in asdict(wish).items() if key in body} == body


TEXT = "expected text of at most 1000 printable characters"


@pytest.mark.parametrize(
    ("verb", "body", "field", "words"),
    [
        ("pause", {"by": "x" * 1001}, "by", f'got "{"x" * 77}..."; {TEXT}'),
        ("pause", {"reason": "a\nb"}, "reason", rf'got "a\nb"; {TEXT}'),
        ("pause", {"reason": 7}, "reason", f"got 7; {TEXT}"),
        ("confirm", {"batch": 0}, "batch", "got 0; expected a whole number from 1"),
        (
            "confirm",
            {"generation": 2**53 + 1},
            "generation",
            f"got {2**53 + 1}; expected a whole number from 1",
        ),
        ("confirm", {"batch": 1.0}, "batch", "got 1.0; expected a whole number from 1"),
        ("undo", {"revision": True}, "revision", "got true; expected a whole number from 1"),
        ("promote", {"full": "yes"}, "full", 'got "yes"; expected true or false'),
        ("scale", {"replicas": -1}, "replicas", "got -1; expected a whole number from 0 to 1000000"),
        (
            "scale",
            {"replicas": 1_000_001},
            "replicas",
            "got 1000001; expected a whole number from 0 to 1000000",
        ),
        ("scale", None, "replicas", "got nothing; expected a whole number from 0 to 1000000"),
        ("scale", {"replicas": None}, "replicas", "got nothing; expected a whole number from 0 to 1000000"),
        ("replace", {"by": "bob"}, "pod", f"got nothing; {TEXT}"),
        ("replace", {"pod": "a b"}, "pod", f'got "a b"; expected a pod\'s name: {rule(NameKind.POD)}'),
        ("replace", {"pod": 1}, "pod", f"got 1; {TEXT}"),
        ("confirm", {"bach": 1}, "bach", "got an unknown field with 1; did you mean batch?"),
        (
            "confirm",
            {"zzz": [1, 2]},
            "zzz",
            "got an unknown field with a list of 2; known here: generation, batch, by, reason",
        ),
        ("pause", {"a\nb": 1}, r"a\nb", "got an unknown field with 1; known here: by, reason"),
        ("pause", {"": 1}, '""', "got an unknown field with 1; known here: by, reason"),
        ("pause", {"zzz": None}, "zzz", "got an unknown field with null; known here: by, reason"),
        ("pause", [], "", "got an empty list; expected a JSON object"),
        ("retry", 3, "", "got 3; expected a JSON object"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(verb: str, body: Any, field: str, words: str) -> None:
    assert refusal(read(verb, body)) == (field, words)


def test_all_that_is_wrong_is_told_at_once_up_to_a_hundred() -> None:
    two = read("confirm", {"batch": 0, "by": 7, "reason": "fine"})
    assert isinstance(two, RefusedAnswer)
    assert [error.field for error in two.errors] == ["batch", "by"]
    many = read("confirm", {f"zzz{number}": 1 for number in range(150)})
    assert isinstance(many, RefusedAnswer)
    assert [error.field for error in many.errors] == [f"zzz{number}" for number in range(100)]


WRITES = "apply, delete, confirm, pause, resume, abort, promote, retry, restart, undo, replace, scale"


def test_an_unknown_verb_is_told_all_there_are() -> None:
    assert refusal(read("explode", {})) == ("", f'got the verb "explode"; expected one of {WRITES}')


@pytest.mark.parametrize("verb", ["freeze", "unfreeze", "get", "list", "pods", "plan", "explain", "history"])
def test_what_only_the_request_api_answers_is_sent_there(verb: str) -> None:
    words = f"{verb} is asked for through the request API alone: tranche.api.<namespace>.{verb}"
    assert refusal(read(verb, {})) == ("", words)


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("freeze", {"until": "2026-01-31T10:00:00Z", "by": "ops", "reason": "sale"}),
        ("unfreeze", {"by": "ops", "reason": "sale is over"}),
    ],
)
def test_the_verbs_of_a_namespace_know_their_fields(verb: str, body: dict[str, str]) -> None:
    assert read_fields(body, FREEZES[verb]) == body
    assert refusal(read_fields({"scope": "all"}, FREEZES[verb])) == (
        "scope",
        f'got an unknown field with "all"; known here: {", ".join(body)}',
    )


def test_a_manifest_is_read_with_its_warnings_for_the_deployment_it_was_sent_to() -> None:
    document = manifest("cart", "1.0.0", replicas=3)
    wish = read("apply", document)
    assert isinstance(wish, Apply)
    assert (wish.spec.namespace, wish.spec.name, wish.spec.replicas, wish.warnings) == ("shop", "cart", 3, ())
    wish = read("apply", manifest("cart", "1.0.0", module={"md5": "0" * 32}))
    assert isinstance(wish, Apply)
    assert ["md5" in warning for warning in wish.warnings] == [True]


@pytest.mark.parametrize(("namespace", "name"), [("lab", "cart"), ("shop", "till")])
def test_a_manifest_of_another_deployment_is_refused(namespace: str, name: str) -> None:
    data = json.dumps(manifest("cart", "1.0.0", replicas=3)).encode()
    answer = read_wish("apply", data, namespace=namespace, name=name)
    assert isinstance(answer, RefusedAnswer)
    assert answer.errors[0].field.startswith("metadata.")


def test_a_manifest_that_is_wrong_is_told_its_fields() -> None:
    answer = read("apply", manifest("cart", "1.0.0", replicas=-7))
    assert isinstance(answer, RefusedAnswer)
    assert [error.field for error in answer.errors] == ["spec.replicas"]


def test_a_module_comes_only_from_where_it_may() -> None:
    document = manifest("cart", "1.0.0", replicas=3)
    assert isinstance(read("apply", document, url_allow=("https://elsewhere.example/",)), RefusedAnswer)
    url = document["spec"]["template"]["spec"]["module"]["url"]
    assert isinstance(read("apply", document, url_allow=(url,)), Apply)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "got nothing; expected a JSON object: Expecting value: line 1 column 1 (char 0)"),
        (
            b"not \xff json",
            "got \"not � json\"; expected a JSON object: 'utf-8' codec can't decode byte 0xff in "
            "position 4: invalid start byte",
        ),
        (b'{"by": NaN}', r'got "{\"by\": NaN}"; expected a JSON object: NaN is no JSON'),
        (b"-Infinity", 'got "-Infinity"; expected a JSON object: -Infinity is no JSON'),
        (b"x" * 90, f'got "{"x" * 80}"; expected a JSON object: Expecting value: line 1 column 1 (char 0)'),
        (b"[" * 200_000, f'got "{"[" * 80}"; expected a JSON object: it nests too deeply'),
    ],
    ids=["nothing", "no text", "NaN", "Infinity", "long", "deep"],
)
def test_what_is_no_json_is_shown_and_told_why(data: bytes, words: str) -> None:
    assert refusal(read_json(data)) == ("", words)
    assert refusal(read_wish("apply", data, namespace="shop", name="cart")) == ("", words)


def test_an_empty_body_means_an_empty_object_only_where_it_may() -> None:
    assert read_json(b"", empty_means_object=True) == Json({})
    assert read_json(b"[1]", empty_means_object=True) == Json([1])
    assert isinstance(read_json(b""), RefusedAnswer)
