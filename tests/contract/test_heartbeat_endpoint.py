"""The endpoint that real bases call: what it takes, and that garbage is answered and changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tranche.bus.memory import MemoryBroker, MemoryBus
from tranche.errors import Refused
from tranche.runtime import SystemClock, system_runtime
from tranche_executor.core.pod import Pod, PodKey
from tranche_executor.pods import heartbeat, listening
from tranche_executor.pods.beat import read_beat
from tranche_executor.pods.heartbeat import HeartbeatPods, Reply
from tranche_executor.pods.listening import MOST_BYTES
from tranche_executor.pods.listening import listening as listens

RECORDING = Path(__file__).parent / "transcripts" / "2.1.11" / "25-heartbeat.json"


@dataclass
class Ear:
    """Hears everything, and answers what the test wants."""

    url: str = ""
    heard: list[Pod] = field(default_factory=list)
    reply: Reply = field(default_factory=lambda: Reply(200))

    def hear(self, pod: Pod) -> Reply:
        self.heard.append(pod)
        return self.reply

    async def send(self, body: bytes | str, method: str = "POST", path: str = "/") -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, data=body) as answer,
        ):
            return answer.status, await answer.text()


@asynccontextmanager
async def an_ear() -> AsyncIterator[Ear]:
    ear = Ear()
    async with listens("127.0.0.1", 0, ear.hear, SystemClock()) as port:
        ear.url = f"http://127.0.0.1:{port}"
        yield ear


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    async with an_ear() as one:
        yield one


def a_beat(**changes: Any) -> dict[str, Any]:
    base = {"clusterName": "shop", "identity": "web-1", "name": "web", "version": "1.0.0"}
    base |= {name: changes.pop(name) for name in list(changes) if name in base}
    beat = {
        "baseMetadata": base,
        "localHostName": "h",
        "localIP": "10.0.0.7",
        "port": 1238,
        "state": "activated",
    }
    return {**beat, **changes}


async def test_recorded_heartbeats_are_understood(ear: Ear) -> None:
    for step in json.loads(RECORDING.read_text())["steps"]:
        request = step["request"]
        body = json.dumps(request["body"]).replace("<BASE_IP>", "10.1.2.3")
        assert await ear.send(body, request["method"], request["path"]) == (200, "")
    named, plain = ear.heard[:2]
    assert (named.key, named.address) == (PodKey("default", "lab-base", "base-n"), "127.0.0.2:12381")
    assert named.uid == "base-n@127.0.0.2:12381"
    assert plain.key == PodKey("default", "TO_BE_IMPLEMENTED", "10.1.2.3")


async def test_any_path_will_do(ear: Ear) -> None:
    for path in ("/", "/heartbeat", "/a/b?c=d"):
        assert (await ear.send(json.dumps(a_beat()), path=path))[0] == 200
    assert len(ear.heard) == 3


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 8000, "not JSON"),
        ("[]", "the heartbeat is []: expected an object"),
        ("null", "the heartbeat is missing: expected an object"),
        ("{}", "baseMetadata is missing"),
        (json.dumps(a_beat(baseMetadata=[1])), "baseMetadata is [1]: expected an object"),
        (json.dumps(a_beat(clusterName="Shop")), "baseMetadata.clusterName is 'Shop': expected 1 to 63"),
        (json.dumps(a_beat(identity="../x")), "baseMetadata.identity is '../x': expected"),
        (json.dumps(a_beat(identity="a" * 300)), "baseMetadata.identity is 'aaa"),
        (json.dumps(a_beat(identity={"a": 1})), "baseMetadata.identity is {'a': 1}: expected"),
        (json.dumps(a_beat(name="a>b")), "baseMetadata.name is 'a>b': expected"),
        (json.dumps(a_beat(name="\x1b[31m")), "baseMetadata.name is '\\x1b[31m': expected"),
        (json.dumps(a_beat(localIP=7)), "localIP is 7: expected an address as text"),
        (json.dumps(a_beat(localIP="169.254.169.254")), "expected a host that is not a link-local"),
        (json.dumps(a_beat(localIP="h/../:1#")), "localIP:port is '[h/../:1#]:1238': expected"),
        (json.dumps(a_beat(port="1238")), "port is '1238': expected a number of 1 to 65535"),
        (json.dumps(a_beat(port=True)), "port is True"),
        (json.dumps(a_beat(port=1e400)), "port is inf"),
        (json.dumps(a_beat(port=0)), "expected host:port with a port of 1 to 65535"),
        (json.dumps(a_beat(port=10**30)), "expected host:port with a port of 1 to 65535"),
    ],
)
async def test_garbage_is_answered_with_what_was_expected(ear: Ear, body: str | bytes, told: str) -> None:
    status, reason = await ear.send(body)
    assert (status, ear.heard) == (400, [])
    assert told in reason
    assert len(reason) < 1000


async def test_all_faults_are_told_at_once(ear: Ear) -> None:
    _, reason = await ear.send(json.dumps(a_beat(name="", identity=None, port=None)))
    assert all(field in reason for field in ("baseMetadata.name", "baseMetadata.identity", "port is missing"))


async def test_too_much_and_other_methods_are_refused(ear: Ear) -> None:
    assert (await ear.send(b"x" * (MOST_BYTES + 1)))[0] == 413
    for method in ("GET", "PUT", "DELETE"):
        assert (await ear.send(b"", method))[0] == 405
    assert ear.heard == []


async def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "READ_S", 0.2)
    async with an_ear() as ear:
        host, _, port = ear.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{")
        assert b"408" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()


async def test_a_refusal_is_told_and_a_base_that_is_being_asked_hears_success(ear: Ear) -> None:
    ear.reply = Reply(409, "another has this identity")
    assert await ear.send(json.dumps(a_beat())) == (409, "another has this identity")
    ear.reply = Reply(202)
    assert (await ear.send(json.dumps(a_beat())))[0] == 200


async def test_a_port_that_is_taken_is_told(ear: Ear) -> None:
    port = int(ear.url.rpartition(":")[2])
    with pytest.raises(Refused, match=rf"heartbeat:{port}: cannot listen on 127\.0\.0\.1:{port}"):
        async with listens("127.0.0.1", port, ear.hear, SystemClock()):
            pass


async def test_ipv6_bases_have_brackets() -> None:
    assert read_beat(json.dumps(a_beat(localIP="fd00::7")).encode()).address == "[fd00::7]:1238"


async def test_more_newcomers_than_can_be_asked_are_heard_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "MOST_NEWCOMERS", 5)
    runtime = system_runtime()

    async def never(_: str) -> bool:
        return False

    pods = HeartbeatPods(MemoryBus(MemoryBroker(runtime.clock), runtime), runtime, never)
    replies = [pods.hear(read_beat(json.dumps(a_beat(identity=f"web-{n}")).encode())) for n in range(8)]
    assert [reply.status for reply in replies] == [202] * 5 + [503] * 3
    assert pods.pods() == {}
