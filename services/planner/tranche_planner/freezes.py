"""Freezes: kept in a bucket by the request API, followed by every planner (design 1.3, 2.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from tranche.bus import cas
from tranche.bus.port import Bus, Stored
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer, refused
from tranche.contract.explanation import Freeze
from tranche.contract.given import quoted
from tranche.contract.message import LATEST
from tranche.contract.subjects import ALL_NAMESPACES
from tranche.errors import Conflict, TrancheError
from tranche.runtime import Runtime
from tranche.service import Stopping
from tranche_planner.core.document import Document, Mark
from tranche_planner.core.freezing import covering, under
from tranche_planner.core.gates import unfreeze
from tranche_planner.core.words import in_words, signed

_STREAM = subjects.bucket_stream(subjects.FREEZES)
CATCH_UP_S = 5.0
WAIT_S = 1.0
AGAIN_S = 1.0
TRIES = 10
_OPERATION = "KV-Operation"
"""The header of an entry that is none any more: removed or purged with the broker's own tools."""

Changed = Callable[[str | None], Awaitable[None]]
"""Told the namespace whose freezes changed; None: all of them."""


class Freezes:
    """What freezes there are, as far as this planner has heard."""

    def __init__(self, bus: Bus, runtime: Runtime) -> None:
        self._bus = bus
        self._runtime = runtime
        self._known: dict[str, Freeze] = {}
        self._mark = Mark()
        self._log = structlog.get_logger()

    def under(self, document: Document, now: datetime) -> Document:
        """The document under the freeze that covers it now."""
        found = (self._known.get(scope) for scope in (document.namespace, ALL_NAMESPACES))
        return under(document, covering(filter(None, found), now), self._mark, now)

    async def follow(self, stopping: Stopping, ready: Callable[[], None], changed: Changed) -> None:
        """Until the service is asked to stop. ``ready``: all freezes are known, or nobody waits any more."""
        first = True
        while not stopping.asked:
            try:
                async with self._bus.follow(
                    _STREAM, [f"$KV.{subjects.FREEZES}.>"], start="last_per_subject"
                ) as follow:
                    before = self._known
                    messages = await follow.catch_up(wait_s=CATCH_UP_S)
                    self._known = {}
                    for message in messages:
                        self._take(message)
                    if first:
                        ready()
                        first = False
                    elif before != self._known:
                        await changed(None)
                    while not stopping.asked:
                        await self._learn(await follow.next(wait_s=WAIT_S), changed)
            except* TrancheError as group:
                words = "; ".join(map(str, group.exceptions))
                self._log.info("freezes cannot be followed, trying again", error=words)
                await self._runtime.clock.sleep(AGAIN_S)
        ready()

    async def freeze(
        self, scope: str, *, until: datetime | None, by: str | None, reason: str | None
    ) -> AcceptedAnswer | RefusedAnswer:
        """Freeze a namespace, or all; the same again changes nothing."""
        now = self._now()
        wanted = Freeze(namespace=scope, since=now, until=until, reason=reason or "", by=by)

        def decide(found: Freeze | None) -> Freeze | None:
            if found is None or not _lasts(found, now):
                return wanted
            same = (found.until, found.reason) == (wanted.until, wanted.reason)
            return None if same else wanted.but(since=found.since)

        changed = await self._swap(scope, decide)
        ends = f" until {in_words(until)}" if until else f"; {unfreeze(scope)} ends it"
        return AcceptedAnswer(message=f"{_what(scope)} frozen{'' if changed else ' already'}{ends}")

    async def unfreeze(
        self, scope: str, *, by: str | None, reason: str | None
    ) -> AcceptedAnswer | RefusedAnswer:
        """Lift a freeze; what is not frozen stays so."""
        now = self._now()
        lifted = False

        def decide(found: Freeze | None) -> Freeze | None:
            nonlocal lifted
            lifted = found is not None and _lasts(found, now)
            if found is not None and not lifted:
                return None
            # Ended rather than removed: whoever follows sees it, and sees that it is newer. Said also where
            # nothing is known: documents may remember a freeze whose bucket was lost.
            since = found.since if found is not None else now
            return Freeze(namespace=scope, since=since, until=now, reason=reason or "", by=by)

        await self._swap(scope, decide)
        message = f"{_what(scope)} {'no longer frozen' if lifted else 'not frozen'}"
        other = self._known.get(ALL_NAMESPACES) if scope != ALL_NAMESPACES else None
        if other is not None and _lasts(other, now):
            still = (
                f"all namespaces are still frozen{signed(other.by, other.reason)}: {unfreeze(ALL_NAMESPACES)}"
            )
            return AcceptedAnswer(message=message, warnings=(still,))
        return AcceptedAnswer(message=message)

    async def _swap(self, scope: str, decide: Callable[[Freeze | None], Freeze | None]) -> bool:
        """Whether something was changed. Raises Conflict when others keep changing it."""
        subject = subjects.key(subjects.FREEZES, scope)
        for _ in range(TRIES):
            stored = await self._bus.last(_STREAM, subject)
            after = decide(self._freeze_in(scope, stored) if stored else None)
            if after is None:
                return False
            try:
                expect = stored.sequence if stored else 0
                await cas.swap(self._bus, self._runtime, _STREAM, subject, after, expect=expect)
            except Conflict:
                continue
            return True
        raise Conflict(f"{subject}: others keep changing it")

    async def _learn(self, messages: Sequence[Stored], changed: Changed) -> None:
        scopes = [scope for message in messages if (scope := self._take(message)) is not None]
        if ALL_NAMESPACES in scopes:
            await changed(None)
            return
        for scope in dict.fromkeys(scopes):
            await changed(scope)

    def _take(self, message: Stored) -> str | None:
        """Whose freezes a message changed."""
        mark = Mark(sequence=message.sequence, time=_milliseconds(message.time))
        if not self._mark.supersedes(mark):
            self._mark = mark
        try:
            (scope,) = subjects.read_key(message.subject)
        except ValueError:
            return None
        if (freeze := self._freeze_in(scope, message)) is not None:
            self._known[scope] = freeze
        else:
            self._known.pop(scope, None)
        return scope

    def _freeze_in(self, scope: str, message: Stored) -> Freeze | None:
        """The freeze in an entry of the bucket; None: somebody removed it. One that cannot be read holds until it
        is lifted: nobody knows that it has ended."""
        if _OPERATION in message.headers:
            return None
        try:
            return Freeze.decode(message.data).but(namespace=scope)
        except ValueError as error:
            self._log.error(
                "a freeze cannot be read: it holds until it is lifted", scope=scope, error=str(error)
            )
            reason = "its entry cannot be read"
            return Freeze(namespace=scope, since=_milliseconds(message.time), reason=reason)

    def _now(self) -> datetime:
        return _milliseconds(self._runtime.clock.now())


def read_until(text: str | None, now: datetime) -> datetime | RefusedAnswer | None:
    """When a freeze is to end; None: when somebody lifts it."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        return refused(
            f"got {quoted(text)}; expected a time with its zone, as in 2026-01-31T09:30:00Z", field="until"
        )
    if at.year > LATEST:
        return refused(f"got {quoted(text)}; expected a time up to the year {LATEST}", field="until")
    if at <= now:
        return refused(f"got {quoted(text)}; expected a time to come, now is {in_words(now)}", field="until")
    return _milliseconds(at)


def _milliseconds(at: datetime) -> datetime:
    """The time as messages keep it: rounded down."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _lasts(freeze: Freeze, now: datetime) -> bool:
    return freeze.until is None or freeze.until > now


def _what(scope: str) -> str:
    return "all namespaces are" if scope == ALL_NAMESPACES else f"namespace {scope} is"
