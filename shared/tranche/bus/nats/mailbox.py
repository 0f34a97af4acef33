"""Where the messages of one pull consumer arrive, and how one asks for them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from nats import errors as vendor
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from tranche.bus.nats.failures import unsent
from tranche.bus.nats.line import Line
from tranche.errors import Forbidden

NO_MESSAGES = "404"
EXPIRED = "408"
NOBODY_THERE = "503"


class Mailbox:
    """One inbox and at most one request whose answers we still expect. One reader at a time."""

    def __init__(
        self, line: Line, consumer: str, *, unread: Callable[[Msg], Awaitable[None]] | None = None
    ) -> None:
        """``consumer``: ``<stream>.<consumer>``. ``unread``: what becomes of messages while nobody reads."""
        self.arrived: deque[Msg] = deque()
        self.stale = False
        """The connection is a new one since: messages on their way on the old one are lost."""
        self.reading = unread is None
        self._line = line
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{consumer}"
        self._address = line.client.new_inbox()
        self._number = 0
        self._unread = unread
        self._subscription: Subscription | None = None
        self._wake: asyncio.Future[None] | None = None
        self._forbidden = False

    async def open(self) -> None:
        """Raises Unavailable when the connection has ended."""
        try:
            # No limit of the client's own: what may come is limited by what is asked for.
            self._subscription = await self._line.client.subscribe(
                f"{self._address}.*", cb=self._arrived, pending_msgs_limit=0, pending_bytes_limit=0
            )
        except vendor.Error as error:
            raise unsent(error, self._next) from error
        self._line.listeners.add(self)

    async def close(self) -> None:
        """Nothing arrives any more; the server forgets requests that are still open."""
        self._line.listeners.discard(self)
        if self._subscription is not None:
            with suppress(vendor.Error):
                await self._subscription.unsubscribe()

    async def request(self, body: Mapping[str, Any]) -> None:
        """Ask for messages. Raises Unavailable (not connected), Forbidden (an earlier one was refused)."""
        if self._forbidden:
            raise Forbidden(f"the credentials in use may not publish to {self._next}")
        self._number += 1
        await self._line.letters.send(
            self._next, json.dumps(body).encode(), reply=f"{self._address}.{self._number}"
        )

    async def wait_arrival(self, seconds: float) -> bool:
        """Wait until something is there or something changed; False when neither was in so many seconds."""
        if self.arrived:
            return True
        self._wake = asyncio.get_running_loop().create_future()
        try:
            async with self._line.clock.timeout(max(0.0, seconds)):
                await self._wake
        except TimeoutError:
            return False
        finally:
            self._wake = None
        return True

    def wake(self) -> None:
        """Have the reader look again."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def reconnected(self) -> None:
        """Whatever was asked for is forgotten."""
        self._number += 1
        self.stale = True
        self.wake()

    def forbidden(self, subject: str) -> None:
        """The server refused a message to this subject, which it tells in lower case."""
        if subject == self._next.lower():
            self._forbidden = True
            self.wake()

    async def _arrived(self, message: Msg) -> None:
        if message.reply:
            if not self.reading and self._unread is not None:
                await self._unread(message)
                return
        elif message.subject != f"{self._address}.{self._number}":
            return  # the end of a request that we have given up
        self.arrived.append(message)
        self.wake()


def status(message: Msg) -> str:
    """The code of a message by which the server ends a request; empty for a delivery."""
    return "" if message.reply else (message.headers or {}).get("Status", "")
