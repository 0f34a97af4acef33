"""The client of arklet's HTTP API: one call, one connection, three kinds of outcome (design 5.1, 5.2).

Every method returns what the base said or raises

    Unavailable   surely nothing reached the base: refused, no such host, no connection in time
    Unknown       the request may have reached it: no answer, half an answer, or one that makes no sense
    BaseRefused   the base understood and said no; ``failure`` says why

Whatever a call was, a timeout says nothing about what the base does now: look before acting.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from tranche.errors import Unknown
from tranche.runtime import Clock
from tranche_executor.arklet.address import Address, read_address
from tranche_executor.arklet.failure import BaseRefused, Cause, Failure, explain
from tranche_executor.arklet.operation import BURNT, Operation, read_operation
from tranche_executor.arklet.transport import CALL_TIMEOUT_S, LARGEST_ANSWER, HttpTransport, Transport
from tranche_executor.arklet.wire import (
    Answer,
    Bizzes,
    Declined,
    Done,
    Nonsense,
    first_bytes,
    read_answer,
    read_bizzes,
)

LARGEST_REQUEST = 1024 * 1024
"""Above it arklet answers 413 and leaves the connection open."""
REASON_S = 0.1
"""After so long a failed operation's record has its reason."""


class ArkletClient:
    """Speaks to any number of bases over a transport."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    async def query(self, address: str) -> Bizzes:
        """All modules the base runs.

        A query that hangs is asked once more on a new connection: a base whose network loops are held by
        other calls leaves every so many connections waiting (design 5.2). It lasts twice the timeout at most.
        """
        try:
            return await self._list(address)
        except Unknown:
            return await self._list(address)

    async def install(
        self, address: str, name: str, version: str, url: str, args: Sequence[str], request_id: str
    ) -> Operation:
        """Begin an installation. The jar's manifest decides name and version, so look at what came of it.

        ``{version}`` in ``args`` is replaced.
        """
        body: dict[str, object] = {"bizName": name, "bizVersion": version, "bizUrl": url}
        if args:
            body["args"] = [arg.replace("{version}", version) for arg in args]
        return await self._begin(address, "installBiz", body, request_id)

    async def uninstall(self, address: str, name: str, version: str, request_id: str) -> Operation:
        """Begin to remove one version of a module."""
        return await self._begin(
            address, "uninstallBiz", {"bizName": name, "bizVersion": version}, request_id
        )

    async def switch(self, address: str, name: str, version: str) -> None:
        """Have calls inside the JVM served by this version. Takes 1 ms, so it is not asynchronous."""
        _done(await self._call(address, "switchBiz", {"bizName": name, "bizVersion": version}))

    async def operation(self, address: str, request_id: str) -> Operation:
        """What the base remembers of a request id; state ``UNKNOWN`` where it has no record.

        A failure without a reason is asked for once more: the reason is written a moment later.
        """
        operation = await self._remembered(address, request_id)
        if not operation.unexplained:
            return operation
        await self._clock.sleep(REASON_S)
        return await self._remembered(address, request_id)

    async def _remembered(self, address: str, request_id: str) -> Operation:
        answer = await self._call(address, "queryBizOps", {"requestId": request_id})
        if isinstance(answer, Declined) and "Not found" not in answer.message:
            raise BaseRefused(explain(answer))
        return _operation(address, answer, request_id)

    async def burn(self, address: str, request_id: str) -> bool:
        """Spend a request id on nothing: a call sent earlier under it can then never run (design 2.2).

        False: the base knew the id before; ``operation`` tells as what.
        """
        # The version is the id, so that two burns never meet in arklet's lock per name and version.
        body = {"bizName": BURNT, "bizVersion": request_id}
        try:
            await self._send(address, "uninstallBiz", body, request_id)
        except BaseRefused as refused:
            if refused.failure.cause is Cause.SPENT:
                return False
            raise
        # Recorded, and that it fails for want of such a module is the point.
        return True

    async def _list(self, address: str) -> Bizzes:
        bizzes = read_bizzes(_done(await self._call(address, "queryAllBiz", {})))
        if isinstance(bizzes, Nonsense):
            raise Unknown(f"{address} answered queryAllBiz with {bizzes}")
        return bizzes

    async def _begin(
        self, address: str, command: str, body: Mapping[str, object], request_id: str
    ) -> Operation:
        operation = await self._send(address, command, body, request_id)
        if operation.failure is not None:
            raise BaseRefused(operation.failure)
        return operation

    async def _send(
        self, address: str, command: str, body: Mapping[str, object], request_id: str
    ) -> Operation:
        # Asynchronous always: a synchronous call holds one of arklet's few network loops until it ends.
        answer = await self._call(address, command, {**body, "requestId": request_id, "async": True})
        return _operation(address, _done(answer), request_id)

    async def _call(self, address: str, command: str, body: Mapping[str, object]) -> Answer:
        place = _place(address)
        data = json.dumps(body).encode()
        if len(data) >= LARGEST_REQUEST:
            raise _invalid(f"a request of {len(data)} bytes; arklet takes less than {LARGEST_REQUEST}")
        status, answer = await self._transport.post(place, command, data)
        return _sense(address, command, answer, status)


@asynccontextmanager
async def http_client(clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S) -> AsyncIterator[ArkletClient]:
    """A client over HTTP; ``timeout_s`` bounds one call."""
    async with HttpTransport(clock, timeout_s=timeout_s) as transport:
        yield ArkletClient(transport, clock)


def _place(address: str) -> Address:
    place = read_address(address)
    if isinstance(place, str):
        raise _invalid(f"the address {first_bytes(address.encode(errors='replace'))!r}: expected {place}")
    return place


def _sense(address: str, command: str, body: bytes, status: int) -> Answer:
    if len(body) > LARGEST_ANSWER:
        raise Unknown(f"{address} answered {command} with more than {LARGEST_ANSWER} bytes")
    answer = read_answer(body, status=status)
    if isinstance(answer, Nonsense):
        raise Unknown(f"{address} answered {command} with {answer}")
    return answer


def _done(answer: Answer) -> Done:
    match answer:
        case Done():
            return answer
        case Declined():
            raise BaseRefused(explain(answer))
        case Nonsense():
            raise Unknown(str(answer))


def _operation(address: str, answer: Answer, request_id: str) -> Operation:
    operation = answer if isinstance(answer, Nonsense) else read_operation(answer, request_id)
    if isinstance(operation, Nonsense):
        raise Unknown(f"{address} told of {request_id} with {operation}")
    return operation


def _invalid(message: str) -> BaseRefused:
    return BaseRefused(Failure(Cause.VALIDATION, passing=False, message=message))
