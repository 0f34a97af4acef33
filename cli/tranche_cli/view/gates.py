"""The gates that are shut, each with since when, how long still, and what opens it."""

from __future__ import annotations

from datetime import datetime

from tranche.contract.status import GateStatus, Status
from tranche_cli.view.words import age, left, safe


def gates(status: Status, now: datetime) -> str:
    """All shut gates on one line; empty when none is."""
    shut = [gate for gate in status.gates if gate.gate != "verified" and not _over(gate, now)]
    return " · ".join(_gate(gate, now) for gate in shut)


def behind(status: Status, now: datetime) -> str:
    """What the current batch waits for, in few words: for its row in the table."""
    shut = {gate.gate: gate for gate in status.gates}
    if (gray := shut.get("grayTime")) and gray.until and gray.until > now:
        return f"gray time, {left(gray.until, now)} left"
    for gate, words in (("pause", "paused"), ("freeze", "frozen"), ("confirm", "waits for confirm")):
        if gate in shut:
            return words
    return "waits"


def _over(gate: GateStatus, now: datetime) -> bool:
    """A gray time that ended after this status was said."""
    return gate.gate == "grayTime" and gate.until is not None and gate.until <= now


def _gate(gate: GateStatus, now: datetime) -> str:
    since = f"since {age(gate.since, now)}"
    match gate.gate:
        case "grayTime":
            return f"gray time {left(gate.until, now)} left" if gate.until else "gray time"
        case "confirm":
            return f"a person's confirm, {since}"
        case "pause":
            return f"paused {since}{_why(gate)}"
        case "freeze":
            ends = f", {left(gate.until, now)} left" if gate.until else ""
            return f"frozen {since}{ends}{_why(gate)}"
        case "verified":
            return f"the batch is not verified{_why(gate)}"


def _why(gate: GateStatus) -> str:
    return f": {safe(gate.message)}" if gate.message else ""
