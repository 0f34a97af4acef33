"""Work spread over the live processes of a kind: who is alive, and who looks after what (design 2.4).

Members and keys are leases in one bucket whose messages end by themselves. Rendezvous hashing says who should
hold a key, the lease guards the hand-over. A lease is for efficiency: two holders for a moment do no harm,
because every change they make is a CAS.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from tranche.bus import cas
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.message import Message
from tranche.errors import Conflict, TrancheError
from tranche.runtime import Runtime

LEASE_S = 6.0
RENEW_S = 2.0
LOOK_S = 0.5
"""A key that should be ours and is not is looked at so often."""
TURN_S = LEASE_S - RENEW_S
"""A turn that takes longer is given up: the next one renews what it left."""
HAND_BACK_S = 2.0
ABANDONED_S = 2 * LEASE_S
"""A lease that stands unchanged for so long ends by itself no more: nobody renews it, or nobody can read it."""
PARALLEL = 32
"""Leases written at once."""
_STREAM = subjects.bucket_stream(subjects.LEASES)

log = logging.getLogger(__name__)

Key = tuple[str, ...]


class Lease(Message):
    """Who holds it. Ends by itself after ``LEASE_S`` seconds without renewal."""

    holder: str
    nonce: str = ""


def first_choice(key: Key, members: Iterable[str]) -> str | None:
    """Which member should hold a key: the highest of all hashes of key and member (rendezvous hashing).

    >>> first_choice(("shop", "web-base"), []), first_choice(("shop", "web-base"), ["one"])
    (None, 'one')
    """
    return max(members, key=lambda member: (_weight(key, member), member), default=None)


def _weight(key: Key, member: str) -> bytes:
    return blake2b("\0".join((*key, member)).encode(), digest_size=8).digest()


def _holder(data: bytes) -> str:
    """Whose the lease is; empty where that cannot be read."""
    try:
        return Lease.decode(data).holder
    except ValueError:
        return ""


class Spread:
    """The part of a process in looking after keys. ``kind``: whose, e.g. ``scheduler``; ``instance``: who we are.

    ``run`` keeps membership and leases up until it is cancelled, and hands them back then. ``held`` are the
    keys we look after now. ``changed`` is set when a turn finds that they are not those of the turn before;
    whoever waits for it clears it.
    """

    def __init__(self, bus: Bus, runtime: Runtime, *, kind: str, instance: str) -> None:
        self._bus = bus
        self._runtime = runtime
        self._kind = kind
        self._instance = instance
        self._wanted: frozenset[Key] = frozenset()
        self._leases: dict[Key, _Held] = {}
        self._others: dict[Key, tuple[int, float]] = {}
        """Leases of others on keys that should be ours: the newest sequence, and since when it is that."""
        self._due: frozenset[Key] = frozenset()
        """The keys that should be ours by the newest list of members."""
        self._told: frozenset[Key] = frozenset()
        """What was held when ``changed`` was last looked after."""
        self._looked_at: float | None = None
        """When it was last looked for members that are dead, and listed all the same."""
        self._slots = asyncio.Semaphore(PARALLEL)
        self._wake = asyncio.Event()
        self.changed = asyncio.Event()

    @property
    def held(self) -> frozenset[Key]:
        """The keys whose leases surely hold now."""
        now = self._runtime.clock.monotonic()
        return frozenset(key for key, lease in self._leases.items() if lease.until > now)

    async def holder(self, key: Key) -> str | None:
        """Who has a key now, wanted or not; empty where that cannot be read. Raises Unavailable, Unknown."""
        there = await self._bus.last(_STREAM, self._subject("key", key))
        return _holder(there.data) if there is not None else None

    def want(self, keys: Iterable[Key]) -> None:
        """The keys there are; new ones are seen to at once."""
        wanted = frozenset(keys)
        if wanted != self._wanted:
            self._wanted = wanted
            self._wake.set()

    async def run(self) -> None:
        """Renew every two seconds, look more often for what is still another's, until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self._turn()
                self._tell()
                try:
                    async with self._runtime.clock.timeout(RENEW_S if self._due <= self.held else LOOK_S):
                        await self._wake.wait()
                except TimeoutError:
                    self._tell()  # a lease that could not be renewed may have ended meanwhile
        finally:
            await self._hand_back()

    def _tell(self) -> None:
        if (held := self.held) != self._told:
            self._told = held
            self.changed.set()

    async def _turn(self) -> None:
        """One round; what cannot be reached now is tried again in the next, before any lease has ended."""
        try:
            # A key that nobody answers for must not keep the others from being renewed.
            async with self._runtime.clock.timeout(TURN_S):
                await self._say_alive()
                members = await self._members()
                self._due = frozenset(
                    key for key in self._wanted if first_choice(key, members) == self._instance
                )
                async with self._runtime.tasks.group() as group:
                    for key in sorted(self._due | self._leases.keys()):
                        group.spawn(self._settle(key), name=f"lease {'/'.join(key)}")
        except TimeoutError:
            log.warning("leases of %s: no answer within %g s", self._kind, TURN_S)
        except TrancheError as error:
            log.warning("leases of %s: %s", self._kind, error)

    async def _say_alive(self) -> None:
        subject = self._subject("member", (self._instance,))
        await self._bus.publish(subject, Lease(holder=self._instance).encode(), ttl_s=LEASE_S)

    async def _members(self) -> list[str]:
        """Who is alive."""
        filter_ = f"{subjects.key(subjects.LEASES, self._kind, 'member')}.*"
        found = [parts[2] for parts in subjects.read_keys(await self._bus.subjects(_STREAM, filter_))]
        now = self._runtime.clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= LEASE_S:
            dead = await self._dead(found)
            for member in dead:
                log.warning("%s %s is dead, its lease did not end by itself: removing it", self._kind, member)
                await self._bus.purge(_STREAM, self._subject("member", (member,)))
            found = [member for member in found if member not in dead]
            self._looked_at = now
        return found

    async def _dead(self, members: Iterable[str]) -> list[str]:
        """Those whose lease ought to have ended long ago: a server that was killed may end none of its old ones
        any more. Told by the broker's clock alone; ours was renewed just now."""
        said: dict[str, datetime] = {}
        async with self._runtime.tasks.group() as group:
            for member in members:
                group.spawn(self._look_at(member, said), name=f"look at {member}")
        now = said.get(self._instance)
        if now is None:
            return []
        return sorted(member for member, at in said.items() if now - at >= timedelta(seconds=ABANDONED_S))

    async def _look_at(self, member: str, said: dict[str, datetime]) -> None:
        """When a member said last that it is alive; nothing where that cannot be told."""
        async with self._slots:
            with suppress(TrancheError):
                if stored := await self._bus.last(_STREAM, self._subject("member", (member,))):
                    said[member] = stored.time

    async def _settle(self, key: Key) -> None:
        """Take, keep or give back one key; a failure is this key's alone, until the next turn."""
        async with self._slots:
            try:
                if key in self._due:
                    await self._keep(key)
                else:
                    await self._release(key)
            except TrancheError as error:
                log.info("lease %s of %s: %s", "/".join(key), self._kind, error)

    async def _keep(self, key: Key) -> None:
        held = self._leases.get(key)
        if held is not None and held.until - self._runtime.clock.monotonic() > LEASE_S - RENEW_S + LOOK_S:
            return
        try:
            await self._write(key, held.sequence if held else 0)
        except Conflict:
            self._leases.pop(key, None)
            there = await self._bus.last(_STREAM, self._subject("key", key))
            if there is None:
                await self._write(key, 0)  # ours has ended, and nobody was faster
            elif _holder(there.data) == self._instance or self._abandoned(key, there.sequence):
                await self._write(
                    key, there.sequence
                )  # ours, by a write whose answer never came; or nobody's
            # Else it is another's: its turn comes when the subject is empty.

    def _abandoned(self, key: Key, sequence: int) -> bool:
        """Whether a lease was not renewed for so long that it ought to have ended by itself."""
        now = self._runtime.clock.monotonic()
        seen, since = self._others.get(key, (0, now))
        self._others[key] = (sequence, since if seen == sequence else now)
        return seen == sequence and now - since >= ABANDONED_S

    async def _write(self, key: Key, expect: int) -> None:
        began = self._runtime.clock.monotonic()
        lease = await cas.swap(
            *(self._bus, self._runtime, _STREAM, self._subject("key", key)),
            Lease(holder=self._instance),
            expect=expect,
            ttl_s=LEASE_S,
        )
        self._leases[key] = _Held(lease.sequence, began + LEASE_S)
        self._others.pop(key, None)

    async def _release(self, key: Key) -> None:
        held = self._leases.pop(key, None)
        if held is None:
            return
        stored = await self._bus.last(_STREAM, self._subject("key", key))
        if stored is not None and stored.sequence == held.sequence:
            await self._bus.purge(_STREAM, self._subject("key", key))

    async def _hand_back(self) -> None:
        """Others take over at once; what cannot be handed back ends by itself."""
        self._due = frozenset()
        try:
            async with self._runtime.clock.timeout(HAND_BACK_S):
                await self._bus.purge(_STREAM, self._subject("member", (self._instance,)))
                async with self._runtime.tasks.group() as group:
                    for key in tuple(self._leases):
                        group.spawn(self._settle(key), name=f"hand back {'/'.join(key)}")
        except (TrancheError, TimeoutError) as error:
            log.info("leases of %s end by themselves: %s", self._kind, error)

    def _subject(self, what: str, key: Key) -> str:
        return subjects.key(subjects.LEASES, self._kind, what, *key)


@dataclass(frozen=True, slots=True)
class _Held:
    """Our lease on a key: its sequence, and until when, on the monotonic clock, it surely holds."""

    sequence: int
    until: float
