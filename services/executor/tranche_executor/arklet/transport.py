"""How a command reaches a base: the port, and HTTP as arklet speaks it (design 5.1).

A post returns the HTTP status and the body, or raises

    Unavailable   surely nothing reached the base: refused, no such host, no connection in time
    Unknown       the request may have reached it: no answer in time, or half an answer
    BaseRefused   it is not sent: the address is none that we speak to
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol, Self

import aiohttp
from yarl import URL

from tranche.errors import Unavailable, Unknown
from tranche.runtime import Clock
from tranche_executor.arklet.address import Address, ForbiddenHost, GuardedResolver
from tranche_executor.arklet.failure import BaseRefused, Cause, Failure

LARGEST_ANSWER = 4 * 1024 * 1024
CONNECTIONS = 1000
CALL_TIMEOUT_S = 2.0


class Transport(Protocol):
    """One call, one connection."""

    async def post(self, place: Address, command: str, data: bytes) -> tuple[int, bytes]:
        """Status and body, of which at most one byte more than LARGEST_ANSWER is read."""


@dataclass(slots=True)
class _Call:
    """What is known of a call under way."""

    connected: bool = False


class HttpTransport:
    """HTTP with aiohttp. ``timeout_s`` bounds one call, connecting and reading together."""

    def __init__(self, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = _session()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, place: Address, command: str, data: bytes) -> tuple[int, bytes]:
        """As the port says."""
        address = f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"
        call = _Call()
        try:
            async with self._clock.timeout(self._timeout_s):
                return await self._post(place, command, data, call)
        except TimeoutError as error:
            outcome = Unknown if call.connected else Unavailable
            raise outcome(f"{address} did not answer {command} within {self._timeout_s:g} s") from error
        except aiohttp.InvalidURL as error:
            raise _invalid(f"the address {address!r}: {error.description}") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ForbiddenHost):
                raise _invalid(str(error.os_error)) from error
            raise Unavailable(f"{address} cannot be reached: {error.os_error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unknown(f"{address} broke off {command}: {error or type(error).__name__}") from error

    async def _post(self, place: Address, command: str, data: bytes, call: _Call) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("use the transport in 'async with'")
        url = URL.build(scheme="http", host=place.host, port=place.port, path=f"/{command}")
        async with self._session.post(
            url, data=data, allow_redirects=False, trace_request_ctx=call
        ) as response:
            return response.status, await _read(response)


def _session() -> aiohttp.ClientSession:
    """A session that trusts nothing around it: no proxies, cookies, kept connections or codings."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_mark_connected)
    return aiohttp.ClientSession(
        # arklet ignores keep-alive: its answers end when it closes.
        connector=aiohttp.TCPConnector(
            limit=CONNECTIONS, force_close=True, use_dns_cache=False, resolver=GuardedResolver()
        ),
        headers={"Content-Type": "application/json"},
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        auto_decompress=False,
        trace_configs=[trace],
    )


async def _mark_connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.connected = True


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body up to the close, one byte more than allowed where there is more."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            response.close()
            break
    return bytes(body)


def _invalid(message: str) -> BaseRefused:
    return BaseRefused(Failure(Cause.VALIDATION, passing=False, message=message))
