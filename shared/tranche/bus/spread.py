"""Work spread over the live processes of a kind: who is alive, and who looks after what (design 2.4).

Members and keys are leases in one bucket whose messages end by themselves. Rendezvous hashing says who should
hold a key, the lease guards the hand-over. A lease is for efficiency: two holders for a moment do no harm,
because every change they make is a CAS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from hashlib import blake2b

from tranche.bus import cas
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.message import Message
from tranche.errors import Conflict, TrancheError
from tranche.runtime import Runtime

LEASE_S = 6.0
RENEW_S = 2.0
_STREAM = subjects.bucket_stream(subjects.LEASES)

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


class Spread:
    """The part of a process in looking after keys. ``kind``: whose, e.g. ``scheduler``; ``instance``: who we are.

    ``run`` keeps membership and leases up until it is cancelled, and hands them back then. ``held`` are the
    keys we look after now, ``changed`` is set whenever that changed.
    """

    def __init__(self, bus: Bus, runtime: Runtime, *, kind: str, instance: str) -> None:
        self._bus = bus
        self._runtime = runtime
        self._kind = kind
        self._instance = instance
        self._wanted: frozenset[Key] = frozenset()
        self._leases: dict[Key, tuple[int, float]] = {}
        """By key: the sequence of our lease and until when, on the monotonic clock, it surely holds."""
        self._wake = asyncio.Event()
        self.changed = asyncio.Event()

    @property
    def held(self) -> frozenset[Key]:
        """The keys whose leases surely hold now."""
        now = self._runtime.clock.monotonic()
        return frozenset(key for key, (_, until) in self._leases.items() if until > now)

    def want(self, keys: Iterable[Key]) -> None:
        """The keys there are; new ones are seen to at once."""
        wanted = frozenset(keys)
        if wanted != self._wanted:
            self._wanted = wanted
            self._wake.set()

    async def run(self) -> None:
        """Renew every two seconds until cancelled; then hand everything back."""
        try:
            while True:
                await self._turn()
                try:
                    async with self._runtime.clock.timeout(RENEW_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
        finally:
            await asyncio.shield(self._hand_back())

    async def _turn(self) -> None:
        """One round; what cannot be reached now is tried again in the next, before any lease has ended."""
        before = self.held
        try:
            await self._say_alive()
            members = await self._members()
            for key in self._leases.keys() - self._wanted:
                await self._release(key)
            for key in sorted(self._wanted):
                await self._settle(key, first_choice(key, members) == self._instance)
        except TrancheError:
            pass
        if self.held != before:
            self.changed.set()

    async def _say_alive(self) -> None:
        subject = self._subject("member", (self._instance,))
        await self._bus.publish(subject, Lease(holder=self._instance).encode(), ttl_s=LEASE_S)

    async def _members(self) -> list[str]:
        filter_ = f"{subjects.key(subjects.LEASES, self._kind, 'member')}.*"
        found = await self._bus.subjects(_STREAM, filter_)
        return [subjects.read_key(subject)[2] for subject in found]

    async def _settle(self, key: Key, ours: bool) -> None:
        if not ours:
            await self._release(key)
            return
        began = self._runtime.clock.monotonic()
        expect = self._leases[key][0] if key in self._leases else 0
        try:
            lease = await cas.swap(
                *(self._bus, self._runtime, _STREAM, self._subject("key", key)),
                Lease(holder=self._instance),
                expect=expect,
                ttl_s=LEASE_S,
            )
        except Conflict:
            # Somebody else's still holds, or ours has ended: its turn comes when the subject is empty.
            self._leases.pop(key, None)
            return
        self._leases[key] = (lease.sequence, began + LEASE_S)

    async def _release(self, key: Key) -> None:
        held = self._leases.pop(key, None)
        if held is None:
            return
        stored = await self._bus.last(_STREAM, self._subject("key", key))
        if stored is not None and stored.sequence == held[0]:
            await self._bus.purge(_STREAM, self._subject("key", key))

    async def _hand_back(self) -> None:
        try:
            for key in tuple(self._leases):
                await self._release(key)
            await self._bus.purge(_STREAM, self._subject("member", (self._instance,)))
        except TrancheError:
            pass  # they end by themselves

    def _subject(self, what: str, key: Key) -> str:
        return subjects.key(subjects.LEASES, self._kind, what, *key)
