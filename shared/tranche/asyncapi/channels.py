"""Every subject that messages are stored on, one row each: its address, what it carries, who writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tranche.contract import subjects
from tranche.contract.answer import Rejection
from tranche.contract.explanation import Freeze
from tranche.contract.ledger import Ledger, Task
from tranche.contract.message import Message
from tranche.contract.plan import Plan
from tranche.contract.progress import Progress
from tranche.contract.record import PodRecord
from tranche.contract.status import Status

PARAMETERS: Mapping[str, str] = {
    "namespace": "The deployment's namespace.",
    "name": "The deployment's name.",
    "base": "The base whose pods host the module.",
    "pod": "The pod's name.",
    "module": "The module's name.",
    "kind": "What kind of process looks after it.",
    "what": "`member`: a process that is alive; `key`: what one of them looks after.",
}
"""Words that stand in an address; in each, characters outside [A-Za-z0-9_-] are written =XX."""


def address(build: Callable[..., str], *words: str) -> str:
    """The address of subjects of this shape.

    >>> address(subjects.status, "namespace", "name")
    'tranche.status.{namespace}.{name}'
    """
    parts = build(*words).split(".")
    return ".".join(f"{{{part}}}" if part in words and part in PARAMETERS else part for part in parts)


def key_address(bucket: str, *words: str) -> str:
    """
    >>> key_address(subjects.POOLS, "namespace", "base")
    '$KV.tranche-pools.{namespace}.{base}'
    """
    return address(lambda *parts: subjects.key(bucket, *parts), *words)


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of subject. ``writer``: who alone writes there."""

    name: str
    address: str
    stream: str
    model: type[Message] | None
    writer: str
    about: str
    audience: Literal["public", "internal"] = "internal"

    @property
    def words(self) -> tuple[str, ...]:
        """The parameters of the address."""
        return tuple(part[1:-1] for part in self.address.split(".") if part.startswith("{"))


OUT: tuple[Channel, ...] = (
    Channel(
        "status",
        address(subjects.status, "namespace", "name"),
        subjects.STATUS,
        Status,
        "planner",
        "The rollout status: one complete document per change worth telling, newest last. Ask for the last one "
        "for now, follow for live.",
        "public",
    ),
    Channel(
        "availability",
        address(subjects.record, "namespace", "base", "pod"),
        subjects.AVAILABILITY,
        PodRecord,
        "executor",
        "All that is known of one pod: the newest record.",
        "public",
    ),
    Channel(
        "rejected",
        address(subjects.rejected, "namespace", "name"),
        subjects.REJECTED,
        Rejection,
        "all services",
        "A refused message and why; `_unknown._unknown` where its subject cannot be read.",
        "public",
    ),
    Channel(
        "plans",
        address(subjects.plan, "namespace", "base", "name"),
        subjects.PLANS,
        Plan,
        "planner",
        "The newest release level of a deployment: so many replicas, so many of them updated.",
    ),
    Channel(
        "progress",
        address(subjects.progress, "namespace", "name"),
        subjects.PROGRESS,
        Progress,
        "scheduler",
        "How many replicas are how, as an answer to a plan.",
    ),
    Channel(
        "tasks",
        address(subjects.task, "namespace", "base", "pod"),
        subjects.TASKS,
        Task,
        "scheduler",
        "A hint that a pod has a claim; what is to be done stands in the pool's ledger.",
    ),
    Channel(
        "wake",
        address(subjects.wake, "namespace", "name"),
        subjects.WAKE,
        None,
        "the broker",
        "Something of this deployment is due. The body is empty.",
    ),
    Channel(
        "schedule",
        address(subjects.schedule, "namespace", "name"),
        subjects.WAKE,
        None,
        "planner",
        "When the broker is to wake the planner. The body is empty, the time stands in the headers.",
    ),
    Channel(
        "pools",
        key_address(subjects.POOLS, "namespace", "base"),
        subjects.bucket_stream(subjects.POOLS),
        Ledger,
        "scheduler",
        "A pool's ledger: the claims in flight, in one value that changes only by compare and swap.",
    ),
    Channel(
        "freezes",
        key_address(subjects.FREEZES, "namespace"),
        subjects.bucket_stream(subjects.FREEZES),
        Freeze,
        "planner",
        "A namespace, or `_all`, in which nothing new is disturbed.",
    ),
)

_PRIVATE: tuple[Channel, ...] = (
    Channel(
        "deployments",
        key_address(subjects.DOCUMENTS, "namespace", "name"),
        subjects.bucket_stream(subjects.DOCUMENTS),
        None,
        "planner",
        "All the planner knows of one deployment. Its own business: read the status instead.",
    ),
    Channel(
        "owners",
        key_address(subjects.OWNERS, "namespace", "base", "module"),
        subjects.bucket_stream(subjects.OWNERS),
        None,
        "planner",
        "Which deployment owns a module on a pool.",
    ),
)

_LEASES = tuple(
    Channel(
        f"leases-{name}",
        key_address(subjects.LEASES, "kind", "what", *words),
        subjects.bucket_stream(subjects.LEASES),
        None,
        "scheduler, executor",
        about,
    )
    for name, words, about in (
        ("name", ("name",), "A process that is alive; ends by itself."),
        ("pool", ("namespace", "base"), "Who looks after a pool; ends by itself."),
    )
)


def channels(kept: Mapping[str, type[Message]]) -> tuple[Channel, ...]:
    """All of them; ``kept``: by bucket, the models of values that are a service's own."""
    own = (*_PRIVATE, *_LEASES)
    streams = {subjects.bucket_stream(bucket): model for bucket, model in kept.items()}
    filled = (
        Channel(
            one.name, one.address, one.stream, streams.get(one.stream), one.writer, one.about, one.audience
        )
        for one in own
    )
    return (*OUT, *filled)
