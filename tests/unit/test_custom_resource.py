"""The custom resource knows every field of the contract at every place it may stand, with the same bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tranche.asyncapi.manifest import field_schema, manifest_schema
from tranche.contract.fields import FIELDS, IGNORED, LEAVES
from tranche.contract.status import Condition, CurrentBatch, Status

FILE = Path(__file__).parents[2] / "deploy" / "crd" / "moduledeployments.koupleless.io.yaml"
(VERSION,) = yaml.safe_load(FILE.read_text(encoding="utf-8"))["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
Json = dict[str, Any]


def leaves(schema: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Every place a value may stand."""
    if "properties" not in schema:
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from leaves(inner, (*path, name))


SPEC = dict(leaves(SCHEMA["properties"]["spec"], ("spec",)))
SCALED = ("spec", "scaledReplicas")
"""Where the scale subresource looks: no field of a wish."""


def test_it_knows_every_field_and_no_other() -> None:
    ignored = {tuple(path.split(".")) for path in IGNORED if path.startswith("spec.")}
    assert set(SPEC) == {path for path in LEAVES if path[0] == "spec"} | ignored | {SCALED}


@pytest.mark.parametrize(
    "path", [path for field in FIELDS for path in field.paths if path.startswith("spec.")]
)
def test_a_field_has_the_bounds_of_its_reader(path: str) -> None:
    place = tuple(path.split("."))
    ours, theirs = field_schema(LEAVES[place]), SPEC[place]
    if "anyOf" in ours and {"type": "integer"}.items() <= ours["anyOf"][0].items():
        assert theirs["x-kubernetes-int-or-string"] is True
        ours = {**ours["anyOf"][0], "type": None}
    elif "anyOf" in ours:
        ours = {"type": "string"}
    bounds = ("type", "minimum", "maximum")
    assert {key: ours.get(key) for key in bounds} == {key: theirs.get(key) for key in bounds}


def test_what_is_required_is_required() -> None:
    def required(schema: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for name, inner in schema.get("properties", {}).items():
            if name in schema.get("required", ()):
                yield (*path, name)
            yield from required(inner, (*path, name))

    ours = set(required(manifest_schema()))
    theirs = set(required({"properties": {"spec": SCHEMA["properties"]["spec"]}, "required": ["spec"]}))
    assert {path for path in ours if path[0] == "spec"} == theirs


@pytest.mark.parametrize(("path", "schema"), list(leaves(SCHEMA)), ids=lambda value: str(value)[:60])
def test_every_field_is_explained(path: tuple[str, ...], schema: Json) -> None:
    if path != ("metadata",):
        text = schema["description"]
        assert text.endswith((".", "...")), text
        if schema.get("maximum") is not None and path[0] == "spec":
            assert str(schema["maximum"]) in text or "Another place" in text


def test_it_names_what_status_says() -> None:
    properties = SCHEMA["properties"]["status"]["properties"]
    spoken = {field.alias for field in Status.model_fields.values()}
    # Of these a Kubernetes object has its own: who and when stand in metadata, in Events and in the conditions.
    elsewhere = {"namespace", "name", "at", "event", "generation", "by", "startedAt", "documentRevision"}
    renamed = {
        "updated": "updatedReplicas",
        "available": "availableReplicas",
        "unavailable": "unavailableReplicas",
    }
    told_by_spec = {"policy", "upgradePolicy"}
    assert {renamed.get(name, name) for name in spoken - elsewhere - told_by_spec} <= set(properties)
    release = properties["releaseStatus"]["properties"]
    assert set(release) == {"currentBatch", "realBatchCount", "progress", "batchProgress"}
    assert {field.alias for field in CurrentBatch.model_fields.values()} <= set(
        properties["batch"]["properties"]
    )
    conditions = set(properties["conditions"]["items"]["properties"])
    assert conditions == {field.alias for field in Condition.model_fields.values()}


def test_what_a_newer_planner_says_is_kept() -> None:
    def objects(schema: Json) -> Iterator[Json]:
        if schema.get("type") == "object":
            yield schema
        for inner in (*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])):
            yield from objects(inner)

    found = list(objects(SCHEMA["properties"]["status"]))
    assert len(found) > 5
    assert all(one["x-kubernetes-preserve-unknown-fields"] is True for one in found)
