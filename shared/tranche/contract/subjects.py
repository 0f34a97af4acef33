"""Every subject, stream, bucket and header there is; strings of subjects occur here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from tranche.contract.given import quoted
from tranche.contract.names import token, untoken

DEPLOYMENTS = "TRANCHE_DEPLOYMENTS"
PLANS = "TRANCHE_PLANS"
TASKS = "TRANCHE_TASKS"
AVAILABILITY = "TRANCHE_AVAILABILITY"
PROGRESS = "TRANCHE_PROGRESS"
STATUS = "TRANCHE_STATUS"
REJECTED = "TRANCHE_REJECTED"
WAKE = "TRANCHE_WAKE"

DOCUMENTS = "tranche-deployments"
POOLS = "tranche-pools"
OWNERS = "tranche-owners"
FREEZES = "tranche-freezes"
LEASES = "tranche-leases"

SCHEMA_HEADER = "Tranche-Schema"
SCHEMA = "1"
REPLY_HEADER = "Tranche-Reply"
"""On an event that came through the request API: where its answer goes."""

UNKNOWN = "_unknown"
ALL_NAMESPACES = "_all"


class EventSubject(NamedTuple):
    """The parts of ``tranche.deployments.<namespace>.<name>.<verb>``, decoded."""

    namespace: str
    name: str
    verb: str


class PodSubject(NamedTuple):
    """The parts of a task's or an availability subject, decoded."""

    namespace: str
    base: str
    pod: str


def event(namespace: str, name: str, verb: str) -> str:
    """
    >>> event("shop", "cart", "apply")
    'tranche.deployments.shop.cart.apply'
    """
    return f"tranche.deployments.{token(namespace)}.{token(name)}.{verb}"


def read_event(subject: str) -> EventSubject:
    """Raises ValueError when the subject is not an event's, or a part of it cannot be decoded."""
    parts = subject.split(".")
    if len(parts) != 5 or parts[:2] != ["tranche", "deployments"]:
        raise ValueError(f"{quoted(subject)} is not tranche.deployments.<namespace>.<name>.<verb>")
    return EventSubject(untoken(parts[2]), untoken(parts[3]), parts[4])


def api(namespace: str, verb: str) -> str:
    """Where a verb of the request API is asked for; ``_all`` spans all namespaces."""
    return f"tranche.api.{namespace if namespace in ('*', ALL_NAMESPACES) else token(namespace)}.{verb}"


def read_api(subject: str) -> tuple[str, str]:
    """Namespace and verb of a request's subject. Raises ValueError."""
    parts = subject.split(".")
    if len(parts) != 4 or parts[:2] != ["tranche", "api"]:
        raise ValueError(f"{quoted(subject)} is not tranche.api.<namespace>.<verb>")
    return (parts[2] if parts[2] == ALL_NAMESPACES else untoken(parts[2])), parts[3]


def plan(namespace: str, base: str, name: str) -> str:
    return f"tranche.plans.{token(namespace)}.{token(base)}.{token(name)}"


def plans_of(namespace: str, base: str) -> str:
    """Filter: all plans of a pool."""
    return f"tranche.plans.{token(namespace)}.{token(base)}.*"


ALL_PLANS = "tranche.plans.*.*.*"
"""Filter: all plans."""


def read_plan(subject: str) -> tuple[str, str, str]:
    """Namespace, base and name of a plan's subject. Raises ValueError.

    >>> read_plan(plan("shop", "web.base", "cart"))
    ('shop', 'web.base', 'cart')
    """
    parts = subject.split(".")
    if len(parts) != 5 or parts[:2] != ["tranche", "plans"]:
        raise ValueError(f"{quoted(subject)} is no plan's")
    return untoken(parts[2]), untoken(parts[3]), untoken(parts[4])


def task(namespace: str, base: str, pod: str) -> str:
    return f"tranche.tasks.{token(namespace)}.{token(base)}.{token(pod)}"


ALL_RECORDS = "tranche.availability.*.*.*"
"""Filter: all pod records."""


def record(namespace: str, base: str, pod: str) -> str:
    return f"tranche.availability.{token(namespace)}.{token(base)}.{token(pod)}"


def records_of(namespace: str, base: str) -> str:
    """Filter: all pod records of a pool."""
    return f"tranche.availability.{token(namespace)}.{token(base)}.*"


def read_pod(subject: str) -> PodSubject:
    """Of a task's or an availability subject. Raises ValueError."""
    parts = subject.split(".")
    if len(parts) != 5 or parts[0] != "tranche" or parts[1] not in ("tasks", "availability"):
        raise ValueError(f"{quoted(subject)} names no pod")
    return PodSubject(untoken(parts[2]), untoken(parts[3]), untoken(parts[4]))


def read_pods(found: Iterable[str]) -> list[PodSubject]:
    """Of all these subjects; those that name no pod are left out."""
    pods: list[PodSubject] = []
    for subject in found:
        with suppress(ValueError):
            pods.append(read_pod(subject))
    return pods


def progress(namespace: str, name: str) -> str:
    return f"tranche.progress.{token(namespace)}.{token(name)}"


def status(namespace: str, name: str) -> str:
    return f"tranche.status.{token(namespace)}.{token(name)}"


def statuses_of(namespace: str | None) -> str:
    """Filter: all statuses of a namespace, or of all."""
    return f"tranche.status.{token(namespace)}.*" if namespace else "tranche.status.*.*"


def rejected(namespace: str = UNKNOWN, name: str = UNKNOWN) -> str:
    """Where a refused event is kept with its reason; ``_unknown`` where its subject cannot be read."""
    keep = {UNKNOWN}
    return ".".join(
        ("tranche.rejected", *(part if part in keep else token(part) for part in (namespace, name)))
    )


def wake(namespace: str, name: str) -> str:
    """Where the broker wakes the planner when something is due."""
    return f"tranche.wake.{token(namespace)}.{token(name)}"


def schedule(namespace: str, name: str) -> str:
    """Where the schedule of that wake-up is kept."""
    return f"tranche.schedule.{token(namespace)}.{token(name)}"


def preview(namespace: str, base: str) -> str:
    """Where a pool's owner answers what-if questions."""
    return f"tranche.preview.{token(namespace)}.{token(base)}"


PREVIEWS = "tranche.preview.*.*"
"""Where any scheduler listens for them."""


def read_preview(subject: str) -> tuple[str, str]:
    """Namespace and base of a what-if question's subject. Raises ValueError.

    >>> read_preview(preview("shop", "web.base"))
    ('shop', 'web.base')
    """
    parts = subject.split(".")
    if len(parts) != 4 or parts[:2] != ["tranche", "preview"]:
        raise ValueError(f"{quoted(subject)} names no pool to be asked")
    return untoken(parts[2]), untoken(parts[3])


def bucket_stream(bucket: str) -> str:
    """The stream behind a KV bucket."""
    return f"KV_{bucket}"


def key(bucket: str, *parts: str) -> str:
    """The subject of a KV key made of these parts.

    >>> key("tranche-pools", "shop", "web.base")
    '$KV.tranche-pools.shop.web=2Ebase'
    """
    return ".".join((f"$KV.{bucket}", *map(token, parts)))


def read_key(subject: str) -> tuple[str, ...]:
    """The parts of a KV key, decoded. Raises ValueError."""
    parts = subject.split(".")
    if len(parts) < 3 or parts[0] != "$KV":
        raise ValueError(f"{quoted(subject)} is not a key of a bucket")
    return tuple(map(untoken, parts[2:]))


def read_keys(found: Iterable[str]) -> list[tuple[str, ...]]:
    """Of all these subjects; those that nobody would write are left out.

    >>> read_keys(["$KV.tranche-pools.shop.web", "$KV.tranche-pools.=ZZ.web"])
    [('shop', 'web')]
    """
    keys: list[tuple[str, ...]] = []
    for subject in found:
        with suppress(ValueError):
            keys.append(read_key(subject))
    return keys
