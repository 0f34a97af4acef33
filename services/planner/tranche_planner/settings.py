"""Settings of the planner."""

from __future__ import annotations

from tranche.settings import UrlSettings


class PlannerSettings(UrlSettings):
    """Where modules may come from, and what all services understand."""
