"""Commands of the contract that come with a later release: not listed, and clear about it when typed."""

from __future__ import annotations

from collections.abc import Callable

import typer

from tranche.errors import Refused

LATER = {
    "plan": "tranche status NAME shows the batches of a rollout that has begun",
    "retry": "apply the manifest again with another version, or abort",
    "promote": "tranche confirm opens the gate of the batch that waits",
    "restart": "apply the manifest with another version",
    "undo": "apply the manifest of the version before, or abort while it rolls",
    "replace": "",
    "scale": "apply the manifest with another spec.replicas",
    "explain": "tranche status NAME names the gates that are shut and what opens them",
    "history": "tranche events NAME tells what is kept of the last 7 days",
    "waiting": "tranche get deployments -A shows the phase of all",
    "freeze": "tranche pause NAME stops one deployment",
    "unfreeze": "tranche resume NAME lets one deployment go on",
    "completion": "",
}
"""By command: what helps until then."""


def add_later(app: typer.Typer) -> None:
    """Let the names of later commands answer."""
    for name, instead in LATER.items():
        app.command(
            name,
            hidden=True,
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        )(_later(name, instead))


def _later(name: str, instead: str) -> Callable[[], None]:
    def command() -> None:
        raise Refused(f"{name} comes with a later release{f'; until then: {instead}' if instead else ''}")

    return command
