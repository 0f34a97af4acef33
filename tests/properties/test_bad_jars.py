"""Module URLs and the bytes behind them, and what is sent in place of a heartbeat: judged without a crash."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from tests.properties.bad_input import GARBAGE, examples, one_line
from tranche.contract.module_url import SCHEMES, allowed, prefix_problem, url_problem
from tranche.runtime import SystemClock
from tranche_executor.arklet.artifact import JarCheck
from tranche_executor.arklet.failure import BaseRefused, Cause, Failure
from tranche_executor.arklet.jar_source import url_failure
from tranche_executor.core.pod import Pod
from tranche_executor.pods.heartbeat import Reply
from tranche_executor.pods.listening import MOST_BYTES, listening

PARTS = st.sampled_from(
    [
        "http",
        "https",
        "file",
        "ftp",
        ":",
        "//",
        "/",
        "@",
        "?",
        "#",
        "[",
        "]",
        "%2e",
        "%2E%2e",
        "%252e",
        "..",
        ".",
        "\\",
        "m.example",
        "M.EXAMPLE",
        "localhost",
        "127.0.0.1",
        "::1",
        "[::1]",
        "fe80::1%25eth0",
        "0x7f.1",
        "xn--",
        "xn--a",
        ":80",
        ":0",
        ":99999",
        ":٣",
        "a.jar",
        ";x",
        "%00",
        "%",
        "%zz",
        "\x00",
        "\t",
        "\n",
        " ",
        "ß",
        "。",
        "u:p@",
        "*",
        ",",
    ]
)
URLS = st.one_of(
    st.lists(PARTS, max_size=8).map("".join),
    st.builds("http://m.example/{}".format, st.lists(PARTS, max_size=6).map("".join)),
    st.builds("https://{}/a.jar".format, st.lists(PARTS, max_size=4).map("".join)),
    st.text(max_size=30),
)


@examples(500)
@given(URLS, st.lists(URLS | st.sampled_from(["http://m.example/", "file:///srv/"]), max_size=3))
def test_a_url_that_is_allowed_is_where_it_says(url: str, prefixes: list[str]) -> None:
    problem = url_problem(url, prefixes)
    assert allowed(url, prefixes) is (problem is None)
    if problem is not None:
        assert problem
        failure = url_failure(url, prefixes)
        assert failure is not None
        one_line(failure.message, longest=601)
        return
    parts = urlsplit(url)
    assert parts.scheme in SCHEMES
    assert parts.username is None
    if parts.scheme != "file":
        # Another reader of URLs finds the same host.
        try:
            read = URL(url, encoded=True)
        except ValueError:
            return
        assert (read.raw_host or "").lower().strip("[]") == (parts.hostname or "").strip("[]")
    if prefixes:
        assert any(prefix_problem(prefix) is None for prefix in prefixes)


def zipped(**files: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, data in files.items():
            jar.writestr(name.replace("__", "/"), data)
    return into.getvalue()


JARS = {
    "a jar": zipped(META_INF__MANIFEST=b"Ark-Biz-Name: cart\nArk-Biz-Version: 1.0.0\n"),
    "another's manifest": zipped(META_INF__MANIFEST=b"Ark-Biz-Name: other\n"),
    "no manifest": zipped(a=b"b"),
    "a bomb": zipped(META_INF__MANIFEST=b"\0" * 30_000_000),
    "bombs in a gzip": gzip.compress(b"\0" * 30_000_000),
    "cut off": zipped(a=b"b" * 5000)[:40],
    "nothing": b"",
    "text": b"<html>404</html>",
}


@asynccontextmanager
async def host(answer: Callable[[str], bytes]) -> AsyncIterator[str]:
    """An artefact host that writes whatever it is told to, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        writer.write(answer(head.split(" ")[1]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def checked(url: str, digest: str, folder: Path) -> str:
    """Empty where the jar is the one that was meant, else why not."""
    failure: Failure | None = None
    async with JarCheck(folder, SystemClock(), timeout_s=5, limit_bytes=1_000_000) as jars:
        try:
            await jars.check(url, digest)
        except BaseRefused as refused:
            failure = refused.failure
    kept = {sha256(data).hexdigest() for data in files(folder)}
    if failure is None:
        assert kept == {digest}
        return ""
    assert failure.cause is Cause.ARTEFACT
    one_line(failure.message, longest=601)
    assert not kept
    return failure.message


def files(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.iterdir()]


@pytest.mark.parametrize("jar", JARS)
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate", "nonsense"])
async def test_bytes_are_compared_as_they_are_and_never_unfolded(
    jar: str, coding: str, tmp_path: Path
) -> None:
    data = JARS[jar]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    async with host(lambda _: head + data) as place:
        assert await checked(f"{place}/a.jar", sha256(data).hexdigest(), tmp_path / "one") == ""
        assert "is not the jar that was meant" in await checked(f"{place}/a.jar", "0" * 64, tmp_path / "two")


ANSWERS = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda status, headers, body: (
            f"HTTP/1.1 {status} X\r\n{headers}\r\n".encode("latin-1", "replace") + body
        ),
        st.sampled_from(["200", "204", "301", "404", "429", "500", "999", "x", "-1"]),
        st.sampled_from(
            [
                "",
                "Content-Length: 5\r\n",
                "Content-Length: -1\r\n",
                "Content-Length: 99999999\r\n",
                "X\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Location: \x1b[31m\r\n",
                "Location: http://169.254.169.254/\r\n",
                "X: " + "y" * 20_000 + "\r\n",
                "Content-Encoding: br\r\n",
                "Content-Length: 5\r\nContent-Length: 6\r\n",
            ]
        ),
        st.sampled_from([b"", b"short", b"5\r\nshort\r\n0\r\n\r\n", b"zz\r\n", b"x" * 2_000_000]),
    ),
)


@examples(25, each=10)
@given(st.lists(ANSWERS, min_size=10, max_size=10))
def test_whatever_an_artefact_host_answers_is_the_jar_or_why_not(answers: list[bytes]) -> None:
    async def law() -> None:
        async with host(lambda path: answers[int(path.strip("/").partition(".")[0])]) as place:
            with TemporaryDirectory() as folder:
                for number in range(len(answers)):
                    await checked(f"{place}/{number}.jar", "0" * 64, Path(folder))

    asyncio.run(law())


BODIES = {
    "a bomb": gzip.compress(b"\0" * 10_000_000),
    "too much": b"x" * (MOST_BYTES + 1),
    "brackets": b"[" * MOST_BYTES,
    "half": b'{"port": 1}',
}
BEATS = GARBAGE | st.sampled_from(sorted(BODIES))
HEADERS = st.sampled_from(
    [
        {},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "deflate"},
        {"Content-Encoding": "br"},
        {"Content-Type": "text/\x01"},
        {"Content-Type": "multipart/form-data"},
        {"Transfer-Encoding": "chunked"},
    ]
)


@examples(25, each=10)
@given(st.lists(st.tuples(BEATS, HEADERS), min_size=10, max_size=10))
def test_whatever_is_posted_for_a_heartbeat_is_answered(
    posts: list[tuple[bytes | str, dict[str, str]]],
) -> None:
    good = {
        "baseMetadata": {"clusterName": "shop", "name": "web", "identity": "w1"},
        "localIP": "h",
        "port": 1,
    }

    async def law() -> None:
        heard: list[Pod] = []

        def hear(pod: Pod) -> Reply:
            heard.append(pod)
            return Reply(200)

        async with listening("127.0.0.1", 0, hear, SystemClock()) as port, aiohttp.ClientSession() as session:
            for body, headers in posts:
                status = await _posted(port, BODIES[body] if isinstance(body, str) else body, headers)
                assert status in (200, 400, 408, 413, 415), status
            assert not heard
            async with session.post(f"http://127.0.0.1:{port}/beat", data=json.dumps(good)) as answer:
                assert answer.status == 200
            assert [pod.key.pod for pod in heard] == ["w1"]

    asyncio.run(law())


async def _posted(port: int, body: bytes, headers: dict[str, str]) -> int:
    """The status that a raw request is answered with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    length = "" if "Transfer-Encoding" in headers else f"Content-Length: {len(body)}\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if not length else body
    writer.write(
        f"POST /beat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}{head}\r\n".encode() + chunk
    )
    try:
        line = await asyncio.wait_for(reader.readline(), 10)
        await reader.read()
    finally:
        writer.close()
    return int(line.split(b" ")[1])
