"""Where the bytes of a jar come from: http, https or a plain file."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from tranche.contract.module_url import url_problem
from tranche_executor.arklet.address import ForbiddenHost, GuardedResolver, forbidden
from tranche_executor.arklet.failure import Cause, Failure
from tranche_executor.arklet.words import tidy

CHUNK = 256 * 1024


def url_failure(url: str, prefixes: Sequence[str]) -> Failure | None:
    """Why a module may not be installed from this URL, None where it may. No prefixes: from any.

    >>> url_failure("https://m.example/cart.jar", ["https://m.example/"])
    >>> url_failure("https://m.example/cart.jar", ["https://other.example/"]).cause
    <Cause.ARTEFACT: 'artefact'>
    """
    problem = url_problem(url, prefixes)
    if problem is None:
        return None
    return artefact_failure(f"may not be installed from {tidy(url, limit=200)!r}: expected {problem}")


def artefact_failure(message: str, *, passing: bool = False) -> Failure:
    """A failure that the artefact is to blame for."""
    return Failure(Cause.ARTEFACT, passing, tidy(message, limit=600))


class NoJar(Exception):
    """There are no bytes, or too many; ``failure`` says why."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.failure = artefact_failure(message, passing=passing)


class JarSource:
    """Reads jars chunk by chunk, without proxies, redirects or decoding."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(use_dns_cache=False, resolver=GuardedResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("Accept-Encoding",),
            trust_env=False,
            # The digest is of the bytes as they are served: the base takes them as they are, too.
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def chunks(self, url: str) -> AsyncGenerator[bytes, None]:
        """The bytes behind a URL. Raises NoJar."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "file"):
            raise NoJar(f"{url}: expected an http, https or file URL")
        try:
            served = _file(Path(unquote(parts.path))) if parts.scheme == "file" else self._http(url)
            async with aclosing(served):
                async for chunk in served:
                    yield chunk
        except aiohttp.ClientConnectorError as error:
            down = not isinstance(error.os_error, ForbiddenHost)
            raise NoJar(f"{url}: {error.os_error}", passing=down) from error
        except aiohttp.InvalidURL as error:
            raise NoJar(f"{url}: {error.description}") from error
        except aiohttp.ClientError as error:
            raise NoJar(f"{url}: {error or type(error).__name__}", passing=True) from error
        except (OSError, ValueError) as error:
            raise NoJar(f"{url}: {error}") from error

    async def _http(self, url: str) -> AsyncGenerator[bytes, None]:
        if self._session is None:
            raise RuntimeError("use the source in 'async with'")
        target = URL(url, encoded=True)
        if forbidden(target.host or ""):
            raise NoJar(f"{url}: a link-local, multicast or metadata address")
        async with self._session.get(target, allow_redirects=False) as response:
            _check_status(url, response)
            async for chunk in response.content.iter_chunked(CHUNK):
                yield chunk


def _check_status(url: str, response: aiohttp.ClientResponse) -> None:
    if 300 <= response.status < 400:
        goal = tidy(response.headers.get("Location", "another place"), limit=200)
        raise NoJar(f"{url} redirects to {goal}: name that URL itself")
    if response.status != 200:
        passing = response.status >= 500 or response.status in (408, 429)
        raise NoJar(f"{url} answered HTTP status {response.status}", passing=passing)


async def _file(path: Path) -> AsyncGenerator[bytes, None]:
    # Only a plain file ends: a pipe or device could hold us for ever.
    if not stat.S_ISREG((await asyncio.to_thread(path.stat)).st_mode):
        raise NoJar(f"{path} is not a file")
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
