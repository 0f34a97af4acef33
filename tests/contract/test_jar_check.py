"""Jars are compared with their digests before anything is disturbed: fetched once, whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tranche.runtime import SystemClock, wait_until
from tranche_executor.arklet.artifact import JarCheck
from tranche_executor.arklet.failure import BaseRefused, Cause
from tranche_executor.arklet.jar_source import url_failure

JAR = b"PK\x03\x04 a jar " * 1000
DIGEST = hashlib.sha256(JAR).hexdigest()
OTHER = "0" * 64
CLOCK = SystemClock()


class Host:
    """An artefact host that counts."""

    def __init__(self) -> None:
        self.fetched: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.fetched[name] += 1
        if name == "slow.jar":
            await self.gate.wait()
        if name.startswith("status-"):
            return web.Response(status=int(name[7:10]), headers={"Location": f"{self.url}cart.jar"})
        if name == "cut.jar":
            response = web.StreamResponse(headers={"Content-Length": str(len(JAR))})
            await response.prepare(request)
            await response.write(JAR[:100])
            assert request.transport is not None
            request.transport.close()
            return response
        if name == "coded.jar":
            return web.Response(body=JAR, headers={"Content-Encoding": "gzip"})
        return web.Response(body=JAR)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    app = web.Application()
    app.router.add_get("/{name}", host.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield host
    finally:
        host.gate.set()
        await runner.cleanup()


Make = Callable[..., Awaitable[JarCheck]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        async def made(**limits: Any) -> JarCheck:
            return await stack.enter_async_context(JarCheck(tmp_path / "jars", CLOCK, **limits))

        yield made


async def test_the_right_jar_is_kept_by_digest_and_fetched_once(host: Host, make: Make) -> None:
    check = await make()

    kept = await check.check(f"{host.url}cart.jar", DIGEST)
    again = await check.check(f"{host.url}cart.jar", DIGEST.upper())

    assert kept == again
    assert kept.name == f"{DIGEST}.jar"
    assert kept.read_bytes() == JAR
    assert host.fetched == {"cart.jar": 1}


async def test_another_jar_is_refused_naming_both_digests(host: Host, make: Make, tmp_path: Path) -> None:
    check = await make()
    with pytest.raises(BaseRefused) as refused:
        await check.check(f"{host.url}cart.jar", OTHER)
    failure = refused.value.failure
    assert (failure.cause, failure.passing) == (Cause.ARTEFACT, False)
    assert DIGEST in failure.message
    assert OTHER in failure.message
    assert list((tmp_path / "jars").iterdir()) == []


async def test_a_digest_known_from_elsewhere_says_nothing_of_this_url(host: Host, make: Make) -> None:
    check = await make()
    await check.check(f"{host.url}cart.jar", DIGEST)
    with pytest.raises(BaseRefused, match="404"):
        await check.check(f"{host.url}status-404", DIGEST)


async def test_many_who_ask_at_once_share_one_download(host: Host, make: Make) -> None:
    check = await make()
    asked = [asyncio.ensure_future(check.check(f"{host.url}slow.jar", DIGEST)) for _ in range(30)]
    await _until(lambda: host.fetched["slow.jar"] == 1)
    host.gate.set()

    assert len(set(await asyncio.gather(*asked))) == 1
    assert host.fetched == {"slow.jar": 1}


async def test_who_gives_up_does_not_end_it_for_the_others(host: Host, make: Make) -> None:
    check = await make()
    first, second, third = (
        asyncio.ensure_future(check.check(f"{host.url}slow.jar", DIGEST)) for _ in range(3)
    )
    await _until(lambda: host.fetched["slow.jar"] == 1)

    first.cancel()
    third.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(first, third)
    await _until(lambda: host.fetched["slow.jar"] == 2)
    host.gate.set()

    assert (await second).read_bytes() == JAR
    assert first.cancelled()
    assert third.cancelled()


@pytest.mark.parametrize(
    ("name", "passing", "words"),
    [
        ("status-404", False, "HTTP status 404"),
        ("status-403", False, "HTTP status 403"),
        ("status-302", False, "redirects to"),
        ("status-503", True, "HTTP status 503"),
        ("status-429", True, "HTTP status 429"),
        ("cut.jar", True, "not completed"),
    ],
)
async def test_a_jar_that_does_not_come(host: Host, make: Make, name: str, passing: bool, words: str) -> None:
    check = await make()
    with pytest.raises(BaseRefused, match=words) as refused:
        await check.check(f"{host.url}{name}", DIGEST)
    assert refused.value.failure.passing is passing
    assert host.fetched == {name: 1}


async def test_a_host_that_is_down_may_come_back(make: Make) -> None:
    check = await make()
    with pytest.raises(BaseRefused) as refused:
        await check.check("http://127.0.0.1:1/cart.jar", DIGEST)
    assert refused.value.failure.passing


async def test_the_digest_is_of_the_bytes_as_served(host: Host, make: Make) -> None:
    assert (await (await make()).check(f"{host.url}coded.jar", DIGEST)).read_bytes() == JAR


async def test_a_download_has_a_time_limit(host: Host, make: Make, tmp_path: Path) -> None:
    check = await make(timeout_s=0.1)
    with pytest.raises(BaseRefused, match=r"within 0\.1 s") as refused:
        await check.check(f"{host.url}slow.jar", DIGEST)
    assert refused.value.failure.passing
    assert list((tmp_path / "jars").iterdir()) == []


async def test_a_jar_has_a_size_limit(host: Host, make: Make, tmp_path: Path) -> None:
    check = await make(limit_bytes=len(JAR) - 1)
    with pytest.raises(BaseRefused, match="larger than"):
        await check.check(f"{host.url}cart.jar", DIGEST)
    assert list((tmp_path / "jars").iterdir()) == []


async def test_files_are_read_too(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a cart.jar").write_bytes(JAR)
    kept = await (await make()).check((tmp_path / "a cart.jar").as_uri(), DIGEST)
    assert kept.read_bytes() == JAR


@pytest.mark.parametrize("path", ["/nonexistent/cart.jar", "/dev/zero", "/tmp", "/x%00y"])
async def test_what_is_not_a_file_is_not_read(make: Make, path: str) -> None:
    check = await make()
    with pytest.raises(BaseRefused) as refused:
        await check.check(f"file://{path}", DIGEST)
    assert not refused.value.failure.passing


@pytest.mark.parametrize("url", ["http://169.254.169.254/x.jar", "http://2852039166/x", "ftp://h/x.jar", "x"])
async def test_what_is_never_fetched(make: Make, url: str) -> None:
    check = await make()
    with pytest.raises(BaseRefused) as refused:
        await check.check(url, DIGEST)
    assert not refused.value.failure.passing


async def test_what_was_not_used_for_longest_makes_room(make: Make, tmp_path: Path) -> None:
    jars = {name: name.encode() * 500 for name in ("a", "b", "c")}
    for name, content in jars.items():
        (tmp_path / name).write_bytes(content)
    check = await make(capacity_bytes=1000)

    async def fetch(name: str) -> Path:
        return await check.check((tmp_path / name).as_uri(), hashlib.sha256(jars[name]).hexdigest())

    kept = {name: await fetch(name) for name in ("a", "b")}
    await fetch("a")
    kept["c"] = await fetch("c")

    assert [name for name, path in kept.items() if path.exists()] == ["a", "c"]
    # What made room is fetched again when it is asked for.
    assert (await fetch("b")).read_bytes() == jars["b"]


async def test_what_a_crash_left_half_written_is_removed(make: Make, tmp_path: Path) -> None:
    (tmp_path / "jars").mkdir()
    old, new = tmp_path / "jars" / "old.part", tmp_path / "jars" / "new.part"
    for part in (old, new):
        part.write_bytes(b"half")
    hours_ago = CLOCK.now().timestamp() - 7200
    os.utime(old, (hours_ago, hours_ago))

    await make()

    assert (old.exists(), new.exists()) == (False, True)


def test_only_allowed_urls() -> None:
    assert url_failure("https://m.example/cart.jar", []) is None
    assert url_failure("https://m.example/cart.jar", ["https://m.example/"]) is None
    failure = url_failure("https://m.example.evil.test/cart.jar", ["https://m.example/"])
    assert failure is not None
    assert "TRANCHE_URL_ALLOW" in failure.message


async def _until(condition: Callable[[], bool]) -> None:
    async def is_so() -> bool | None:
        return condition() or None

    await wait_until(is_so, CLOCK, timeout_s=5, every_s=0.005)
