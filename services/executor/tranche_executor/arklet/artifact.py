"""The jar before it is installed: may it come from there, and is it the one that was meant (design 5.2).

The base checks no digests and asks nobody where a jar may come from, so the executor does, before anything
is disturbed. The base then downloads by itself: it gets the same only as long as the URL serves the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Self

from tranche.runtime import Clock
from tranche_executor.arklet.failure import BaseRefused, Failure
from tranche_executor.arklet.jar_source import JarSource, NoJar, artefact_failure

LARGEST_JAR = 512 * 1024 * 1024
CAPACITY = 2 * 1024 * 1024 * 1024
"""Bytes of jars that are kept."""
DOWNLOADS = 4
"""Downloads at a time."""
REMEMBERED = 10_000
"""Pairs of URL and digest that are known to belong together."""
STALE_PART_S = 3600.0
"""A download that a crash left behind is removed after so long."""

Key = tuple[str, str]


class JarCheck:
    """Compares jars with their digests: each URL is fetched once, whoever asks, and kept by digest.

    ``limit_bytes`` bounds one jar, ``capacity_bytes`` all that are kept, ``timeout_s`` one download.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        timeout_s: float = 60.0,
        limit_bytes: int = LARGEST_JAR,
        capacity_bytes: int = CAPACITY,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._timeout_s = timeout_s
        self._limit_bytes = limit_bytes
        self._capacity_bytes = capacity_bytes
        self._known: OrderedDict[Key, None] = OrderedDict()
        self._running: dict[Key, asyncio.Future[Path | Failure | None]] = {}
        self._slots = asyncio.Semaphore(DOWNLOADS)
        self._source = JarSource()

    async def __aenter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._sweep()
        await self._source.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._source.__aexit__()

    async def check(self, url: str, sha256: str) -> Path:
        """The jar, kept on disk, once its digest is the one expected (64 hex digits).

        Raises BaseRefused: another digest (both are named), no jar there, or a host that is down (passing).
        """
        key = (url, sha256.lower())
        while True:
            if (kept := self._kept(key)) is not None:
                return kept
            running = self._running.get(key)
            # Shielded: who gives up waiting must not end it for the others.
            outcome = await (self._lead(key) if running is None else asyncio.shield(running))
            if isinstance(outcome, Failure):
                raise BaseRefused(outcome)
            if outcome is not None:
                return outcome
            # Who fetched it for us was cancelled: now it is our turn.

    def _kept(self, key: Key) -> Path | None:
        path = self._path(key[1])
        if key not in self._known:
            return None
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        self._known.move_to_end(key)
        return path

    async def _lead(self, key: Key) -> Path | Failure | None:
        future: asyncio.Future[Path | Failure | None] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        outcome: Path | Failure | None = None
        try:
            async with self._slots:
                outcome = await self._fetch(*key)
        finally:
            del self._running[key]
            future.set_result(outcome)
        return outcome

    async def _fetch(self, url: str, sha256: str) -> Path | Failure:
        part: Path | None = None
        try:
            part = self._part()
            async with self._clock.timeout(self._timeout_s), aclosing(self._source.chunks(url)) as chunks:
                found = await self._write(chunks, part)
            if found != sha256:
                return artefact_failure(
                    f"{url} is not the jar that was meant: its sha256 is {found}, expected {sha256}"
                )
            part.replace(self._path(sha256))
        except TimeoutError:
            return artefact_failure(f"{url} was not fetched within {self._timeout_s:g} s", passing=True)
        except NoJar as error:
            return error.failure
        except OSError as error:
            return artefact_failure(f"the jar cannot be kept: {error}", passing=True)
        finally:
            if part is not None:
                part.unlink(missing_ok=True)
        self._remember((url, sha256))
        return self._path(sha256)

    async def _write(self, chunks: AsyncIterator[bytes], part: Path) -> str:
        """The digest of what was written. Raises NoJar above the limit."""
        digest, size = hashlib.sha256(), 0
        with part.open("wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > self._limit_bytes:
                    raise NoJar(f"the jar is larger than {self._limit_bytes} bytes")
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _remember(self, key: Key) -> None:
        self._known[key] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self._evict(self._path(key[1]))

    def _evict(self, newest: Path) -> None:
        """Remove what was not used for longest until the rest fits; the newest stays in any case."""
        # File times are coarse; among jars of this process the order of use is known exactly.
        order = {self._path(sha256): place for place, (_, sha256) in enumerate(self._known, start=1)}
        jars = sorted(self._directory.glob("*.jar"), key=lambda jar: (order.get(jar, 0), _last_used(jar)))
        excess = sum(_size(jar) for jar in jars) - self._capacity_bytes
        for jar in jars:
            if excess <= 0:
                return
            if jar != newest:
                excess -= _size(jar)
                jar.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what earlier processes left half-written."""
        oldest = self._clock.now().timestamp() - STALE_PART_S
        for part in self._directory.glob("*.part"):
            if _last_used(part) < oldest:
                part.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._directory / f"{sha256}.jar"

    def _part(self) -> Path:
        handle, name = tempfile.mkstemp(suffix=".part", dir=self._directory)
        os.close(handle)
        return Path(name)


def _last_used(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
