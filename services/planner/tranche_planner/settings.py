"""Settings of the planner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tranche.contract.names import NameKind, is_name, rule
from tranche.contract.subjects import ALL_NAMESPACES
from tranche.settings import Listed, UrlSettings


class PlannerSettings(UrlSettings):
    """Where wishes come from besides the bus, where modules may come from, and what all services understand."""

    deployments: Literal["kubernetes", ""] = Field(
        "",
        description="kubernetes: ModuleDeployment objects are carried out, and show their status; empty: none",
    )
    kubernetes_namespaces: Listed = Field(
        (),
        description="whose objects, by comma, or _all; empty: the namespace of the service account or context",
    )

    @field_validator("kubernetes_namespaces", mode="before")
    @classmethod
    def _namespaces(cls, given: object) -> object:
        named = given.split(",") if isinstance(given, str) else given
        if not isinstance(named, list | tuple):
            return named
        named = tuple(str(part).strip() for part in named if str(part).strip())
        wrong = [name for name in named if name != ALL_NAMESPACES and not is_name(NameKind.NAMESPACE, name)]
        if wrong:
            raise ValueError(f"expected namespaces ({rule(NameKind.NAMESPACE)}), or {ALL_NAMESPACES}")
        return (ALL_NAMESPACES,) if ALL_NAMESPACES in named else tuple(dict.fromkeys(named))
