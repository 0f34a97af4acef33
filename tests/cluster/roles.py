"""The rights that deploy/ gives: tests run under these very rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def rules_of(file: str) -> list[dict[str, Any]]:
    """The rules of the Role in a file below deploy/."""
    documents = yaml.safe_load_all((DEPLOY / file).read_text(encoding="utf-8"))
    (role,) = [one for one in documents if one["kind"] == "Role"]
    rules: list[dict[str, Any]] = role["rules"]
    return rules
