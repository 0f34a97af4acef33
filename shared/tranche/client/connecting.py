"""How a program gets its client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tranche.bus.nats import connect as connect_bus
from tranche.client.client import ANSWER_TIMEOUT_S, Client
from tranche.runtime import Runtime, system_runtime

DEFAULT_URL = "nats://127.0.0.1:4222"


@asynccontextmanager
async def connect(
    url: str | Sequence[str] = DEFAULT_URL,
    *,
    creds: Path | str | None = None,
    user: str | None = None,
    password: str | None = None,
    nkey_seed_file: Path | str | None = None,
    tls_ca: Path | str | None = None,
    tls_cert: Path | str | None = None,
    tls_key: Path | str | None = None,
    name: str = "tranche-client",
    timeout_s: float = ANSWER_TIMEOUT_S,
    connect_timeout_s: float = 10.0,
    runtime: Runtime | None = None,
) -> AsyncIterator[Client]:
    """A client for the block, over a connection of its own that comes back by itself.

    ``url``: servers, several by comma. ``timeout_s``: how long a planner may take to answer. Raises Unavailable
    when no server answers within ``connect_timeout_s`` seconds, Forbidden when it refuses the credentials.
    """
    ours = runtime or system_runtime()
    async with connect_bus(
        url,
        name=name,
        creds=creds,
        user=user,
        password=password,
        nkey_seed_file=nkey_seed_file,
        tls_ca=tls_ca,
        tls_cert=tls_cert,
        tls_key=tls_key,
        connect_timeout_s=connect_timeout_s,
        runtime=ours,
    ) as bus:
        yield Client(bus, ours, timeout_s=timeout_s)
