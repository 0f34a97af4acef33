"""How one operation is written into the pod's record: begun, at a step, stuck, over (design 2.2, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from tranche.contract.content import Content
from tranche.contract.ledger import Claim
from tranche.contract.record import ModuleEntry, Operation, PodRecord, Serving
from tranche_executor.arklet.failure import Failure
from tranche_executor.arklet.wire import BizState, Bizzes
from tranche_executor.core.observation import answered, fold
from tranche_executor.core.step import (
    Change,
    Done,
    Failed,
    Kept,
    Switch,
    Uninstall,
    request_id,
    written,
)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The base does not answer, and nothing was sent to it."""

    message: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The claim was withdrawn before anything was sent."""


End = Done | Failed | Kept | Unreachable | Withdrawn


def begun(record: PodRecord, claim: Claim, *, epoch: str, holder: str, now: datetime) -> PodRecord:
    """The record once its holder has written itself in; what may have been sent before is not forgotten."""
    before = record.operation
    if before is not None and before.token == claim.token:
        return record if before.holder == holder else record.but(operation=before.but(holder=holder))
    # Ids of an operation that was never known over (lost history, a pod that went and came): still to be fenced.
    left = before.open if before is not None else ()
    return record.but(
        operation=Operation(
            token=claim.token,
            uid=claim.uid,
            holder=holder,
            state="started",
            op=claim.op,
            deployment=claim.deployment,
            epoch=epoch,
            open=left,
            since=now,
        )
    )


def stepping(
    record: PodRecord,
    claim: Claim,
    content: Content | None,
    change: Change,
    bizzes: Bizzes,
    *,
    ready: bool,
    now: datetime,
) -> tuple[PodRecord, str]:
    """The record just before a changing call, and the id under which it is sent (empty for a switch).

    Raises ValueError where the record names another operation.
    """
    noted = _noted(record, claim)
    numbered = noted.but(attempt=noted.attempt + 1)
    # A switch is answered at once, so arklet keeps no id of it; sent twice or late it changes nothing.
    id_ = "" if isinstance(change, Switch) else request_id(numbered, change)
    operation = numbered.but(
        state="started", step=written(change), open=(id_,) if id_ else (), since=now, message=""
    )
    minus = change.version if isinstance(change, Uninstall) and change.module == claim.module else None
    entry = _moving(record.modules.get(claim.module), claim, content, bizzes, minus, now)
    modules = {**_others(record, claim, bizzes, now), **({claim.module: entry} if entry else {})}
    after = answered(record, ready, bizzes).but(operation=operation, modules=modules, observed_at=now)
    return after, id_


def leaving(record: PodRecord, claim: Claim, *, now: datetime) -> PodRecord:
    """The record of a pod whose module is out of traffic and waits for its requests to end; nothing was sent.

    The entry keeps its version and revision: what is there is still that.
    """
    noted = _noted(record, claim)
    message = f"out of traffic: requests under way have {claim.drain_s} s to end"
    operation = noted.but(state="started", message=message)
    entry = record.modules.get(claim.module)
    modules = dict(record.modules)
    if entry is not None:
        modules[claim.module] = entry.but(state="uninstalling", serving=None, since=now)
    return record.but(operation=operation, modules=modules, observed_at=now)


def takes_down(change: Change, claim: Claim, bizzes: Bizzes) -> bool:
    """Whether nothing of the claim's module serves on the pod after the step."""
    if not isinstance(change, Uninstall) or change.module != claim.module:
        return False
    return serving(None, claim, None, bizzes, change.version) is None


def stuck(record: PodRecord, claim: Claim, message: str, *, unreachable: bool, now: datetime) -> PodRecord:
    """The record of an operation that cannot go on now, and says what to do."""
    noted = _noted(record, claim).but(state="stuck", message=message)
    if not unreachable:
        return record.but(operation=noted)
    return record.but(operation=noted, ready=False, reason="PodUnreachable", message=message, observed_at=now)


def ended(
    record: PodRecord,
    claim: Claim,
    content: Content | None,
    end: End,
    bizzes: Bizzes | None,
    *,
    ready: bool,
    now: datetime,
) -> PodRecord:
    """The terminal record: the proof on which the claim leaves. Every id is known over or burnt by now."""
    noted = _noted(record, claim)
    match end:
        case Withdrawn():
            operation = noted.but(state="unchanged", message="withdrawn before anything was sent", open=())
            return record.but(operation=operation)
        case Unreachable(message):
            operation = noted.but(state="unchanged", message=message, open=())
            return record.but(
                operation=operation, ready=False, reason="PodUnreachable", message=message, observed_at=now
            )
        case Kept(version):
            seen = bizzes or Bizzes()
            message = f"{claim.module}:{version} serves already, and nothing may be taken down for this"
            operation = noted.but(state="unchanged", message=message, open=(), since=now)
            modules = _seen(record, seen, now)
            return answered(record, ready, seen).but(operation=operation, modules=modules, observed_at=now)
        case Done() | Failed():
            seen = bizzes or Bizzes()
            entry = _entry_at_end(record.modules.get(claim.module), claim, content, end, seen, now)
            modules = {**_others(record, claim, seen, now), **({claim.module: entry} if entry else {})}
            state = "done" if isinstance(end, Done) else "failed"
            message = "" if isinstance(end, Done) else told(end.failure)
            operation = noted.but(state=state, message=message, open=(), since=now)
            return answered(record, ready, seen).but(operation=operation, modules=modules, observed_at=now)
        case _:
            assert_never(end)


def resumed(record: PodRecord, claim: Claim, *, ready: bool) -> PodRecord:
    """The record of an operation whose base answers again."""
    return record.but(
        ready=ready, reason="", message="", operation=_noted(record, claim).but(state="started", message="")
    )


def told(failure: Failure) -> str:
    """The base's own words, and what to do instead where that is known."""
    return f"{failure.message}; {failure.advice}" if failure.advice else failure.message


def serving(
    entry: ModuleEntry | None, claim: Claim, content: Content | None, bizzes: Bizzes, minus: str | None
) -> Serving | None:
    """The version that serves while the operation runs, without the one that is being taken away."""
    for biz in bizzes.of(claim.module):
        if biz.state is BizState.ACTIVATED and biz.version != minus:
            return Serving(version=biz.version, revision=_revision(entry, claim, content, biz.version))
    return None


def _revision(entry: ModuleEntry | None, claim: Claim, content: Content | None, version: str) -> int:
    if entry is not None and entry.serving is not None and entry.serving.version == version:
        return entry.serving.revision
    if entry is not None and entry.version == version:
        return entry.revision
    return claim.revision if content is not None and content.version == version else 0


def _moving(
    entry: ModuleEntry | None,
    claim: Claim,
    content: Content | None,
    bizzes: Bizzes,
    minus: str | None,
    now: datetime,
) -> ModuleEntry | None:
    beside = serving(entry, claim, content, bizzes, minus)
    if claim.op == "remove" or content is None:
        return entry.but(state="uninstalling", serving=beside, token=claim.token) if entry else None
    again = entry if entry is not None and entry.revision == claim.revision else None
    return ModuleEntry(
        version=content.version,
        revision=claim.revision,
        state="installing",
        serving=beside,
        generation=claim.generation,
        batch=claim.batch,
        token=claim.token,
        since=again.since if again is not None and again.state == "installing" else now,
        tries=again.tries if again is not None else 0,
    )


def _entry_at_end(
    entry: ModuleEntry | None,
    claim: Claim,
    content: Content | None,
    end: Done | Failed,
    bizzes: Bizzes,
    now: datetime,
) -> ModuleEntry | None:
    if isinstance(end, Failed):
        return _failed(entry, claim, content, end, bizzes, now)
    there = bizzes.of(claim.module)
    match claim.op:
        case "remove":
            return None
        case "observe":
            return _observed(entry, claim, content, bizzes, now)
        case "install" | "replace":
            version = content.version if content is not None else there[0].version
            return _named(claim, version, now)
        case _:
            assert_never(claim.op)


def _named(claim: Claim, version: str, now: datetime) -> ModuleEntry:
    return ModuleEntry(
        version=version,
        revision=claim.revision,
        state="available",
        generation=claim.generation,
        batch=claim.batch,
        token=claim.token,
        since=now,
    )


def _observed(
    entry: ModuleEntry | None, claim: Claim, content: Content | None, bizzes: Bizzes, now: datetime
) -> ModuleEntry | None:
    """Taking over: what serves at the target's version is ours from now on, also where something else failed."""
    seen = fold(entry, bizzes.of(claim.module), now)
    if content is None or not claim.revision:
        return seen
    if not any(
        biz.version == content.version and biz.state is BizState.ACTIVATED for biz in bizzes.of(claim.module)
    ):
        return seen
    named = _named(claim, content.version, now)
    if entry is not None and entry.state == "available" and _same(entry, named):
        # Looked at again: it is available for as long as before.
        return named.but(since=entry.since)
    return named


def _same(entry: ModuleEntry, other: ModuleEntry) -> bool:
    return (entry.version, entry.revision) == (other.version, other.revision)


def _failed(
    entry: ModuleEntry | None,
    claim: Claim,
    content: Content | None,
    end: Failed,
    bizzes: Bizzes,
    now: datetime,
) -> ModuleEntry:
    there = bizzes.of(claim.module)
    if claim.op != "remove" and content is not None:
        version, revision = content.version, claim.revision
    elif entry is not None:
        version, revision = entry.version, entry.revision
    else:
        version, revision = there[0].version if there else "", 0
    tries = entry.tries if entry is not None and entry.revision == revision else 0
    return ModuleEntry(
        version=version,
        revision=revision,
        state="failed",
        serving=serving(entry, claim, content, bizzes, None),
        reason=end.reason,
        message=told(end.failure),
        generation=claim.generation,
        batch=claim.batch,
        token=claim.token,
        since=now,
        tries=tries + 1,
        passing=end.failure.passing,
    )


def _others(record: PodRecord, claim: Claim, bizzes: Bizzes, now: datetime) -> dict[str, ModuleEntry]:
    """The other modules of the pod as they are seen."""
    return {name: entry for name, entry in _seen(record, bizzes, now).items() if name != claim.module}


def _seen(record: PodRecord, bizzes: Bizzes, now: datetime) -> dict[str, ModuleEntry]:
    """The modules of the pod as they are seen."""
    names = record.modules.keys() | {biz.name for biz in bizzes.bizzes}
    return {
        name: entry
        for name in sorted(names)
        if (entry := fold(record.modules.get(name), bizzes.of(name), now)) is not None
    }


def _noted(record: PodRecord, claim: Claim) -> Operation:
    noted = record.operation
    if noted is None or noted.token != claim.token:
        raise ValueError(f"the record of {record.pod} does not name token {claim.token}")
    return noted
