"""The page of reasons, phases and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from docs.generate.tables import HEAD, table
from tranche.contract.reasons import CONDITION_REASONS, REASONS, Reason
from tranche.contract.status import GateName, Phase

PHASES: Mapping[str, str] = {
    "Deleted": "gone, and its generations are remembered",
    "Deleting": "replicas are being taken away",
    "Invalid": "the first wish cannot be carried out",
    "Aborting": "on the way back to stable",
    "Aborted": "back at stable; the wish is not fulfilled",
    "Degraded": "replicas have failed, or the deadline has passed: held; or complete with failures within the threshold",
    "Paused": "by a person or a freeze: nothing new is disturbed",
    "Waiting": "a verified batch waits for its gray time or a confirm",
    "Blocked": "budget or capacity forbid the next step; goes on by itself",
    "Pending": "accepted, nothing released yet",
    "Progressing": "a batch is being carried out",
    "Healthy": "complete, all available",
}
"""The first that fits is shown."""

GATES: Mapping[str, tuple[str, str]] = {
    "verified": (
        "what the batch released is there, at the target, available for minReadySeconds (failures within the "
        "threshold aside), and nothing is under way",
        "by itself; failures: `tranche retry`",
    ),
    "grayTime": ("grayTime has passed since the batch was first verified", "time, `tranche promote`"),
    "confirm": ("needConfirm is false, or this batch was confirmed", "`tranche confirm`, `tranche promote`"),
    "pause": ("nobody has paused the rollout", "`tranche resume`, `tranche promote --full`"),
    "freeze": ("no freeze covers the namespace", "its end, `tranche unfreeze`"),
}

_TEXT = """\
# Phases, gates and reasons

## Phases

Where several fit, the first of these is shown; the others stand in `gates` and `problems`.

{phases}

## Gates

The next batch is released when all are open. `tranche explain NAME` shows each, since when, and what opens it.

{gates}

## Reasons

`event.reason`, `reason` and `problems[].reason` of a status, and `reason` of a pod record. The list is closed and grows:
take one you do not know for the sentence beside it.

{reasons}

Conditions say these as well:

{conditions}
"""


def reasons_page() -> str:
    assert set(PHASES) == set(get_args(Phase)), "every phase is explained"
    assert set(GATES) == set(get_args(GateName)), "every gate is explained"
    return HEAD + _TEXT.format(
        phases=table(["phase", "meaning"], [[name, words] for name, words in PHASES.items()]),
        gates=table(
            ["gate", "open when", "opened by"], [[f"`{name}`", *words] for name, words in GATES.items()]
        ),
        reasons=table(["reason", "what happened", "what to do"], map(_row, REASONS)),
        conditions=table(["reason", "meaning"], [[one.name, one.means] for one in CONDITION_REASONS]),
    )


def _row(reason: Reason) -> list[str]:
    return [f"`{reason.name}`", reason.means, reason.helps]
