"""The three services as children."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tranche_cli.run.child import Child, Say

SERVICES = ("planner", "scheduler", "executor")
STARTED = '"event": "started"'
"""What the log of a service holds once it is connected and its streams are there."""


def services(
    nats_url: str,
    logs: Path,
    *,
    pods: str | None,
    environment: Mapping[str, str] | None = None,
    echo: Say | None = None,
    alone: bool = False,
) -> list[Child]:
    """One of each. ``pods``: where bases come from, e.g. ``static:FILE``; None: as the environment says.

    ``alone``: whatever TRANCHE_ settings are in our environment, they are not for these.
    """
    logs.mkdir(parents=True, exist_ok=True)
    return [
        Child(
            name,
            ["-m", f"tranche_{name}", "--nats-url", nats_url, *_pods(name, pods)],
            logs / f"{name}.log",
            {"TRANCHE_LOG": "console" if echo else "json", **_port(place, alone), **(environment or {})},
            echo,
            alone,
        )
        for place, name in enumerate(SERVICES)
    ]


def _pods(service: str, pods: str | None) -> list[str]:
    return ["--pods", pods] if service == "executor" and pods else []


def _port(place: int, alone: bool) -> dict[str, str]:
    if alone:
        return {}
    # On one machine three processes cannot share a port: they take it and the next two.
    first = os.environ.get("TRANCHE_HTTP_PORT", "")
    return {"TRANCHE_HTTP_PORT": str(int(first) + place)} if first.isdigit() and int(first) else {}
