"""The verbs of the contract, one row each: what the body may say, and what is answered (contract 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

LONGEST_TEXT = 1000
"""Characters of a name or a reason."""

TEXT: Json = {"type": "string", "maxLength": LONGEST_TEXT}
NAME: Json = {"type": "string", "minLength": 1, "maxLength": 253, "description": "The deployment's name."}
COUNTED: Json = {"type": "integer", "minimum": 1}
BY: Mapping[str, Json] = {
    "by": {**TEXT, "description": "Who asks; kept and shown."},
    "reason": {**TEXT, "description": "Why; kept and shown."},
}
PAGE: Mapping[str, Json] = {
    "limit": {"type": "integer", "minimum": 1, "default": 500, "description": "So many items at most."},
    "continue": {"type": "string", "description": "Where the page before ended, as it was answered."},
}


def _switch(meaning: str) -> Json:
    return {"type": "boolean", "default": False, "description": meaning}


def _number(meaning: str) -> Json:
    return {**COUNTED, "description": meaning}


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to ask for. ``answer``: the message that comes back, besides a refusal."""

    name: str
    does: str
    body: Mapping[str, Json] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    answer: str = "Accepted"
    event: bool = True
    """Also an event on the stream; all others are for the request API alone."""
    about: bool = True
    """About one deployment, which a request names in its body."""
    manifest: bool = False
    """The body is a manifest (of ``plan``: or a name)."""
    spans: bool = False
    """Understands ``_all`` as namespace."""


VERBS: tuple[Verb, ...] = (
    Verb("apply", "Asks for what a manifest says; the same wish again changes nothing.", manifest=True),
    Verb(
        "delete",
        "Uninstalls all replicas, at most max(1, maxUnavailable) at a time, without gates.",
        {"abandon": _switch("Leave the modules of pods that do not answer behind, and name them."), **BY},
    ),
    Verb(
        "confirm",
        "Opens the gate behind a batch that waits for a person.",
        {
            "generation": _number("Whose batch is meant; an earlier one of the same rollout counts."),
            "batch": _number("Without it: the one that waits."),
            **BY,
        },
    ),
    Verb("pause", "Stops new disruptions at once; what is under way finishes.", BY),
    Verb("resume", "Goes on after a pause.", BY),
    Verb(
        "promote",
        "Opens the gates of the batch that waits; neither the budget nor a freeze.",
        {"full": _switch("All remaining gates of this rollout, a person's pause included."), **BY},
    ),
    Verb("abort", "Goes back to stable, under the same budget and without gates.", BY),
    Verb("retry", "Tries failed replicas again, or an aborted wish from the start.", BY),
    Verb("restart", "Installs the same content again on every replica, as a new rollout.", BY),
    Verb(
        "undo",
        "Rolls out an older revision.",
        {
            "revision": _number("Without it: the last stable one before the current."),
            "fast": _switch("Without gates."),
            **BY,
        },
    ),
    Verb(
        "replace",
        "Takes the replica off a pod and places it anew.",
        {"pod": {**TEXT, "description": "The pod's name."}, **BY},
        required=("pod",),
    ),
    Verb(
        "scale",
        "Changes the number of replicas alone.",
        {"replicas": {"type": "integer", "minimum": 0, "maximum": 1_000_000}, **BY},
        required=("replicas",),
    ),
    Verb(
        "freeze",
        "Disturbs nothing new in a namespace, or in all.",
        {"until": {"type": "string", "format": "date-time", "description": "It ends by itself then."}, **BY},
        event=False,
        about=False,
        spans=True,
    ),
    Verb("unfreeze", "Lifts a freeze.", BY, event=False, about=False, spans=True),
    Verb("get", "The status now.", answer="Status", event=False),
    Verb(
        "list",
        "The statuses of a namespace, or of all.",
        PAGE,
        answer="StatusList",
        event=False,
        about=False,
        spans=True,
    ),
    Verb("pods", "What is known of the pods of a deployment's pool.", PAGE, answer="PodList", event=False),
    Verb(
        "plan",
        "What a manifest, or the wish as it stands, would lead to, pod by pod; nothing is changed.",
        PAGE,
        answer="Preview",
        event=False,
        manifest=True,
    ),
    Verb("explain", "Every gate and every clause of the budget.", answer="Explanation", event=False),
    Verb("history", "The revisions that are kept.", PAGE, answer="History", event=False),
)
