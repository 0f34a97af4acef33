"""What the client of arklet makes of a base that misbehaves on the wire: which outcome, and when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from tranche.errors import Unavailable, Unknown
from tranche.runtime import SystemClock
from tranche_executor.arklet.client import LARGEST_ANSWER, ArkletClient, http_client
from tranche_executor.arklet.failure import BaseRefused, Cause
from tranche_executor.arklet.wire import Biz, BizState

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
EMPTY = b'HTTP/1.1 200 OK\r\n\r\n{"code":"SUCCESS","data":[]}'

PATIENCE_S = 2.0
"""How long a base may take: what hangs is waited for so long, and what answers has it on a busy machine too."""


class Wire:
    """A server that does on each connection what the next behaviour says, and repeats the last."""

    def __init__(self, behaviours: tuple[Behaviour, ...]) -> None:
        self._behaviours = behaviours
        self.requests: list[bytes] = []
        self.address = ""
        self._meetings: set[asyncio.Task[None]] = set()

    def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._meetings.add(asyncio.ensure_future(self._meet(reader, writer)))

    async def end(self) -> None:
        """Until every connection is closed; fails where the client leaks one."""
        async with asyncio.timeout(5):
            await asyncio.gather(*self._meetings)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read_request(reader)
            self.requests.append(request)
            behave = self._behaviours[min(len(self.requests), len(self._behaviours)) - 1]
            await behave(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def wire(*behaviours: Behaviour) -> AsyncIterator[Wire]:
    server_side = Wire(behaviours)
    server = await asyncio.start_server(server_side.meet, "127.0.0.1", 0)
    server_side.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield server_side
        await server_side.end()
    finally:
        server.close()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.splitlines()
        if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def says(answer: bytes) -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return behave


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    # Until the client gives up and its end of the connection closes.
    await reader.read()


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.fixture
async def client() -> AsyncIterator[ArkletClient]:
    async with http_client(SystemClock(), timeout_s=PATIENCE_S) as client:
        yield client


def install(client: ArkletClient, address: str) -> Awaitable[object]:
    return client.install(address, "cart", "1.0.0", "file:///cart-1.0.0.jar", (), "id-1")


UNKNOWN = {
    "closed without an answer": says(b""),
    "reset": resets,
    "garbage": says(b"\x00\xff\x1b[2J garbage"),
    "not JSON": says(b"HTTP/1.1 200 OK\r\n\r\n<html>hello</html>"),
    "half an answer": says(EMPTY[:-9]),
    "an empty answer": says(b"HTTP/1.1 200 OK\r\n\r\n"),
    "a list": says(b"HTTP/1.1 200 OK\r\n\r\n[1,2]"),
    "too deep": says(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000),
    "too large": says(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (LARGEST_ANSWER + 1)),
    "fewer bytes than promised": says(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + EMPTY[19:]),
    "a header without end": says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000),
    "no code": says(b'HTTP/1.1 200 OK\r\n\r\n{"data":[]}'),
    "another code": says(b'HTTP/1.1 200 OK\r\n\r\n{"code":"MAYBE"}'),
    "server error": says(b"HTTP/1.1 500 Internal Server Error\r\n\r\nPOST http request only supported"),
    "too large a request": says(b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\n\r\n"),
    "a redirect": says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"),
    "success without a record": says(b'HTTP/1.1 200 OK\r\n\r\n{"code":"SUCCESS"}'),
    "a record of nothing": says(b'HTTP/1.1 200 OK\r\n\r\n{"code":"SUCCESS","data":{}}'),
    "the record of another": says(
        b'HTTP/1.1 200 OK\r\n\r\n{"code":"SUCCESS","data":{"status":"EXECUTING","requestId":"id-2"}}'
    ),
    "a silent connection": hangs,
}


@pytest.mark.parametrize("behaviour", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_a_change_without_a_sound_answer_is_unknown_and_sent_once(
    client: ArkletClient, behaviour: Behaviour
) -> None:
    async with wire(behaviour) as base:
        with pytest.raises(Unknown) as unknown:
            await install(client, base.address)
    # Sending it again is not ours to decide: it may be under way.
    assert len(base.requests) == 1
    assert base.address in str(unknown.value)
    assert str(unknown.value).isprintable()
    assert len(str(unknown.value)) < 400


@pytest.mark.parametrize("behaviour", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_a_query_without_a_sound_answer_is_asked_once_more(
    client: ArkletClient, behaviour: Behaviour
) -> None:
    async with wire(behaviour, says(EMPTY)) as base:
        assert (await client.query(base.address)).bizzes == ()
    assert len(base.requests) == 2


async def test_a_query_that_stays_silent_is_unknown(client: ArkletClient) -> None:
    async with wire(hangs) as base:
        with pytest.raises(Unknown, match="did not answer queryAllBiz"):
            await client.query(base.address)
    assert len(base.requests) == 2


@pytest.mark.parametrize("data", ["null", "{}", '[{"bizName":"cart"}]', "[null]", '"x"'])
async def test_a_list_that_cannot_be_read_is_not_an_empty_base(client: ArkletClient, data: str) -> None:
    answer = says(f'HTTP/1.1 200 OK\r\n\r\n{{"code":"SUCCESS","data":{data}}}'.encode())
    async with wire(answer) as base:
        with pytest.raises(Unknown, match="queryAllBiz"):
            await client.query(base.address)


async def test_fields_nobody_knows_and_states_nobody_knows(client: ArkletClient) -> None:
    answer = (
        b'HTTP/1.1 200 OK\r\n\r\n{"code":"Success","new":1,"baseIdentity":"b-1","data":[{"bizName":"cart",'
    )
    answer += b'"bizVersion":"1.0.0","bizState":"DREAMING","bizStateRecords":[{"changeTime":"soon"},7]}]}'
    async with wire(says(answer)) as base:
        told = await client.query(base.address)
    assert told.base_identity == "b-1"
    assert told.bizzes == (Biz("cart", "1.0.0", BizState.UNKNOWN),)


async def test_what_is_sent(client: ArkletClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    record = b'HTTP/1.1 200 OK\r\n\r\n{"code":"SUCCESS","data":{"status":"INITIALIZED"}}'
    async with wire(says(record)) as base:
        args = ["--server.servlet.context-path=/cart-{version}"]
        await client.install(base.address, "cart", "1.0.0", "http://m/c.jar", args, "id-1")
        await client.uninstall(base.address, "cart", "1.0.0", "id-2")
        await client.burn(base.address, "id-3")
    lines = [request.split(b"\r\n")[0].decode() for request in base.requests]
    bodies = [json.loads(request.split(b"\r\n\r\n", 1)[1]) for request in base.requests]
    assert lines == [
        "POST /installBiz HTTP/1.1",
        "POST /uninstallBiz HTTP/1.1",
        "POST /uninstallBiz HTTP/1.1",
    ]
    assert bodies == [
        {
            "bizName": "cart",
            "bizVersion": "1.0.0",
            "bizUrl": "http://m/c.jar",
            "args": ["--server.servlet.context-path=/cart-1.0.0"],
            "requestId": "id-1",
            "async": True,
        },
        {"bizName": "cart", "bizVersion": "1.0.0", "requestId": "id-2", "async": True},
        {"bizName": "tranche-burnt", "bizVersion": "id-3", "requestId": "id-3", "async": True},
    ]


async def test_a_failure_told_at_once_is_refused_though_the_answer_says_success(client: ArkletClient) -> None:
    record = {
        "status": "FAILED",
        "requestId": "id-1",
        "message": "java.net.ConnectException: Connection refused",
    }
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"code": "SUCCESS", "data": record}).encode()
    async with wire(says(answer)) as base:
        with pytest.raises(BaseRefused, match="Connection refused") as refused:
            await install(client, base.address)
    assert (refused.value.failure.cause, refused.value.failure.passing) == (Cause.ARTEFACT, True)


async def test_what_cannot_be_reached_was_not_done(client: ArkletClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        for address in (nobody, "no-such-host.invalid:1238"):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await install(client, address)


async def test_a_connection_that_is_never_made_was_not_done(client: ArkletClient) -> None:
    with full_backlog() as address, pytest.raises(Unavailable, match=f"within {PATIENCE_S:g} s"):
        await install(client, address)


@contextlib.contextmanager
def full_backlog() -> Iterator[str]:
    """A listener that accepts nobody and whose queue is full: further connections are left waiting."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254:80",
        "[fe80::1]:1238",
        "[::ffff:169.254.169.254]:80",
        "100.100.100.200:80",
        "0.0.0.0:1238",
        "2852039166:80",
        "0xa9fea9fe:80",
        "10.0.0.7",
        "10.0.0.7:0",
        "10.0.0.7:99999",
        "http://10.0.0.7:1238",
        "10.0.0.7:1238/path",
        "user@10.0.0.7:1238",
        "10.0.0.7:1238\r\nX: y",
        "[::1:1238",
        "",
    ],
)
async def test_addresses_that_are_never_spoken_to(client: ArkletClient, address: str) -> None:
    with pytest.raises(BaseRefused) as refused:
        await client.query(address)
    assert refused.value.failure.cause is Cause.VALIDATION
    assert str(refused.value).isprintable()


async def test_a_request_arklet_would_not_take_is_not_sent(client: ArkletClient) -> None:
    async with wire(says(EMPTY)) as base:
        with pytest.raises(BaseRefused, match="arklet takes less than 1048576"):
            await client.install(base.address, "cart", "1.0.0", "file:///c.jar", ["x" * 1_048_576], "id-1")
    assert base.requests == []


async def test_giving_up_leaves_no_connection_behind(client: ArkletClient) -> None:
    async with wire(hangs, hangs, says(EMPTY)) as base:
        with pytest.raises(Unknown):
            await client.query(base.address)
        many = [client.query(base.address) for _ in range(50)]
        assert {told.bizzes for told in await asyncio.gather(*many)} == {()}


async def test_a_failure_whose_reason_is_written_a_moment_later(client: ArkletClient) -> None:
    record = {"requestId": "id-1", "status": "FAILED"}
    told = [record, {**record, "message": "install biz not success!"}]
    bodies = [
        b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"code": "SUCCESS", "data": one}).encode() for one in told
    ]
    async with wire(*map(says, bodies)) as base:
        operation = await client.operation(base.address, "id-1")

    assert operation.failure is not None
    assert operation.failure.message == "install biz not success!"
