"""The status of an object: the rollout's own, under the names that Kubernetes and existing tools read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tranche.contract.answer import FieldError
from tranche.contract.message import Message
from tranche.contract.progress import Problem
from tranche.contract.status import BatchState, Phase, Status
from tranche_planner.core.objects.services import MODULE_LABEL

LONGEST = 4000
"""Characters of a message: an object has other things to carry."""
MOST_ERRORS = 20

# What module-controller 1.0 says of a release, and of its batch.
_PROGRESS: Mapping[Phase, str] = {
    "Pending": "Init",
    "Progressing": "Executing",
    "Waiting": "Executing",
    "Paused": "Paused",
    "Blocked": "Executing",
    "Healthy": "Completed",
    "Degraded": "Executing",
    "Aborting": "Executing",
    "Aborted": "Aborted",
    "Invalid": "Init",
    "Deleting": "Terminating",
    "Deleted": "Terminated",
}
_BATCH_PROGRESS: Mapping[BatchState, str] = {
    "Pending": "Init",
    "Releasing": "Executing",
    "Waiting": "Executing",
    "Verified": "Completed",
    "Failed": "Executing",
}
_CONFIRM = "WaitingForConfirmation"


class Mirrored(Message):
    """The wish that was last sent on, and what became of it: kept in the object's status."""

    digest: str = ""
    generation: int = 0
    """Of the object's metadata."""
    rollout_generation: int = 0
    """Ours, under which the object's wish is known to be what is carried out."""
    errors: tuple[FieldError, ...] = ()
    """Why it was refused."""


def mirrored(status: Mapping[str, Any]) -> Mirrored:
    """What the object remembers of its wish."""
    try:
        return Mirrored.model_validate(status.get("mirrored") or {})
    except ValueError:
        return Mirrored()


def describes(status: Status | None, wish: Mirrored) -> bool:
    """Whether a status is of the wish that was sent on, or of a later one."""
    return status is not None and status.generation >= wish.rollout_generation


def status_of(
    status: Status, wish: Mirrored, *, problems: tuple[Problem, ...] = (), service: str = ""
) -> dict[str, Any]:
    """What is written to the object of a status that describes its wish."""
    told = status.but(problems=(*status.problems, *problems))
    body: dict[str, Any] = told.model_dump(mode="json", by_alias=True, exclude_none=True)
    for internal in ("namespace", "name", "generation"):
        del body[internal]
    waits = any(gate.gate == "confirm" for gate in status.gates)
    body |= {
        "observedGeneration": wish.generation,
        "rolloutGeneration": status.generation,
        "availableReplicas": status.available,
        "readyReplicas": status.available,
        "updatedReplicas": status.updated,
        "unavailableReplicas": status.unavailable,
        "releaseStatus": {
            "currentBatch": status.batch.current,
            "realBatchCount": status.batch.count,
            "progress": _CONFIRM if waits else _PROGRESS[status.phase],
            "batchProgress": _CONFIRM if waits else _BATCH_PROGRESS[status.batch.state],
        },
        "batch": {**body["batch"], "text": f"{status.batch.current}/{status.batch.count}"},
        "labelSelector": f"{MODULE_LABEL}{status.module}=true",
        "conditions": [
            {**condition, "observedGeneration": wish.generation} for condition in body["conditions"]
        ],
    }
    return _noted(body, wish, service)


def refused_status(wish: Mirrored, problems: tuple[Problem, ...] = ()) -> dict[str, Any]:
    """What is written to an object that never led to a deployment."""
    problem = refusal(wish)
    told = [one.model_dump(mode="json", by_alias=True) for one in (problem, *problems)]
    body = {
        "phase": "Invalid",
        "reason": "Invalid",
        "message": problem.message,
        "next": "mend the object: the message names the field, what was given and what is expected",
        "observedGeneration": wish.generation,
        "problems": told,
    }
    return _noted(body, wish, "")


def carried(status: Mapping[str, Any], wish: Mirrored, service: str = "") -> dict[str, Any]:
    """What stands in the object already, with the wish noted: the status that describes it is yet to come."""
    return _noted(
        {"phase": "Pending", "reason": "Accepted", "message": "accepted"} | dict(status), wish, service
    )


def refusal(wish: Mirrored) -> Problem:
    """Why a wish was refused, as one problem."""
    first, *others = [str(error) for error in wish.errors[:MOST_ERRORS]] or ["it was refused"]
    message = "; ".join([first, *others])
    return Problem(reason="Invalid", message=message[:LONGEST], count=max(1, len(wish.errors)))


def urgent(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the difference is one to be told at once; counts alone can wait a moment."""
    at_once = ("phase", "reason", "observedGeneration", "rolloutGeneration", "mirrored", "batch", "service")
    return any(before.get(key) != after.get(key) for key in at_once)


def same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether both tell the same; when it was said is no difference."""
    beside = {"at", "documentRevision"}
    return _without(before, beside) == _without(after, beside)


def _without(status: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key not in names}


def _noted(body: dict[str, Any], wish: Mirrored, service: str) -> dict[str, Any]:
    note = wish.but(errors=wish.errors[:MOST_ERRORS]).model_dump(mode="json", by_alias=True)
    return {**body, "mirrored": note, "service": service}
