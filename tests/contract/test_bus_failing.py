"""What only a real server does: it dies and comes back, and refuses what credentials do not allow."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tranche.bus.nats import NatsBus, connect
from tranche.bus.port import Bus, ConsumerSpec, Endpoint, Request, Stored, StreamSpec
from tranche.bus.server import NatsServer, embedded_server
from tranche.errors import Forbidden, LostHistory, TrancheError, Unavailable, Unknown
from tranche.runtime import SystemClock

pytestmark = pytest.mark.nats

CLOCK = SystemClock()
SOON_S = 10.0
EVENTS = StreamSpec("EVENTS", ("events.>",))
WORKERS = ConsumerSpec("EVENTS", "workers", ("events.*",), ack_wait_s=2)


@pytest.fixture
async def events(bus: NatsBus) -> NatsBus:
    await bus.ensure([EVENTS], replicas=1, create=True)
    return bus


async def wait_connected(bus: Bus, wanted: bool) -> None:
    async with CLOCK.timeout(SOON_S):
        while bus.connected is not wanted:
            await CLOCK.sleep(0.01)


async def publish_at_last(bus: Bus, subject: str, data: bytes) -> None:
    """As soon as the server is there again."""
    async with CLOCK.timeout(SOON_S):
        while True:
            try:
                await bus.publish(subject, data, msg_id=data.decode())
                return
            except (Unavailable, Unknown):
                await CLOCK.sleep(0.05)


async def test_a_write_while_disconnected_is_never_sent_later(
    events: NatsBus, nats_server: NatsServer
) -> None:
    await events.publish("events.a", b"before")
    await nats_server.kill()
    await wait_connected(events, False)
    began = CLOCK.monotonic()

    with pytest.raises(Unavailable):
        await events.publish("events.a", b"ghost")
    with pytest.raises(Unavailable):
        await events.last("EVENTS", "events.a")
    with pytest.raises(Unavailable):
        await events.request("api.ask", b"", timeout_s=5)
    assert CLOCK.monotonic() - began < SOON_S

    await nats_server.start()
    await wait_connected(events, True)
    await publish_at_last(events, "events.a", b"after")
    async with events.follow("EVENTS", ["events.>"], start=1) as follow:
        kept = await follow.catch_up(wait_s=SOON_S)
    assert [one.data for one in kept] == [b"before", b"after"]


async def test_a_write_under_way_when_the_server_dies_is_unknown_at_once(
    events: NatsBus, nats_server: NatsServer
) -> None:
    writes = [
        asyncio.ensure_future(events.publish(f"events.{number}", b"one", timeout_s=SOON_S))
        for number in range(300)
    ]
    await CLOCK.sleep(0)
    began = CLOCK.monotonic()
    await nats_server.kill()

    told = await asyncio.gather(*writes, return_exceptions=True)

    assert CLOCK.monotonic() - began < SOON_S
    assert all(isinstance(one, int | Unknown | Unavailable) for one in told)

    await nats_server.start()
    await wait_connected(events, True)
    await publish_at_last(events, "events.last", b"last")
    kept = set(await events.subjects("EVENTS", "events.*"))
    for number, one in enumerate(told):
        if isinstance(one, int):
            assert f"events.{number}" in kept
        if isinstance(one, Unavailable):
            assert f"events.{number}" not in kept


async def test_a_follow_reads_on_without_gaps_after_a_restart(
    events: NatsBus, nats_server: NatsServer
) -> None:
    for number in range(5):
        await events.publish("events.a", b"%d" % number)

    async with events.follow("EVENTS", ["events.>"], start="last_per_subject") as follow:
        got: list[Stored] = list(await follow.next(wait_s=SOON_S))
        await nats_server.kill()
        assert await follow.next(wait_s=0.2) == []
        await nats_server.start()
        for number in range(5, 10):
            await publish_at_last(events, "events.a", b"%d" % number)
        async with CLOCK.timeout(SOON_S):
            while len(got) < 6:
                got += await follow.next(wait_s=1)
        assert [one.data for one in got] == [b"4", b"5", b"6", b"7", b"8", b"9"]
        assert list(await follow.catch_up(wait_s=SOON_S)) == []
        assert follow.position == 10


async def test_catching_up_outlives_a_restart(events: NatsBus, nats_server: NatsServer) -> None:
    for number in range(50):
        await events.publish(f"events.{number}", b"one")

    async with events.follow("EVENTS", ["events.>"], start="last_per_subject") as follow:
        await nats_server.kill()
        catching = asyncio.ensure_future(follow.catch_up(wait_s=SOON_S))
        await CLOCK.sleep(0.2)
        await nats_server.start()

        assert len(await catching) == 50
        assert follow.position == 50


async def test_catching_up_without_a_server_is_unavailable(events: NatsBus, nats_server: NatsServer) -> None:
    await events.publish("events.a", b"one")
    async with events.follow("EVENTS", ["events.>"], start="last_per_subject") as follow:
        await nats_server.kill()
        await wait_connected(events, False)

        with pytest.raises(Unavailable):
            await follow.catch_up(wait_s=0.3)

        await nats_server.start()
        assert len(await follow.catch_up(wait_s=SOON_S)) == 1


async def test_a_follow_notices_that_what_it_read_is_gone(events: NatsBus, nats_server: NatsServer) -> None:
    for _ in range(3):
        await events.publish("events.a", b"one")
    async with events.follow("EVENTS", ["events.>"], start=1) as follow:
        await follow.catch_up(wait_s=SOON_S)
        await nats_server.kill()
        await asyncio.to_thread(shutil.rmtree, nats_server.folder / "jetstream")
        await nats_server.start()
        async with connect(nats_server.url, name="another") as another:
            await another.ensure([EVENTS], replicas=1, create=True)
        await wait_connected(events, True)

        async def read_on() -> None:
            async with CLOCK.timeout(SOON_S):
                while True:
                    with suppress(Unavailable):
                        await follow.next(wait_s=0.5)

        with pytest.raises(LostHistory, match="EVENTS"):
            await read_on()


async def test_a_pull_goes_on_after_a_restart(events: NatsBus, nats_server: NatsServer) -> None:
    await events.publish("events.a", b"one")
    await events.publish("events.b", b"two")
    pull = await events.pull(WORKERS)
    [held] = await pull.fetch(1, wait_s=SOON_S)
    await nats_server.kill()
    waiting = asyncio.ensure_future(pull.fetch(1, wait_s=SOON_S))
    await CLOCK.sleep(0.1)
    await held.ack()  # lost: it will come again
    with pytest.raises(TrancheError):
        await held.extend()
    await nats_server.start()

    [second] = await waiting
    await second.ack()
    async with CLOCK.timeout(SOON_S):
        [again] = await pull.fetch(1, wait_s=SOON_S)
    assert {second.message.data, again.message.data} == {b"one", b"two"}


async def test_a_service_answers_again_after_a_restart(events: NatsBus, nats_server: NatsServer) -> None:
    async def answer(request: Request) -> bytes:
        return b"here"

    async with events.serve("shop", "1.0.0", "answers", [Endpoint("ask", "api.ask", answer)]):
        assert await events.request("api.ask", b"", timeout_s=SOON_S) == b"here"
        await nats_server.kill()
        await nats_server.start()
        await wait_connected(events, False)
        await wait_connected(events, True)
        async with CLOCK.timeout(SOON_S):
            while True:
                try:
                    assert await events.request("api.ask", b"", timeout_s=1) == b"here"
                    return
                except (Unavailable, Unknown):
                    await CLOCK.sleep(0.05)


# --- permissions ---

READER = """
authorization { users: [
  { user: admin, password: p },
  { user: reader, password: p, permissions: {
      publish: ["$JS.API.STREAM.INFO.EVENTS", "$JS.API.STREAM.MSG.GET.EVENTS", "events.mine"],
      subscribe: ["_INBOX.>"] } } ] }
"""


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[NatsBus]:
    """A user that may read one stream and write one subject of it."""
    async with embedded_server(tmp_path / "nats", options=READER) as server:
        async with connect(server.url, name="admin", user="admin", password="p") as admin:
            await admin.ensure([EVENTS], replicas=1, create=True)
        async with connect(server.url, name="reader", user="reader", password="p") as reader:
            yield reader


async def test_a_refused_subject_is_forbidden_at_once_and_named(reader: NatsBus) -> None:
    began = CLOCK.monotonic()

    with pytest.raises(Forbidden, match=r"events\.Others"):
        await reader.publish("events.Others", b"one", timeout_s=SOON_S)
    with pytest.raises(Forbidden, match=r"STREAM\.PURGE\.EVENTS"):
        await reader.purge("EVENTS", "events.mine")
    with pytest.raises(Forbidden, match=r"api\.ask"):
        await reader.request("api.ask", b"", timeout_s=SOON_S)

    assert CLOCK.monotonic() - began < SOON_S
    assert await reader.publish("events.mine", b"one") == 1
    assert (await reader.state("EVENTS")).last_sequence == 1


async def test_a_refused_pull_is_forbidden(reader: NatsBus) -> None:
    pull = await reader.pull(WORKERS)

    async def fetch_until_told() -> None:
        for _ in range(3):  # the server tells it after the request
            await pull.fetch(1, wait_s=0.5)

    with pytest.raises(Forbidden, match="CONSUMER"):
        await fetch_until_told()


async def test_a_refused_follow_is_forbidden(reader: NatsBus) -> None:
    with pytest.raises(Forbidden, match=r"CONSUMER\.CREATE\.EVENTS"):
        async with reader.follow("EVENTS", ["events.>"], start="new"):
            pass


async def test_refused_credentials_are_forbidden(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "nats", options=READER) as server:
        with pytest.raises(Forbidden, match="credentials of intruder"):
            async with connect(server.url, name="intruder", user="reader", password="wrong"):
                pass


async def test_no_server_is_unavailable_and_named() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        async with connect("nats://127.0.0.1:1", name="test", connect_timeout_s=0.5):
            pass
