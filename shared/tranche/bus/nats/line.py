"""One connection to NATS with what hangs on it, and who is told when it changes."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Protocol

from nats.aio.client import Client

from tranche.bus.nats.letters import Letters
from tranche.runtime import Clock

log = logging.getLogger(__name__)

_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')


class Listener(Protocol):
    """Somebody with open requests on the connection."""

    def reconnected(self) -> None:
        """The connection is a new one: what was asked for on the old one is forgotten."""

    def forbidden(self, subject: str) -> None:
        """The server refused to take a message to this subject (in lower case)."""


@dataclass(eq=False, slots=True)
class Line:
    """A connection, and the three things that happen to it."""

    client: Client
    clock: Clock
    letters: Letters
    listeners: set[Listener] = field(default_factory=set)

    async def on_disconnect(self) -> None:
        """nats-py would send what it has not yet written after it has reconnected; who wrote it is told that
        it is unknown, so it must not appear later (ghost writes, design 4.3)."""
        log.warning("disconnected from NATS")
        self.client._pending.clear()
        self.client._pending_data_size = 0
        self.letters.broken()

    async def on_reconnect(self) -> None:
        log.warning("connected to NATS again")
        for listener in tuple(self.listeners):
            listener.reconnected()

    async def on_error(self, error: Exception) -> None:
        """The only place where nats-py tells of refused messages (design 4.3)."""
        violation = _VIOLATION.search(str(error).lower())
        if violation is None:
            log.warning("NATS: %s", error or type(error).__name__)
            return
        log.error("NATS: %s", error)
        if violation[1] == "publish":
            self.letters.forbidden(violation[2])
            for listener in tuple(self.listeners):
                listener.forbidden(violation[2])
