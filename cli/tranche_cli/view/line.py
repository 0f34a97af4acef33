"""A status on one line: for pipes, logs and `tranche events`."""

from __future__ import annotations

from tranche.contract.record import PodRecord
from tranche.contract.status import BatchStatus, Status
from tranche_cli.view.words import clock, safe


def line(status: Status, *, before: Status | None = None) -> str:
    """When, which deployment, its phase, where it stands, and what happened."""
    return f"{clock(status.at)}  {summary(status, before=before)}"


def summary(status: Status, *, before: Status | None = None) -> str:
    """The line without its time: two statuses with the same one need not both be printed.

    The event is told only when it is another than ``before``.
    """
    parts = [f"{status.namespace}/{status.name}", f"{status.phase:<11}", *_where(status), *_counts(status)]
    told = [safe(status.message)] if status.message else []
    event = status.event
    if (before is None or before.event != event) and event.message and event.message != status.message:
        told.insert(0, f"{event.reason}: {safe(event.message)}")
    return "  ".join([*parts, " | ".join(told)]).rstrip()


def _where(status: Status) -> list[str]:
    batch = status.batch
    return [f"batch {batch.current}/{batch.count}"] if batch.count else []


def _counts(status: Status) -> list[str]:
    counts = [f"{status.updated}/{status.replicas} updated", f"{status.available} available"]
    if status.failed:
        counts.append(f"{status.failed} failed")
    return counts


def pod_line(record: PodRecord, module: str) -> str:
    """One pod on one line, for pipes: when it was looked at, and how it was found."""
    return f"{clock(record.observed_at)}  {pod_summary(record, module)}"


def pod_summary(record: PodRecord, module: str) -> str:
    """The line without its time: looked at again, and nothing else, is not worth another one."""
    state = "gone" if record.gone else "ready" if record.ready else "not ready"
    entry = record.modules.get(module)
    runs = f"{entry.version} {entry.state}" if entry else "-"
    why = (entry.message if entry else "") or record.message or record.reason
    return "  ".join([safe(record.pod), f"{state:<9}", safe(runs), safe(why)]).rstrip()


def batch_line(status: Status, batch: BatchStatus) -> str:
    """One batch on one line."""
    name = f"batch {batch.index}/{status.batch.count}{' beta' if batch.beta else ''}"
    who = f"confirmed by {safe(batch.confirmed_by)}" if batch.confirmed_by else ""
    parts = [clock(status.at), name, f"{batch.size:>5}", batch.state.lower(), who]
    return "  ".join(parts).rstrip()
