"""The examples we give away are accepted, without a warning that would puzzle their readers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tranche.contract.manifest import Accepted, parse_manifest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def test_the_three_shapes_are_there() -> None:
    assert {"cart.yaml", "greeter.yaml", "peer.yaml"} <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_accepted(path: Path) -> None:
    documents = [document for document in yaml.safe_load_all(path.read_text()) if "kind" in document]
    for document in documents:
        answer = parse_manifest(document)
        assert isinstance(answer, Accepted), answer
        assert all("confirms will be needed" in warning for warning in answer.warnings)
