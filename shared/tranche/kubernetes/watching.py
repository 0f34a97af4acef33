"""Keeps up with the objects of one list: list, then watch from there, for ever.

The loop is our own because each thing that can go wrong with a watch has an answer of its own: a version that is no
longer kept (told as HTTP 410 or as an event), a stream that the server ends, one that stays silent on a dead
connection, a server that is busy, and one that lags behind what another has told us.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from tranche.errors import TrancheError, Unavailable
from tranche.kubernetes.cache import Cache, ObjectKey
from tranche.kubernetes.cluster import Cluster
from tranche.kubernetes.failures import Busy, Expired, failure
from tranche.runtime import Runtime

T = TypeVar("T")

PAGE = 500
WATCH_S = (240.0, 300.0)
"""The server ends a watch after so long, and it is resumed: connections spread over the servers again."""
SILENCE_S = 90.0
"""Servers send a bookmark about every minute; longer silence is taken for a dead connection."""
RELIST_S = (480.0, 720.0)
"""What a watch never told, if anything, is found after so long."""
PAUSE_S = (0.2, 30.0)
"""Between two tries that fail: at first, and at most."""
STALE_S = 60.0
"""Lists that stay older than what was known for so long are believed: the cluster was restored from a backup."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How long what may take. Seconds; pairs are ranges that chance chooses from."""

    watch_s: tuple[float, float] = WATCH_S
    silence_s: float = SILENCE_S
    relist_s: tuple[float, float] = RELIST_S
    pause_s: tuple[float, float] = PAUSE_S
    stale_s: float = STALE_S
    page: int = PAGE


USUAL = Pace()


@dataclass(slots=True)
class Watch(Generic[T]):
    """The objects under one path, such as ``/api/v1/namespaces/shop/pods``.

    ``told``: called with the keys of which something else is known now, in the moment it is known. ``read``: what
    is kept of an object.
    """

    cluster: Cluster
    runtime: Runtime
    path: str
    read: Callable[[dict[str, Any]], T | None]
    told: Callable[[Collection[ObjectKey]], None] = lambda _: None
    pace: Pace = USUAL
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once everything was listed: what is not known then is not there, as far as a cache can tell."""
    _cache: Cache[T] = field(init=False)
    _failures: int = 0
    _relist_at: float = 0.0
    _stale_since: float | None = None

    def __post_init__(self) -> None:
        self._cache = Cache(self.read)

    def get(self, key: ObjectKey) -> T | None:
        """What is known of an object."""
        known = self._cache.known.get(key)
        return known.value if known is not None else None

    def version(self, key: ObjectKey) -> str:
        """The resource version under which an object is known; empty: it is not."""
        known = self._cache.known.get(key)
        return known.version if known is not None else ""

    def learn(self, item: dict[str, Any]) -> None:
        """Take an object in as a call of ours was answered, before the watch tells of it."""
        key = self._cache.learn(item)
        self._tell(() if key is None else (key,))

    def items(self) -> dict[ObjectKey, T]:
        """What is known of all."""
        return dict(self._cache.values())

    async def run(self) -> None:
        """Keep up until cancelled."""
        while True:
            try:
                if not self._cache.version or self.runtime.clock.monotonic() >= self._relist_at:
                    await self._list()
                await self._watch()
            except Expired:
                # Not a failure: what was missed in between shows in a list, what vanished by its absence.
                log.info("relisted", path=self.path, reason="the version is no longer kept")
                await self._again(None)
            except TrancheError as error:
                log.warning("not_watched", path=self.path, reason=str(error))
                await self._again(error)

    async def _again(self, error: TrancheError | None) -> None:
        """Wait before the next try, which begins with a list unless the watch can go on where it was."""
        if not isinstance(error, _Interrupted):
            self._relist_at = 0.0
        self._failures += 1
        least, most = self.pace.pause_s
        pause_s = min(most, least * 2 ** min(self._failures - 1, 20))
        pause_s *= self.runtime.dice.uniform(0.5, 1.0)
        if isinstance(error, Busy) and error.retry_after_s:
            pause_s = max(pause_s, error.retry_after_s * self.runtime.dice.uniform(1.0, 1.2))
        await self.runtime.clock.sleep(pause_s)

    async def _list(self) -> None:
        items: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": str(self.pace.page)}
        while True:
            # Without a version the server answers from what is agreed upon, not from what it happens to know.
            page = await self.cluster.get(self.path, **query)
            if page is None:
                raise Unavailable(f"list {self.path}: there is no such path on the server")
            meta = page.get("metadata") or {}
            items += page.get("items") or []
            if not meta.get("continue"):
                break
            query["continue"] = str(meta["continue"])
        version = str(meta.get("resourceVersion", ""))
        self._check_age(version)
        self._tell(self._cache.replace(items, version))
        self._relist_at = self.runtime.clock.monotonic() + self.runtime.dice.uniform(*self.pace.relist_s)
        self.listed.set()

    def _check_age(self, version: str) -> None:
        """Raises Unavailable for a list that is older than what is known."""
        if not self._cache.is_stale(version):
            self._stale_since = None
            return
        now = self.runtime.clock.monotonic()
        if self._stale_since is None:
            self._stale_since = now
        if now - self._stale_since < self.pace.stale_s:
            raise Unavailable(
                f"list {self.path}: at version {version}, older than {self._cache.version} that was seen before"
            )
        log.warning("older_list_believed", path=self.path, version=version, seen=self._cache.version)
        self._stale_since = None

    async def _watch(self) -> None:
        """From where the cache stands, until the server ends the watch or it is time for a list."""
        left_s = self._relist_at - self.runtime.clock.monotonic()
        lasting_s = max(1.0, min(self.runtime.dice.uniform(*self.pace.watch_s), left_s))
        async with self.cluster.watch(
            self.path,
            resourceVersion=self._cache.version,
            allowWatchBookmarks="true",
            timeoutSeconds=str(round(lasting_s)),
        ) as events:
            began = self.runtime.clock.monotonic()
            told = False
            while (event := await self._next(events)) is not None:
                self._take(event)
                self._failures, told = 0, True
        if not told and self.runtime.clock.monotonic() - began < 1.0:
            # A server, or whoever stands before it, that hangs up at once would be asked in a tight loop.
            raise _Interrupted(f"watch {self.path}: ended at once")
        self._failures = 0

    async def _next(self, events: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
        """The next event; None once the server has ended the watch."""
        try:
            async with self.runtime.clock.timeout(self.pace.silence_s):
                return await anext(events)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise _Interrupted(f"watch {self.path}: silent for {self.pace.silence_s:g} s") from None
        except Unavailable as error:
            raise _Interrupted(str(error)) from error

    def _take(self, event: dict[str, Any]) -> None:
        kind, item = event.get("type"), event.get("object")
        if not isinstance(item, dict):
            raise Unavailable(f"watch {self.path}: an event without an object")
        match kind:
            case "ADDED" | "MODIFIED" | "DELETED":
                key = self._cache.change(kind, item)
                self._tell(() if key is None else (key,))
            case "BOOKMARK":
                self._cache.mark(item)
            case "ERROR":
                raise failure(int(item.get("code") or 500), item, f"watch {self.path}")
            case _:
                log.warning("unknown_event", path=self.path, kind=str(kind)[:40])

    def _tell(self, keys: Collection[ObjectKey]) -> None:
        if keys:
            self.told(keys)


class _Interrupted(Unavailable):
    """The stream broke off: nothing is known to be missed, and it goes on from where it was."""
