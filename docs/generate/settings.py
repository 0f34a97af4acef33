"""The page of settings."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from docs.generate.tables import HEAD, table
from tranche.settings import Settings
from tranche_executor.settings import ExecutorSettings
from tranche_planner.settings import PlannerSettings

_TEXT = """\
# Settings

Environment variables, or flags of the same name: `TRANCHE_NATS_URL` is `--nats-url`. A flag wins. Times are seconds. A bad
setting stops the service at once with its name, its value and what was expected.

## All services

The scheduler has no others.

{all}

## Planner

{planner}

## Executor

{executor}
"""


def settings_page() -> str:
    return HEAD + _TEXT.format(
        all=_table(Settings), planner=_table(PlannerSettings), executor=_table(ExecutorSettings)
    )


def _table(kind: type[Settings]) -> str:
    own = {
        name: field
        for name, field in kind.model_fields.items()
        if kind is Settings or name not in Settings.model_fields
    }
    return table(["setting", "default", "meaning"], [_row(name, field) for name, field in own.items()])


def _row(name: str, field: FieldInfo) -> list[str]:
    return [f"`TRANCHE_{name.upper()}`", _default(field), field.description or ""]


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if field.is_required():
        return "required"
    if value in (None, "", ()) or isinstance(value, SecretStr):
        return ""
    return f"`{value}`"
