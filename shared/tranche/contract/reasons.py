"""Why something is as it is: the reasons of the contract, one row each (contract 3.2)."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """``means``: what happened. ``helps``: what to do about it, empty where nothing needs to be done."""

    name: str
    means: str
    helps: str = ""


REASONS: tuple[Reason, ...] = (
    Reason("Accepted", "A wish was taken; nothing is released yet."),
    Reason(
        "Invalid",
        "The last change was refused; what was valid before goes on.",
        "Read the problem's message: it names the field, what was given and what is expected.",
    ),
    Reason(
        "Adopted",
        "Replicas of another version that somebody else installed are taken over and replaced; nobody knows their "
        "url, so there is no way back to them.",
        "Look at `tranche plan NAME` before.",
    ),
    Reason("Planned", "The replicas that need a change were counted and cut into batches."),
    Reason("BatchReleased", "The scheduler may carry out one more batch."),
    Reason("BatchVerified", "Everything a batch released is there, available, and at rest."),
    Reason(
        "AwaitingConfirm",
        "A verified batch waits for a person.",
        "`tranche confirm NAME --batch K`, or `tranche abort NAME`.",
    ),
    Reason("Confirmed", "A person let the rollout go on."),
    Reason("GrayTime", "A verified batch is watched until a time.", "Wait, or `tranche promote NAME`."),
    Reason("Paused", "A person stopped new disruptions.", "`tranche resume NAME`."),
    Reason("Resumed", "A pause or a freeze ended."),
    Reason(
        "Frozen",
        "A freeze covers the namespace: nothing new is disturbed.",
        "Wait for its end, or `tranche unfreeze`; abort and delete act all the same.",
    ),
    Reason("RolloutCompleted", "The last batch is verified: the revision is stable."),
    Reason("RolledBack", "The deployment went back to an older revision.", "See `tranche history NAME`."),
    Reason(
        "Aborted",
        "The rollout goes or went back to stable; the wish is not fulfilled.",
        "Apply a different wish, or `tranche retry NAME`.",
    ),
    Reason("Retried", "Failed replicas, or the aborted wish, are tried again."),
    Reason("Scaled", "The number of replicas changed alone."),
    Reason(
        "BudgetExhausted",
        "maxUnavailable forbids the next step: as many replicas as may be are down already.",
        "Mend the pods it names, allow more, or use install_then_uninstall where two versions can stand side by "
        "side. It goes on by itself, unless replicas that failed within failureThreshold spend it: `tranche retry "
        "NAME`.",
    ),
    Reason(
        "InsufficientCapacity",
        "Replicas are missing and no pod can take them; the message counts the pods by what hinders them.",
        "Add pods, raise max-module-count, uncordon, or ask for fewer replicas. It goes on by itself.",
    ),
    Reason(
        "OperationStuck",
        "An operation may still run on a base, so nothing else is sent there.",
        "Restart the base; its pod stays claimed until it answers or is gone.",
    ),
    Reason(
        "InvalidCapacity",
        "The label max-module-count of a pod is not a whole number: it takes nothing new.",
        "Mend the label.",
    ),
    Reason(
        "InstallFailed",
        "The base refused or could not start a module; the message has its own words.",
        "`tranche retry NAME` when the cause is mended, else `tranche abort NAME`.",
    ),
    Reason(
        "UninstallFailed",
        "The base could not take a module away; the message has its own words.",
        "It is tried again; restart the base if it stays.",
    ),
    Reason(
        "PodUnreachable",
        "The base on a pod does not answer.",
        "See whether it runs; `tranche delete NAME --abandon` leaves its module behind.",
    ),
    Reason(
        "PodBusy",
        "Nothing moves because the pods with the next replicas are at work for other deployments.",
        "See `tranche status` of the one it names. It goes on by itself.",
    ),
    Reason("PodLost", "A pod with a replica is gone; the replica is made again elsewhere."),
    Reason(
        "ProgressDeadlineExceeded",
        "Nothing became available for progressDeadlineSeconds: the rollout holds.",
        "`tranche retry NAME` for as much time again, or `tranche abort NAME`.",
    ),
    Reason(
        "PoolFrozen",
        "The broker forgot what it had acknowledged: nothing is disturbed until every pod was asked.",
        "Wait; pods that do not answer stay as they are.",
    ),
    Reason("Deleted", "The deployment is being deleted, or is."),
    Reason(
        "ServiceConflict",
        "In Kubernetes: the module's Service cannot be kept as serviceStrategy asks for it.",
        "Read the problem's message: one of that name is there already, a field is missing, or a Role.",
    ),
)
"""Closed, and grows: readers take one they do not know for the sentence beside it."""

CONDITION_REASONS: tuple[Reason, ...] = (
    Reason("MinimumAvailable", "As many replicas are available as the promise asks for."),
    Reason("TooFewAvailable", "Fewer are."),
    Reason("WithinBudget", "Another replica may be taken down."),
    Reason("Schedulable", "Every missing replica has a pod to go to."),
    Reason("NoFailure", "No replica has failed."),
)
"""What conditions say besides the reasons above."""
