"""Settings of the planner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tranche.settings import NamespaceSettings, UrlSettings


class PlannerSettings(NamespaceSettings, UrlSettings):
    """Where wishes come from besides the bus, where modules may come from, and what all services understand."""

    deployments: Literal["kubernetes", ""] = Field(
        "",
        description="kubernetes: ModuleDeployment objects are carried out, and show their status; empty: none",
    )
