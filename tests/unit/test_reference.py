"""The pages made of the code are up to date, and the tables behind them are complete."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from docs.generate.fields import MEANINGS
from docs.generate.pages import ROOT, pages
from tests.installation import manifest
from tranche.asyncapi.manifest import field_schema, manifest_schema
from tranche.asyncapi.verbs import VERBS
from tranche.contract import values
from tranche.contract.fields import FIELDS, Field
from tranche.contract.manifest import Accepted, parse_manifest
from tranche.contract.quantity import Quantity, max_unavailable
from tranche.contract.reasons import CONDITION_REASONS, REASONS
from tranche_planner.core import wishes

PAGES = pages()
SPOKEN = re.compile(
    r"""(?:\breason=|\btold\(\s*|\bStanding\(\s*"\w+",\s*|\bProblem\(\s*)"([A-Z][A-Za-z]+)\"""", re.VERBOSE
)
"""How the services say a reason."""


@pytest.mark.parametrize("place", PAGES)
def test_a_page_is_up_to_date(place: str) -> None:
    assert (ROOT / place).read_text(encoding="utf-8") == PAGES[place], "run `make docs`"


def test_every_field_is_explained() -> None:
    assert list(MEANINGS) == [field.meaning for field in FIELDS]


def test_every_reason_that_is_said_is_explained() -> None:
    known = {one.name for one in (*REASONS, *CONDITION_REASONS)}
    said = {
        (reason, path.name)
        for path in Path(ROOT / "services").rglob("*.py")
        for reason in SPOKEN.findall(path.read_text(encoding="utf-8"))
    }

    assert len(said) > 20
    assert {(reason, name) for reason, name in said if reason not in known} == set()


def test_the_reasons_of_the_contract_are_all_there() -> None:
    listed = """Accepted Invalid Planned BatchReleased BatchVerified AwaitingConfirm Confirmed GrayTime Paused
        Resumed Frozen RolloutCompleted RolledBack Aborted Retried Scaled BudgetExhausted InsufficientCapacity
        OperationStuck InvalidCapacity InstallFailed UninstallFailed PodUnreachable PodLost PoolFrozen
        ProgressDeadlineExceeded Deleted"""
    assert set(listed.split()) <= {one.name for one in REASONS}


def test_the_numbers_of_the_explanation_are_right() -> None:
    text = (ROOT / "docs/explanation/budget.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (not given|\d+%?) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    assert len(rows) >= 6
    for replicas, given, resolved, least in rows:
        spelled = int(given) if given.isdigit() else given
        promise = None if given == "not given" else Quantity.parse(spelled)
        assert max_unavailable(promise, int(replicas)) == int(resolved)
        assert max(0, int(replicas) - int(resolved)) == int(least)


def test_every_verb_of_the_planner_is_described_with_its_body() -> None:
    events = {verb.name: set(verb.body) for verb in VERBS if verb.event and not verb.manifest}
    for verb, fields in wishes.FIELDS.items():
        if verb in events:
            assert events[verb] == set(fields), verb


NUMBERS = (0, 1, -1, -2, 100, 101, 1000, 1001, 3600, 3601, 65_535, 65_536, 604_800, 604_801, 1.5)
WORDS = ("SCATTER", "stacking", "installThenUninstall", "nothing", "50%", "101%", "1", "", "ModuleDeployment")
SAMPLES = (None, True, *NUMBERS, *WORDS, "koupleless.io/v1alpha1", ["--a=b"], [""], [1], {})


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.meaning)
def test_whatever_is_accepted_is_described(field: Field) -> None:
    """The schema of a field may be wider than its reader, never narrower; for numbers it is the same."""
    schema = field_schema(field)
    exact = schema.get("type") in ("integer", "boolean") or "enum" in schema
    for sample in SAMPLES:
        fits = jsonschema.Draft202012Validator(schema).is_valid(sample)
        accepted = not isinstance(field.read(sample), values.Wrong)
        assert fits or not accepted, sample
        assert not exact or fits == accepted, sample


def test_the_schema_of_a_manifest_knows_every_field_and_refuses_others() -> None:
    validator = jsonschema.Draft202012Validator(manifest_schema())
    full = manifest(
        "cart", "1.0.0", replicas=3, batchCount=3, useBeta=True, upgradePolicy="InstallThenUninstall"
    )
    assert isinstance(parse_manifest(full), Accepted)
    assert validator.is_valid(full)
    assert not validator.is_valid({**full, "spec": {**full["spec"], "replcas": 3}})
    assert not validator.is_valid({key: value for key, value in full.items() if key != "metadata"})
    named = {
        **full,
        "metadata": {**full["metadata"], "labels": {"a": "b"}, "uid": "7"},
        "status": {"any": [1]},
    }
    assert validator.is_valid(named)
