"""Manifests that are nearly right, drawn from a number: the same number is the same document, on every machine."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from tests.cluster.field_values import NAMES, OPTIONAL, PLACES, RIGHT, SAMPLES
from tests.properties.bad_input import mutated, places
from tests.properties.test_manifest_properties import put, valid
from tranche.contract.fields import CONTAINERS, FIELDS, IGNORED

Json = dict[str, Any]

CHARACTERS = (
    *(
        "a",
        "Z",
        "0",
        "9",
        ".",
        "-",
        "_",
        "/",
        "\\",
        ":",
        "@",
        "?",
        "#",
        "%",
        "[",
        "]",
        "+",
        "~",
        "=",
        "&",
        ";",
        " ",
    ),
    *(
        "%2e",
        "%2F",
        "%5c",
        "%25",
        "%20",
        "%00",
        "..",
        "//",
        "::1",
        '"',
        "'",
        "{",
        "\n",
        "\t",
        "\x7f",
        "\u00a0",
    ),
    *("é", "ß", "ſ", "世", "\u0301", "\u200b", "\u2028", "\ue000", "\ufeff", "😀"),
)
ANY = (None, True, False, 0, 1, -1, 3, 1.5, 2**40, "", "3", "x", [], [1], {}, {"a": 1}, ["x"], "a" * 300)
WORDS = (
    "replicas",
    "batchcount",
    "spec",
    "metadata",
    "name",
    "x",
    "module",
    "maxUnavailable",
    "labels",
    "status",
)


def document(number: int) -> Json:
    """One document: right ones with any fields in any spelling, and up to two things wrong in half of them."""
    draw = Random(number)
    made: Json = valid()
    made["metadata"] = {"name": f"cart-{number}"}
    for path in draw.sample(OPTIONAL, draw.randrange(6)):
        put(made, path, deepcopy(draw.choice(RIGHT[path])))
    for _ in range(draw.choice((0, 1, 1, 1, 1, 2))):
        draw.choice(MUTATIONS)(draw, made)
    return made


def each_value() -> list[Json]:
    """Every value that is known of every field, alone in an otherwise right document."""
    found = []
    for path, samples in SAMPLES.items():
        for value in samples:
            made: Json = valid()
            made["metadata"] = {"name": "cart"}
            put(made, path, deepcopy(value))
            found.append(made)
    return found


def change(before: Json, number: int) -> Json:
    """Another document for the same object, the one it changes kept in most places."""
    draw = Random(number)
    made = deepcopy(before)
    for _ in range(draw.choice((1, 1, 2))):
        draw.choice((*MUTATIONS, _other, _other, _other))(draw, made)
    return made


def mutants(count: int) -> list[Json]:
    """So many documents that went wrong as stored ones do (``bad_input``); always the same ones."""
    found: list[Json] = []
    full = document(0) | {
        "spec": {**valid()["spec"], "operationStrategy": {"batchCount": 3, "useBeta": True}}
    }

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(full, most=2))
    def draw(drawn: Any) -> None:
        if isinstance(drawn, dict) and _sendable(drawn):
            found.append(drawn)

    draw()
    return found


def _sendable(drawn: Any) -> bool:
    """As JSON it is what Python holds: no NaN, no lone surrogates, no number that no machine takes."""
    try:
        return len(json.dumps(drawn, allow_nan=False, ensure_ascii=False).encode()) < 100_000
    except ValueError:
        return False


_MODULE = "spec.template.spec.module"
_TEXTS = [path for path in PLACES if any(isinstance(value, str) for value in SAMPLES[path])]
_INNER = [".".join(path) for path in sorted(CONTAINERS) if path[:1] == ("spec",)]
_TWICE = [field for field in FIELDS if len(field.paths) > 1]


def _field(draw: Random, made: Json) -> None:
    """A field gets a value of its kind, right or wrong."""
    path = draw.choice(PLACES)
    _put(made, path, draw.choice(SAMPLES[path]))


def _anything(draw: Random, made: Json) -> None:
    """A field gets a value of any kind."""
    _put(made, draw.choice(PLACES), draw.choice(ANY))


def _text(draw: Random, made: Json) -> None:
    """A text is right but for a character or a few."""
    path = draw.choice(_TEXTS)
    value = draw.choice([value for value in RIGHT[path] if isinstance(value, str)] or ["x"])
    for _ in range(draw.choice((1, 1, 2, 3))):
        at = draw.randrange(len(value) + 1)
        value = value[:at] + draw.choice(("", *CHARACTERS)) + value[at + draw.choice((0, 1)) :]
    _put(made, path, value)


def _arguments(draw: Random, made: Json) -> None:
    """Arguments of any characters, some near the longest that fits."""
    pieces = ["".join(draw.choices(CHARACTERS, k=draw.randrange(1, 6))) for _ in range(draw.randrange(1, 4))]
    if draw.random() < 0.3:
        pieces[0] *= -(-draw.randrange(3900, 4200) // len(pieces[0]))
    _put(made, f"{_MODULE}.args", pieces)


def _gone(draw: Random, made: Json) -> None:
    """Something is left out."""
    *outer, last = draw.choice([place for place in places(made) if place])
    holder: Any = made
    for part in outer:
        holder = holder[part]
    del holder[last]


def _unknown(draw: Random, made: Json) -> None:
    """A field stands where it does not belong."""
    _put(made, f"{draw.choice(_INNER)}.{draw.choice(WORDS)}", draw.choice(ANY))


def _flat(draw: Random, made: Json) -> None:
    """An object is something else."""
    _put(made, draw.choice(_INNER), draw.choice(ANY))


def _ignored(draw: Random, made: Json) -> None:
    """What nobody reads is there."""
    _put(made, draw.choice([path for path in IGNORED if not path.startswith("metadata.")]), draw.choice(ANY))


def _twice(draw: Random, made: Json) -> None:
    """Two spellings of one field, with one value or two."""
    field = draw.choice(_TWICE)
    one = draw.choice(RIGHT[field.path])
    other = draw.choice((one, draw.choice(RIGHT[field.path])))
    for path, value in zip(field.paths, (one, other), strict=True):
        _put(made, path, value)


def _together(draw: Random, made: Json) -> None:
    """Fields that are fine by themselves and may not be together."""
    strategy = "spec.operationStrategy"
    pairs: tuple[tuple[tuple[str, Any], ...], ...] = (
        (
            (f"{strategy}.useBeta", draw.choice((True, False))),
            (f"{strategy}.batchCount", draw.choice((1, 2))),
        ),
        (
            ("spec.replicas", draw.choice((-1, -1, 0, 3))),
            (draw.choice(_TWICE[-1].paths), draw.choice(("scaleup_then_scaledown", "ScaleUpThenScaleDown"))),
        ),
        (
            ("spec.progressDeadlineSeconds", draw.choice((0, 5, 6, 600, None))),
            ("spec.minReadySeconds", draw.choice((0, 5, 599, 600, None))),
        ),
    )
    for path, value in draw.choice(pairs):
        _put(made, path, value)


def _meta(draw: Random, made: Json) -> None:
    """What stands outside the spec."""
    path, value = draw.choice(
        (
            ("metadata.labels", {"a": "b"}),
            ("metadata.annotations", {"a": "b c"}),
            ("metadata.name", draw.choice(NAMES)),
            ("metadata.nmae", "x"),
            ("kind", draw.choice(("ModuleDeployment", "Deployment", ""))),
            ("apiVersion", draw.choice(("koupleless.io/v1alpha1", "koupleless.io/v1", "apps/v1", ""))),
            ("metadata.namespace", draw.choice(("elsewhere", "", "Shop", 3))),
            ("extra", draw.choice(ANY)),
        )
    )
    _put(made, path, value)


def _other(draw: Random, made: Json) -> None:
    """Another right value; of what cannot be changed too."""
    path = draw.choice(PLACES)
    _put(made, path, draw.choice(RIGHT[path]))


MUTATIONS = (
    *(
        _field,
        _field,
        _field,
        _text,
        _text,
        _text,
        _arguments,
        _anything,
        _gone,
        _unknown,
        _flat,
        _ignored,
        _twice,
        _together,
        _together,
        _meta,
    ),
)


def _put(made: Json, path: str, value: Any) -> None:
    """As ``put``; nothing where something other than an object is in the way."""
    *outer, last = path.split(".")
    holder: Any = made
    for part in outer:
        holder = holder.setdefault(part, {}) if isinstance(holder, dict) else None
        if not isinstance(holder, dict):
            return
    holder[last] = deepcopy(value)
