"""What tests give each field of a manifest: what is right, what is wrong, and what lies around every bound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.unit.test_manifest import SPELLINGS
from tests.unit.test_manifest_refusals import GONE, ONE_FIELD
from tranche.asyncapi.manifest import field_schema
from tranche.contract.fields import FIELDS, LEAVES, Field
from tranche.contract.values import Wrong

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
