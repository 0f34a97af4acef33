"""Carries one claim out on one pod: read the record, ask the base, write, send; one step after the other.

What to do is decided in ``core``; here it is done, with the record written by CAS just before each changing call
and every id that may have been sent known over, or burnt, before the next one (design 2.2).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import assert_never

import structlog

from tranche.bus.cas import Held
from tranche.contract.content import Content
from tranche.contract.ledger import Claim
from tranche.contract.record import Operation as Noted
from tranche.contract.record import PodRecord
from tranche.errors import Conflict, TrancheError, Unavailable, Unknown
from tranche.runtime import Runtime
from tranche.streams import CALL_S, TASK_HOLD_S
from tranche_executor.arklet.failure import Failure
from tranche_executor.arklet.operation import Operation, OperationState
from tranche_executor.arklet.wire import Bizzes
from tranche_executor.base import Base, NotSent, Sent
from tranche_executor.core import admission, entry
from tranche_executor.core.fence import (
    Ask,
    Burn,
    Fence,
    Forgotten,
    NeverRan,
    Outcome,
    Running,
    Told,
    fence,
    outcome,
)
from tranche_executor.core.observation import Silence
from tranche_executor.core.operation import Situation, decide, settled_by_sight
from tranche_executor.core.pod import PodKey
from tranche_executor.core.step import Change, Done, Failed, Kept, Switch, Wait, word_of
from tranche_executor.hold import Hold, LetGo
from tranche_executor.records import Records
from tranche_executor.traffic import Traffic, Unsteered

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
PATIENCE_S = 1.0
"""A silent base that was sent nothing is asked again for so long: it may listen shortly (design 5.2)."""
LONG_PATIENCE_S = 3.0
"""The same where something was sent: a base that restarts in place."""
RESTED = timedelta(seconds=TASK_HOLD_S + CALL_S)
"""A call to the pod that had this name or address before is over after so long."""

log = structlog.get_logger()


class Verdict(Enum):
    """What becomes of the task."""

    OVER = "over"
    """The record proves the claim over: ack."""
    AGAIN = "again"
    """It cannot go on now: to be delivered again after a while."""


@dataclass(slots=True)
class Pauses:
    """Ever longer pauses between two looks; short ones again after each change."""

    runtime: Runtime
    next_s: float = FIRST_PAUSE_S

    def reset(self) -> None:
        self.next_s = FIRST_PAUSE_S

    async def rest(self) -> None:
        pause_s = self.next_s
        self.next_s = min(LONGEST_PAUSE_S, pause_s * 1.5)
        await self.runtime.clock.sleep(pause_s)


async def _always() -> bool:
    return True


@dataclass(slots=True)
class Operating:
    """One claim on one pod, from wherever it stands to its end. ``ready``: the source says so."""

    key: PodKey
    claim: Claim
    content: Content | None
    epoch: str
    holder: str
    held: Held[PodRecord]
    base: Base
    hold: Hold
    records: Records
    runtime: Runtime
    ready: bool
    unfit: Callable[[Content], Awaitable[Failure | None]]
    """Why the content may not be installed; asked before anything is disturbed. Waits only for a digest."""
    install_timeout_s: float
    listed: Callable[[PodRecord], PodRecord] = lambda record: record
    """The record with what the source says of the pod by now: who sees the end must not place by old labels."""
    still_there: Callable[[], Awaitable[bool]] = _always
    """Whether the source, asked anew, has the pod where it was when the claim was taken up. Raises Unavailable."""
    traffic: Traffic = field(default_factory=Unsteered)
    moved: Callable[[], bool] = lambda: False
    """Whether the pod is not where it was any more: nothing may be sent to its address."""
    left: bool = False
    """The module is out of traffic, and its requests had their time."""
    told: dict[str, Told] = field(default_factory=dict)
    switched: Outcome | None = None
    checked: bool = False
    silent_since: float | None = None
    before: PodRecord | None = None
    """The record before the first step, while surely nothing of ours has reached the base."""

    async def run(self) -> Verdict:
        """Raises LetGo where the task is no longer ours."""
        if self.claim.withdrawn and not admission.begun(self._record, self.claim):
            self.held = Held(self._begun(), self.held.sequence)
            return await self._end(entry.Withdrawn(), None)
        await self._rest_after_another()
        if not admission.held_by(self._record, self.claim, self.holder):
            await self._write(self._begun())
        if not self._noted.attempt and not self._noted.open:
            self.before = self._record
        return await self._converge()

    def _may_go_on(self) -> None:
        """Raises LetGo where nothing may be sent any more."""
        self.hold.check()
        if self.moved():
            raise LetGo("the pod is not where it was")

    async def _converge(self) -> Verdict:
        pauses = Pauses(self.runtime)
        while True:
            self._may_go_on()
            match fence(self._noted.open, self.told):
                case None:
                    verdict = await self._step(pauses)
                case blocked:
                    verdict = await self._settle(blocked, pauses)
            if verdict is not None:
                return verdict

    async def _settle(self, blocked: Fence, pauses: Pauses) -> Verdict | None:
        """Find out about an id that may still run."""
        known = self.told.get(blocked.request_id, Told())
        match blocked:
            case Ask(id_):
                return await self._learn(id_, await self.base.ask(id_, known), pauses)
            case Burn(id_):
                return await self._learn(id_, await self.base.burn(id_, known), pauses)
            case Running(id_):
                if self._overdue():
                    return await self._stuck_running(self._noted.step)
                await pauses.rest()
                self.told[id_] = Told()
                return None
            case Forgotten(id_):
                return await self._settle_by_sight(id_, pauses)
            case _:
                assert_never(blocked)

    async def _settle_by_sight(self, id_: str, pauses: Pauses) -> Verdict | None:
        seen = await self.base.look()
        if isinstance(seen, Silence):
            return await self._silent(seen, pauses)
        await self._heard()
        if settled_by_sight(self._situation(seen), self._noted.step):
            self.told[id_] = Told(Operation(id_, OperationState.SUCCEEDED))
            return None
        if self._overdue():
            return await self._stuck_running(self._noted.step)
        await pauses.rest()
        # Once the base was restarted it knows the id no longer, and it can be burnt.
        self.told[id_] = Told()
        return None

    async def _learn(self, id_: str, answer: Told | Silence, pauses: Pauses) -> Verdict | None:
        if isinstance(answer, Silence):
            return await self._silent(answer, pauses)
        await self._heard()
        self.told[id_] = answer
        return None

    async def _step(self, pauses: Pauses) -> Verdict | None:
        """Look, and take the next step."""
        seen = await self.base.look()
        if isinstance(seen, Silence):
            return await self._silent(seen, pauses)
        await self._heard()
        if (stranger := self._stranger(seen)) is not None:
            if self.before is not None:
                return await self._end(entry.Unreachable(stranger), None)
            if not await self.still_there():
                # What was sent went to a base that is gone, and nothing of it is for this one.
                log.info("another_base", reason=stranger)
                return Verdict.AGAIN
        step = decide(self._situation(seen))
        match step:
            case Done() | Failed() | Kept():
                return await self._end_in_traffic(step, seen, pauses)
            case Wait(what):
                if self._overdue():
                    return await self._stuck_running(what)
                await pauses.rest()
                return None
            case _:
                if self._unchecked:
                    verdict = await self._check(seen)
                    # A jar is fetched for its digest, so what was seen before that is not acted upon.
                    if verdict is not None or self._has_digest:
                        return verdict
                if not self.left and entry.takes_down(step, self.claim, seen):
                    # What was seen before the wait is not acted upon.
                    return await self._leave(step, seen)
                await self._change(step, seen, pauses)
                return None

    async def _leave(self, change: Change, seen: Bizzes) -> Verdict | None:
        """Out of traffic before the module is taken down; requests under way have their time to end."""
        self.hold.check()
        try:
            steered = await self.traffic.leave(self._record, self.claim.module)
        except Conflict as error:
            raise LetGo(str(error)) from error
        except TrancheError as error:
            message = f"not taken down, as it cannot be taken out of traffic: {error}; it goes on by itself"
            return await self._stuck(message, unreachable=False)
        serves = entry.serving(None, self.claim, None, seen, None) is not None
        if steered and serves and self.claim.drain_s:
            await self._write(entry.leaving(self._record, self.claim, now=self.runtime.clock.now()))
            await self._drain()
        self.left = True
        return None

    async def _drain(self) -> None:
        """For as long as the claim says, from now: whoever takes over waits anew, not knowing since when."""
        ends = self.runtime.clock.monotonic() + self.claim.drain_s
        while (left_s := ends - self.runtime.clock.monotonic()) > 0:
            self._may_go_on()
            await self.runtime.clock.sleep(min(left_s, LONGEST_PAUSE_S))

    async def _end_in_traffic(
        self, end: Done | Failed | Kept, seen: Bizzes, pauses: Pauses
    ) -> Verdict | None:
        """Into traffic once it is verified, and only then over: what counts as available gets requests."""
        try:
            await self._follow(end, seen)
        except Conflict:
            await pauses.rest()
            return None
        except TrancheError as error:
            if isinstance(end, Done):
                message = f"verified, and cannot be taken into traffic: {error}; it goes on by itself"
                return await self._stuck(message, unreachable=False)
            # What serves less than is known to is mended by whoever observes the pod.
            log.warning("traffic_not_told", reason=str(error))
        return await self._end(end, seen)

    async def _follow(self, end: Done | Failed | Kept, seen: Bizzes) -> None:
        mark = await self.traffic.mark(self._record)
        if mark is None:
            return
        found = await self.records.read(self.key)
        if found is None or found.sequence != self.held.sequence:
            raise LetGo("the record was written by somebody else")
        await self.traffic.follow(mark, self._record, self._ended(end, seen))

    def _stranger(self, seen: Bizzes) -> str | None:
        """Why this is not the base that was counted on: its address was given to another (design 2.2)."""
        known, found = self._record.base_identity, seen.base_identity
        if not known or not found or known == found:
            return None
        return f"another base answers at {self._record.address}: it is {found}, expected {known}"

    @property
    def _unchecked(self) -> bool:
        """Whether the content is still to be checked, which comes before the first changing call."""
        return not (self.checked or self._noted.attempt or self.claim.op == "remove" or self.content is None)

    @property
    def _has_digest(self) -> bool:
        return self.content is not None and self.content.sha256 is not None

    async def _check(self, seen: Bizzes) -> Verdict | None:
        failure = await self.unfit(self.content) if self.content is not None else None
        self.checked = True
        return await self._end(Failed(failure), seen) if failure is not None else None

    async def _change(self, change: Change, seen: Bizzes, pauses: Pauses) -> None:
        now = self.runtime.clock.now()
        record, id_ = entry.stepping(
            self._record, self.claim, self.content, change, seen, ready=self.ready, now=now
        )
        await self._write(record)
        self._may_go_on()
        pauses.reset()
        answer = await self.base.send(change, self.content, id_)
        told = answer.told if isinstance(answer, Sent) else Told(burnt=True)
        if isinstance(answer, Sent):
            self.before = None
        else:
            await pauses.rest()
        if isinstance(change, Switch):
            self.switched = outcome(told) if told.operation is not None else NeverRan()
        else:
            self.told[id_] = told
        if isinstance(answer, NotSent):
            log.info("not_sent", step=self._noted.step, reason=answer.message)

    async def _end(self, end: entry.End, seen: Bizzes | None) -> Verdict:
        record = self._record
        if isinstance(end, entry.Unreachable) and self.before is not None:
            record = record.but(modules=self.before.modules)
        now = self.runtime.clock.now()
        after = entry.ended(record, self.claim, self.content, end, seen, ready=self.ready, now=now)
        await self._write(self.listed(after))
        return Verdict.OVER

    def _ended(self, end: entry.End, seen: Bizzes) -> PodRecord:
        """The record as it will be."""
        now = self.runtime.clock.now()
        return entry.ended(self._record, self.claim, self.content, end, seen, ready=self.ready, now=now)

    async def _silent(self, silence: Silence, pauses: Pauses) -> Verdict | None:
        """The base does not answer: again for a moment, then say so."""
        now = self.runtime.clock.monotonic()
        if self.silent_since is None:
            self.silent_since = now
        nothing_sent = self.before is not None
        if now - self.silent_since < (PATIENCE_S if nothing_sent else LONG_PATIENCE_S):
            await pauses.rest()
            return None
        # After lost history a pod is asked until it answers: its silence proves nothing.
        asked_only = self.claim.op == "observe" and not self.claim.revision
        if nothing_sent and not asked_only:
            return await self._end(entry.Unreachable(silence.message), None)
        message = f"{silence.message}; it goes on when the base answers, and ends when the pod is gone"
        return await self._stuck(message, unreachable=True)

    async def _heard(self) -> None:
        self.silent_since = None
        if self._noted.state == "stuck" and self._record.reason == "PodUnreachable":
            await self._write(entry.resumed(self._record, self.claim, ready=self.ready))

    def _overdue(self) -> bool:
        since = self._noted.since or self.runtime.clock.now()
        return self.runtime.clock.now() - since > timedelta(seconds=self.install_timeout_s)

    async def _stuck_running(self, what: str) -> Verdict:
        message = (
            f"{what or 'something'} still runs on the base after {self.install_timeout_s:g} s; "
            "if it does not end, restart the base"
        )
        return await self._stuck(message, unreachable=False)

    async def _stuck(self, message: str, *, unreachable: bool) -> Verdict:
        if (self._noted.state, self._noted.message) != ("stuck", message):
            now = self.runtime.clock.now()
            await self._write(
                entry.stuck(self._record, self.claim, message, unreachable=unreachable, now=now)
            )
            log.warning("stuck", reason=message)
        return Verdict.AGAIN

    async def _rest_after_another(self) -> None:
        """The first claim on a reused name or address waits until calls to its predecessor are over."""
        noted = self._record.operation
        if noted is None or noted.uid == self.claim.uid or noted.since is None:
            return
        left = noted.since + RESTED - self.runtime.clock.now()
        await self.runtime.clock.sleep(max(0.0, min(left, RESTED).total_seconds()))

    async def _write(self, record: PodRecord) -> None:
        """Write the record while it names us. Raises LetGo where it does not, or the hold lapses meanwhile."""
        if record == self._record:
            return
        while True:
            self.hold.check()
            try:
                self.held = await self.records.write(self.key, record, expect=self.held.sequence)
                return
            except Conflict as error:
                raise LetGo("the record was written by somebody else") from error
            except (Unavailable, Unknown):
                await self.runtime.clock.sleep(0.2)

    def _begun(self) -> PodRecord:
        return entry.begun(
            self._record,
            self.claim,
            epoch=self.epoch,
            holder=self.holder,
            now=self.runtime.clock.now(),
        )

    def _situation(self, seen: Bizzes) -> Situation:
        return Situation(self.claim, self.content, self._record, seen, self._last())

    def _last(self) -> Outcome | None:
        """How the last changing step ended, where it is over."""
        noted = self._noted
        if not noted.step:
            return None
        if word_of(noted.step) == "switch":
            return self.switched
        known = self.told.get(noted.open[-1]) if noted.open else None
        return outcome(known) if known is not None and known.over else None

    @property
    def _record(self) -> PodRecord:
        return self.held.value

    @property
    def _noted(self) -> Noted:
        noted = self._record.operation
        if noted is None:
            raise LetGo("the record names no operation")
        return noted
