"""The ledgers of claims, read from the leader: one read serves all tasks that were fetched before it began."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.ledger import Ledger
from tranche.contract.placing import decode_at, home_of_ledger
from tranche.errors import Refused
from tranche_executor.core.pod import PoolKey

_STREAM = subjects.bucket_stream(subjects.POOLS)


class Ledgers:
    """Reads of ledgers, shared by whoever asks while an earlier read of the same one is under way."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._next: dict[PoolKey, asyncio.Future[Ledger | None]] = {}
        self._newest: dict[PoolKey, tuple[bytes, Ledger]] = {}
        """By what was stored, not by its sequence: a broker that forgot gives numbers out again."""
        self._turns: defaultdict[PoolKey, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, pool: PoolKey) -> Ledger | None:
        """The pool's ledger as it stood after this call. Raises Unavailable, Unknown, Refused."""
        while True:
            waiting = self._next.get(pool)
            if waiting is None:
                return await self._lead(pool)
            try:
                return await asyncio.shield(waiting)
            except asyncio.CancelledError:
                # Who was to read for us was cancelled, or we are: only then the future is not.
                if not waiting.cancelled():
                    raise

    async def _lead(self, pool: PoolKey) -> Ledger | None:
        future: asyncio.Future[Ledger | None] = asyncio.get_running_loop().create_future()
        self._next[pool] = future
        try:
            async with self._turns[pool]:
                # From here on the read is under way: who comes now needs a later one.
                del self._next[pool]
                ledger = await self._read(pool)
        except asyncio.CancelledError:
            if self._next.get(pool) is future:
                del self._next[pool]
            future.cancel()
            raise
        except Exception as error:
            future.set_exception(error)
            future.exception()  # looked at: there may be nobody else who waits
            raise
        future.set_result(ledger)
        return ledger

    async def _read(self, pool: PoolKey) -> Ledger | None:
        stored = await self._bus.last(_STREAM, subjects.key(subjects.POOLS, *pool))
        if stored is None:
            return None
        data, ledger = self._newest.get(pool, (b"", None))
        if ledger is None or data != stored.data:
            # A thousand claims take ten milliseconds to decode, and most reads find what the last one found.
            try:
                ledger = decode_at(Ledger, stored.data, stored.subject, home_of_ledger)
            except ValueError as error:
                raise Refused(f"{stored.subject} holds no ledger that can be read: {error}") from error
            self._newest[pool] = (stored.data, ledger)
        return ledger
