"""What was seen on a base, folded into the pod's record (design 1.6, 2.2).

An operation under way is never touched, and seeing never clears ``failed``: only an operation, or the module's
appearance, does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tranche.contract.record import ModuleEntry, ModuleState, PodRecord, Serving
from tranche_executor.arklet.wire import Biz, BizState, Bizzes
from tranche_executor.core.capacity import capacity
from tranche_executor.core.pod import Pod

REFRESH = timedelta(minutes=10)
"""An unchanged record is written again so often (design 2.3)."""
STATES: Mapping[BizState, ModuleState] = {
    BizState.ACTIVATED: "available",
    BizState.DEACTIVATED: "inactive",
    BizState.RESOLVED: "installing",
    BizState.BROKEN: "failed",
    BizState.STOPPED: "inactive",
    BizState.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Silence:
    """The base did not answer: why."""

    message: str


Seen = Bizzes | Silence


def observe(record: PodRecord | None, pod: Pod, seen: Seen, now: datetime) -> PodRecord:
    """The record after a look at the pod and its base; for a pod with no operation under way."""
    before = described(record, pod, now)
    match seen:
        case Silence(message):
            return before.but(ready=False, reason="PodUnreachable", message=message, observed_at=now)
        case Bizzes():
            modules = {
                name: entry
                for name in sorted(before.modules.keys() | {biz.name for biz in seen.bizzes})
                if (entry := fold(before.modules.get(name), seen.of(name), now)) is not None
            }
            return answered(before, pod.ready, seen).but(modules=modules, observed_at=now)


def answered(record: PodRecord, ready: bool, seen: Bizzes) -> PodRecord:
    """The record of a pod whose base has answered; its modules are not looked at."""
    return record.but(
        ready=ready, reason="", message="", base_identity=seen.base_identity or record.base_identity
    )


def described(record: PodRecord | None, pod: Pod, now: datetime) -> PodRecord:
    """The record with what the source says of the pod, a fresh one where there is none or it is another pod."""
    room = capacity(pod)
    facts = {
        "address": pod.address,
        "terminating": pod.terminating,
        "cordoned": room.cordoned,
        "max_modules": room.max_modules,
        "capacity_problem": room.problem,
        "gone": False,
        "source": pod.source,
    }
    if record is not None and record.uid == pod.uid:
        return record.but(**facts, ready=record.ready and pod.ready)
    return PodRecord(
        namespace=pod.key.namespace,
        base=pod.key.base,
        pod=pod.key.pod,
        uid=pod.uid,
        address=pod.address,
        ready=False,
        observed_at=now,
        operation=record.operation if record is not None else None,
    ).but(**facts)


def replaced(record: PodRecord, now: datetime) -> PodRecord:
    """The record of a pod that is gone, or whose name another pod has: its operation is over, its token stays.

    The token outlives the pod, or a claim of before could be begun anew (design 2.2).
    """
    noted = record.operation
    if noted is None or noted.over:
        return record
    # Ids that may still be on their way stay noted: the address may be the same one again.
    return record.but(operation=noted.but(state="unchanged", since=now, message="the pod is gone"))


def gone(record: PodRecord, now: datetime) -> PodRecord:
    """The record of a pod that its source no longer has."""
    return replaced(record, now).but(
        gone=True, ready=False, reason="PodLost", message="", modules={}, observed_at=now
    )


def fold(entry: ModuleEntry | None, there: tuple[Biz, ...], now: datetime) -> ModuleEntry | None:
    """One module's entry after a look at it: ``there`` are all its versions on the base."""
    if not there:
        # A base that restarted has lost its modules; a failed start leaves nothing either, and stays failed.
        return entry.but(serving=None) if entry is not None and entry.state == "failed" else None
    if entry is None:
        return _foreign(_foremost(there), now)
    ours = next((biz for biz in there if biz.version == entry.version), None)
    active = _active(there)
    if entry.state == "failed":
        return _after_failure(entry, ours, active, now)
    if ours is None:
        return _as_serving(entry, _foremost(there), now)
    if ours.state is not BizState.ACTIVATED and active is not None:
        serving = Serving(version=active.version, revision=_revision(entry, active.version))
        return _in_state(entry, STATES[ours.state], ours, now).but(serving=serving)
    return _in_state(entry, STATES[ours.state], ours, now).but(serving=None)


def changed(before: PodRecord | None, after: PodRecord) -> bool:
    """Whether there is anything to write."""
    if before is None:
        return True
    quiet = before.but(observed_at=after.observed_at, nonce=after.nonce)
    return quiet != after or after.observed_at - before.observed_at >= REFRESH


def _foreign(biz: Biz, now: datetime) -> ModuleEntry:
    """Not ours: revision 0."""
    return ModuleEntry(
        version=biz.version, revision=0, state=STATES[biz.state], message=biz.message, since=now
    )


def _after_failure(entry: ModuleEntry, ours: Biz | None, active: Biz | None, now: datetime) -> ModuleEntry:
    if ours is not None and ours.state is BizState.ACTIVATED and entry.reason != "UninstallFailed":
        return _cleared(entry, "available", now)
    serving = Serving(version=active.version, revision=_revision(entry, active.version)) if active else None
    return entry if entry.serving == serving else entry.but(serving=serving)


def _as_serving(entry: ModuleEntry, biz: Biz, now: datetime) -> ModuleEntry:
    """Another version than noted is there: ours only where we noted it as serving."""
    revision = _revision(entry, biz.version)
    if not revision:
        return _foreign(biz, now)
    return _cleared(entry.but(version=biz.version, revision=revision), STATES[biz.state], now)


def _in_state(entry: ModuleEntry, state: ModuleState, biz: Biz, now: datetime) -> ModuleEntry:
    if state == entry.state:
        return entry
    after = _cleared(entry, state, now)
    if state == "failed":
        reason = "InstallFailed"
        return after.but(reason=reason, message=biz.message or "broken", tries=entry.tries + 1, passing=False)
    return after


def _cleared(entry: ModuleEntry, state: ModuleState, now: datetime) -> ModuleEntry:
    return entry.but(state=state, serving=None, reason="", message="", tries=0, passing=False, since=now)


def _revision(entry: ModuleEntry, version: str) -> int:
    """Our number for a version of the module, 0 where we have none."""
    if entry.serving is not None and entry.serving.version == version:
        return entry.serving.revision
    return entry.revision if entry.version == version else 0


def _active(there: tuple[Biz, ...]) -> Biz | None:
    return next((biz for biz in there if biz.state is BizState.ACTIVATED), None)


def _foremost(there: tuple[Biz, ...]) -> Biz:
    """The version that stands for the module: the one that serves, else the first."""
    return _active(there) or there[0]
