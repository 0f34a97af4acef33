"""Manifests that are nearly right, drawn from a number: the same number is the same document, on every machine.

Values come from what other tests know to be right and wrong of each field, and from around every bound.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from tests.properties.bad_input import mutated, places
from tests.properties.test_manifest_properties import put, valid
from tests.unit.test_manifest import SPELLINGS
from tests.unit.test_manifest_refusals import GONE, ONE_FIELD
from tranche.asyncapi.manifest import field_schema
from tranche.contract.fields import CONTAINERS, FIELDS, IGNORED, LEAVES, Field
from tranche.contract.values import Wrong

Json = dict[str, Any]

NAMES = ("cart", "web-base", "a", "a.b", "A_b", "a-", "-a", "a..b", "", "a b", "größe", "a" * 63, "a" * 64)
VERSIONS = ("1", "1.0.0-SNAPSHOT+build.7", "1.0.0~rc", ".1", "1.", "1 0", "v" * 128, "v" * 129, "1\n")
URLS = (
    "http://m.example/a.jar",
    "HTTPS://user-content.example:8443/a/b.jar?sig=a%2Fb",
    "file:///srv/modules/cart.jar",
    "file:/srv/cart.jar",
    "file://localhost/srv/cart.jar",
    "file://elsewhere/srv/cart.jar",
    "http://m.example",
    "http://m.example/",
    "http://m.example//",
    "http://m.example?a=/b.jar",
    "http://m.example:0/a.jar",
    "http://m.example:65535/a.jar",
    "http://m.example:65536/a.jar",
    "http://m.example:080/a.jar",
    "http://m.example:/a.jar",
    "http://m.example:x/a.jar",
    "http://user@m.example/a.jar",
    "http://user:secret@m.example/a.jar",
    "http://[::1]/a.jar",
    "http://[::1]:8080/a.jar",
    "http://[::1/a.jar",
    "http://[x]/a.jar",
    "http://-m.example/a.jar",
    "http://m.example./a.jar",
    "http://m_example/a.jar",
    "http:///a.jar",
    "http:/a.jar",
    "ftp://m.example/a.jar",
    "m.example/a.jar",
    "//m.example/a.jar",
    "http://m.example/a.jar#part",
    "http://m.example/grüße.jar",
    "http://m.example/a b.jar",
    "http://m.example/../a.jar",
    "http://m.example/a/..",
    "http://m.example/a/./b.jar",
    "http://m.example/a/.../b.jar",
    "http://m.example/a/..;x/b.jar",
    "http://m.example/a/..?x",
    "http://m.example/a.jar?x=/../b",
    "http://m.example/a/%2e%2E/b.jar",
    "http://m.example/a/%252e%252e/b.jar",
    "http://m.example/a%2f..%2fb.jar",
    "http://m.example/a%5c..%5cb.jar",
    "http://m.example/a/%20..%20/b.jar",
    "http://m.example/a/..b/c..d/e.jar",
    "http://m.example/a%0a.jar",
    "http://m.example/a%7f.jar",
    "http://m.example/a?%0a",
    "http://m.example/%252541.jar",
    "http://m.example/%25252541.jar",
    "http://m.example/%25252525.jar",
    "http://m.example/a%.jar",
    "http://m.example/a[1].jar",
    "http://m.example/" + "a" * 2031,
    "http://m.example/" + "a" * 2032,
)
POLICIES = (
    *(
        "scatter",
        "Scatter",
        "STACKING",
        "scattered",
        "ſcatter",
        "uninstall_then_install",
        "installThenUninstall",
    ),
    *("INSTALL_THEN_UNINSTALL", "install_thenUninstall", "scaleup_then_scaledown", "ScaleupThenScaledown"),
    *("install-then-uninstall", "unınstall_then_install", ""),
)
ARGUMENTS: tuple[Any, ...] = (
    *([], ["--a={version}"], ["größe", "-x"], [""], [3], ["a\tb"], ["\u200b"], ["a"] * 64, ["a"] * 65),
    *(["a" * 4092], ["a" * 4093], ['"' * 2046], ['"' * 2047], ["\\" * 2046], ["\\" * 2047], [["a"]], [None]),
    *(["a" * 2000, "b" * 2088], ["a" * 2000, "b" * 2089], "--a", {"a": "b"}),
)
AMOUNTS = (
    0,
    1,
    5,
    1_000_000,
    1_000_001,
    -1,
    "0%",
    "50%",
    "100%",
    "101%",
    "00%",
    "5",
    "5.5%",
    " 5%",
    "",
    True,
    0.5,
)
PORTS = (1, 80, 65535, 0, 65536, "http", "web-1", "a" * 15, "a" * 16, "80", "-a", "a--b", "A", "", True, 80.5)
DIGESTS = ("ab" * 32, "AB" * 32, "ab" * 31, "ab" * 33, "xy" * 32, "")
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


def _samples(field: Field, path: str) -> list[Any]:
    """What this field is given: by its kind, by what other tests know of it, and anything."""
    schema = field_schema(field)
    kinds: Mapping[str, tuple[Any, ...]] = {
        "version": VERSIONS,
        "url": URLS,
        "sha256": DIGESTS,
        "args": ARGUMENTS,
        "service_target_port": PORTS,
        "max_unavailable": AMOUNTS,
        "failure_threshold": AMOUNTS,
        "scheduling_policy": POLICIES,
        "upgrade_policy": POLICIES,
        "base": NAMES,
        "module_name": NAMES,
    }
    found = list(kinds.get(field.meaning, ()))
    if schema.get("type") == "integer":
        low, high = schema["minimum"], schema["maximum"]
        found += [low - 1, low, low + 1, high - 1, high, high + 1, 2, 5, str(low), True, 2.5]
    if schema.get("type") == "boolean":
        found += [True, False, "true", 1]
    found += [value for known, value, *_ in (*SPELLINGS, *ONE_FIELD) if known == path and value is not GONE]
    return [value for value in found if _sendable_value(value)] or ["x"]


def _sendable_value(value: Any) -> bool:
    """Python's dates and NaN do not go as JSON; a whole number as 3.0 is another thing there (``differences``)."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return False
    return not (isinstance(value, float) and value.is_integer()) and len(str(value)) < 20_000


PLACES = [path for field in FIELDS for path in field.paths if path.startswith("spec.")]
SAMPLES = {path: _samples(field, path) for field in FIELDS for path in field.paths if path in PLACES}
RIGHT = {
    path: [
        value for value in SAMPLES[path] if not isinstance(LEAVES[tuple(path.split("."))].read(value), Wrong)
    ]
    or ["x"]
    for path in PLACES
}
OPTIONAL = [path for path in PLACES if not LEAVES[tuple(path.split("."))].required]
_MODULE = "spec.template.spec.module"
_TEXTS = [path for path in PLACES if any(isinstance(value, str) for value in SAMPLES[path])]
_INNER = [".".join(path) for path in CONTAINERS if path[:1] == ("spec",)]
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
