"""Connecting to NATS the way design 4.3 and 4.4 ask for."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats import errors as vendor
from nats.aio.client import Client

from tranche.bus.nats.bus import NatsBus
from tranche.bus.nats.letters import Letters
from tranche.bus.nats.line import Line
from tranche.errors import Forbidden, Refused, Unavailable
from tranche.runtime import Runtime, system_runtime

CONNECT_TIMEOUT_S = 10.0
DRAIN_TIMEOUT_S = 2
PING_INTERVAL_S = 10
RECONNECT_WAIT_S = 0.5
_REFUSED = "authorization violation"
_ADDRESS = re.compile(r"((nats|tls|ws|wss)://)?[^\s/]+(:\d+)?/?")


@asynccontextmanager
async def connect(
    servers: str | Sequence[str],
    *,
    name: str,
    inbox_prefix: str = "_INBOX",
    creds: Path | str | None = None,
    user: str | None = None,
    password: str | None = None,
    nkey_seed_file: Path | str | None = None,
    tls_ca: Path | str | None = None,
    tls_cert: Path | str | None = None,
    tls_key: Path | str | None = None,
    on_closed: Callable[[], None] | None = None,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    runtime: Runtime | None = None,
) -> AsyncIterator[NatsBus]:
    """A bus over a connection of its own; reconnects for ever, and is closed when the block is left.

    ``servers``: URLs, several in one string by commas. ``on_closed``: called when the connection has ended
    for good without having been asked to; the process can only stop then. Raises Unavailable (naming the
    address) when no server answers in time, Forbidden when it refuses the credentials, Refused when it is
    too old.
    """
    addresses = _addresses(servers)
    runtime = runtime or system_runtime()
    client = Client()
    line = Line(client, runtime.clock, Letters(client, runtime.clock))
    state = _State()

    async def failed(error: Exception) -> None:
        if state.connecting and _REFUSED in str(error).lower():
            raise Forbidden(f"{_shown(addresses)} refused the credentials of {name}") from error
        if not state.connecting:
            await line.on_error(error)

    async def closed() -> None:
        line.letters.closed()
        if on_closed is not None and not state.leaving:
            on_closed()

    options: dict[str, Any] = {
        "name": name,
        "inbox_prefix": inbox_prefix,
        "user_credentials": str(creds) if creds else None,
        "user": user,
        "password": password,
        "nkeys_seed": str(nkey_seed_file) if nkey_seed_file else None,
        "tls": _tls(tls_ca, tls_cert, tls_key),
        # No buffer while disconnected: it would be sent later, when nobody expects it (ghost writes).
        "pending_size": 0,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": RECONNECT_WAIT_S,
        "ping_interval": PING_INTERVAL_S,
        "max_outstanding_pings": 2,
        "error_cb": failed,
        "disconnected_cb": line.on_disconnect,
        "reconnected_cb": line.on_reconnect,
        "closed_cb": closed,
    }
    try:
        await _open(line, addresses, options, timeout_s=connect_timeout_s)
        state.connecting = False
        yield NatsBus(line, runtime.tasks)
    finally:
        state.leaving = True
        await _leave(client)


@dataclass(slots=True)
class _State:
    """What the callbacks must know."""

    connecting: bool = True
    leaving: bool = False


async def _open(line: Line, addresses: list[str], options: dict[str, Any], *, timeout_s: float) -> None:
    try:
        async with line.clock.timeout(timeout_s):
            await line.client.connect(addresses, **options)
            check_version(str(line.client._server_info.get("version", "")), _shown(addresses))
            await line.letters.open()
    except TimeoutError as error:
        reason = str(line.client.last_error or "") or "it says nothing"
        raise Unavailable(
            f"no NATS server answers at {_shown(addresses)} within {timeout_s:g} s: {reason}"
        ) from error
    except (vendor.Error, OSError) as error:
        raise Unavailable(f"cannot connect to NATS at {_shown(addresses)}: {error}") from error


async def _leave(client: Client) -> None:
    """Send what is written, then close."""
    with suppress(vendor.Error, OSError):
        if client.is_connected:
            await client.flush(timeout=DRAIN_TIMEOUT_S)
    with suppress(OSError):
        await client.close()


def check_version(version: str, address: str) -> None:
    """Raises Refused for servers that lack fixes we rely on (design 4.4).

    >>> check_version("2.11.16", "nats://a:4222")
    >>> check_version("2.12.6", "nats://a")
    Traceback (most recent call last):
    tranche.errors.Refused: nats://a runs nats-server 2.12.6: at least 2.12.7, or 2.11 from 2.11.16, is needed
    """
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    found = tuple(map(int, match.groups())) if match else (0, 0, 0)
    if found >= (2, 12, 7) or (2, 11, 16) <= found < (2, 12, 0):
        return
    raise Refused(
        f"{address} runs nats-server {version or 'of an unknown version'}: "
        "at least 2.12.7, or 2.11 from 2.11.16, is needed"
    )


def _addresses(servers: str | Sequence[str]) -> list[str]:
    listed = servers.split(",") if isinstance(servers, str) else servers
    addresses = [server.strip() for server in listed if server.strip()]
    if not addresses:
        raise Refused("no address of a NATS server is given, as in nats://127.0.0.1:4222")
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise Refused(
                f"{_bare(address)!r} is not the address of a NATS server, as in nats://127.0.0.1:4222"
            )
    return addresses


def _shown(addresses: list[str]) -> str:
    return ", ".join(map(_bare, addresses))


def _bare(address: str) -> str:
    """Without the secrets that an address may carry."""
    scheme, slashes, rest = address.rpartition("//")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def _tls(ca: Path | str | None, cert: Path | str | None, key: Path | str | None) -> ssl.SSLContext | None:
    """None: plain, unless the server or a tls:// address asks for more. Raises Refused for unusable files."""
    if not (ca or cert or key):
        return None
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        if cert:
            context.load_cert_chain(str(cert), str(key) if key else None)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"the TLS files cannot be used: {error}") from error
    return context
