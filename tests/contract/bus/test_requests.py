"""Asking and answering."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.contract.bus.desk import CLOCK, SOON_S, Connect
from tranche.bus.port import Bus, Endpoint, Request
from tranche.errors import Unavailable, Unknown


@asynccontextmanager
async def answering(
    bus: Bus, subject: str, handler: Callable[[Request], Awaitable[bytes | None]]
) -> AsyncIterator[None]:
    async with bus.serve("shop", "1.0.0", "answers", [Endpoint("ask", subject, handler)]):
        yield


async def echo(request: Request) -> bytes:
    return request.headers.get("Who", "").encode() + b":" + request.subject.encode() + b":" + request.data


async def test_a_request_is_answered(bus: Bus, another: Connect) -> None:
    async with answering(bus, "api.*.ask", echo):
        told = await (await another()).request(
            "api.shop.ask", b"what", timeout_s=SOON_S, headers={"Who": "me"}
        )

    assert told == b"me:api.shop.ask:what"


async def test_where_nobody_listens_a_request_is_unavailable_at_once(bus: Bus) -> None:
    began = CLOCK.monotonic()

    with pytest.raises(Unavailable, match=r"api\.shop\.ask"):
        await bus.request("api.shop.ask", b"", timeout_s=SOON_S)

    async with answering(bus, "api.shop.ask", echo):
        pass
    with pytest.raises(Unavailable):
        await bus.request("api.shop.ask", b"", timeout_s=SOON_S)
    assert CLOCK.monotonic() - began < SOON_S


async def test_a_request_that_nobody_answers_in_time_is_unknown(bus: Bus) -> None:
    async def slow(request: Request) -> bytes:
        await CLOCK.sleep(0.4)
        return b"too late"

    async with answering(bus, "api.ask", slow):
        with pytest.raises(Unknown, match=r"api\.ask"):
            await bus.request("api.ask", b"", timeout_s=0.1)


async def test_a_failing_handler_keeps_its_reasons_to_itself(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(request: Request) -> bytes:
        raise ValueError("the secret word")

    async with answering(bus, "api.ask", failing):
        with pytest.raises(Unknown, match="the service failed") as caught:
            await bus.request("api.ask", b"", timeout_s=SOON_S)
        with pytest.raises(Unknown):  # it still serves
            await bus.request("api.ask", b"", timeout_s=SOON_S)

    assert "secret" not in str(caught.value)
    assert "the secret word" in caplog.text


async def test_an_answer_larger_than_allowed_is_none(bus: Bus) -> None:
    async def much(request: Request) -> bytes:
        return bytes(1_048_576 + 1)

    async with answering(bus, "api.ask", much):
        with pytest.raises(Unknown):
            await bus.request("api.ask", b"", timeout_s=0.2)
        with pytest.raises(Unknown):  # it still serves
            await bus.request("api.ask", b"", timeout_s=0.2)


async def test_another_may_answer(bus: Bus, another: Connect) -> None:
    other = await another()
    passed: list[str] = []

    async def pass_on(request: Request) -> None:
        passed.append(request.reply)
        await other.say(request.reply, b"in its stead")

    async with answering(bus, "api.ask", pass_on):
        assert await bus.request("api.ask", b"", timeout_s=SOON_S) == b"in its stead"
    assert passed[0]


async def test_a_slow_answer_holds_nobody_up(bus: Bus) -> None:
    gate = asyncio.Event()

    async def answer(request: Request) -> bytes:
        if request.data == b"slow":
            await gate.wait()
        return request.data

    async with answering(bus, "api.ask", answer):
        slow = asyncio.ensure_future(bus.request("api.ask", b"slow", timeout_s=SOON_S))
        await CLOCK.sleep(0)
        assert await bus.request("api.ask", b"quick", timeout_s=SOON_S) == b"quick"
        gate.set()
        assert await slow == b"slow"


async def test_several_processes_share_the_requests(bus: Bus, another: Connect) -> None:
    def named(name: bytes) -> Callable[[Request], Awaitable[bytes]]:
        async def answer(request: Request) -> bytes:
            return name

        return answer

    async with answering(bus, "api.ask", named(b"one")), answering(await another(), "api.ask", named(b"two")):
        told = [await bus.request("api.ask", b"", timeout_s=SOON_S) for _ in range(30)]

    assert set(told) == {b"one", b"two"}


async def test_saying_something_to_nobody_is_fine(bus: Bus) -> None:
    await bus.say("_INBOX.gone", b"too late")
