"""Marks and colours of phases, batches and replicas: one table each."""

from __future__ import annotations

from typing import NamedTuple

from tranche.contract.record import ModuleState
from tranche.contract.status import BatchState, Phase


class Mark(NamedTuple):
    """A sign and the style it is shown in."""

    sign: str
    style: str


PHASES: dict[Phase, Mark] = {
    "Pending": Mark("•", "dim"),
    "Progressing": Mark("▶", "cyan"),
    "Waiting": Mark("॥", "yellow"),
    "Paused": Mark("॥", "yellow"),
    "Blocked": Mark("■", "yellow"),
    "Healthy": Mark("✔", "green"),
    "Degraded": Mark("✖", "red"),
    "Aborting": Mark("↺", "magenta"),
    "Aborted": Mark("↺", "red"),
    "Invalid": Mark("✖", "red"),
    "Deleting": Mark("▶", "magenta"),
    "Deleted": Mark("∅", "dim"),
}

BATCHES: dict[BatchState, Mark] = {
    "Pending": Mark("•", "dim"),
    "Releasing": Mark("▶", "cyan"),
    "Waiting": Mark("॥", "yellow"),
    "Verified": Mark("✔", "green"),
    "Failed": Mark("✖", "red"),
}

MODULES: dict[ModuleState, Mark] = {
    "available": Mark("✔", "green"),
    "installing": Mark("▶", "cyan"),
    "uninstalling": Mark("▶", "cyan"),
    "inactive": Mark("•", "yellow"),
    "failed": Mark("✖", "red"),
    "unknown": Mark("?", "yellow"),
}
