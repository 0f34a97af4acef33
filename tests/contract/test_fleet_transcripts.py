"""Simulated bases answer as the real arklets did: every recorded request is sent again, over HTTP.

`transcripts/<version>/` holds what real bases were asked and answered. The clock of the simulated base is set
to the recorded times, so an installation that took 8 s takes none here, and what overlapped overlaps again.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tranche_fleet.arklet import Settings
from tranche_fleet.catalogue import CONNECTION_REFUSED, EMPTY_JAR, NOT_A_JAR, Catalogue
from tranche_fleet.fleet import Fleet
from tranche_fleet.pod import Pod

FOLDER = Path(__file__).parent / "transcripts"
START = 1_790_000_000.0
ANSWER_S = 2.0
"""Real time for an answer that is due: it is there at once, unless the machine is busy."""
PLACES = {
    "<JAR_URL>": "file:///modules",
    "<JAR_DIR>": "/modules",
    "<JAR_HTTP>": "http://jars.example",
    "<SILENT_HOST>": "silent.example",
    "<BASE_IP>": "10.0.0.7",
    "<WORK_DIR>": "/tmp/sofa-ark",
    "<1 MiB + 18 bytes of JSON>": json.dumps({"filler": "x" * (1 << 20)}),
}
FLAGS = {
    "-Dsofa.ark.auto.uninstall.when.failed.enable=false": {"keep_failed": True},
    "-Dactivate.new.module=true": {"activate_new": True},
    "-Dsofa.ark.activate.multi.biz.version.enable=true": {"activate_multi": True},
}
START_S = {("2.1.11", "18-async"): 0.665, ("2.1.3", "18-async"): 0.5}
"""What a module takes to start, where a recording can only be followed with one figure; else 0.15 s."""
BEFORE = {("2.1.3", "21-uninstall-then-install"): "19-async-conflict"}
"""Recorded on a base on which another recording had left its traces: a zombie on the context path."""
UNSEEN = {("2.1.11", "22-batch-install"): (0.42, ("cart", "orders"))}
"""Modules were taken away at that time, and nobody wrote it down."""
NOT_ASKED_OF_A_BASE = {"25-heartbeat"}


@dataclass
class Step:
    """One recorded request, its times in seconds, and what came back."""

    request: dict[str, Any]
    response: dict[str, Any]
    begin: float
    end: float
    note: str

    @property
    def unanswered(self) -> bool:
        return self.response["end"] == "client_timeout"


@dataclass
class Conversation:
    """One connection of a replay."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    got: bytearray = field(default_factory=bytearray)

    async def heard(self, *, until_closed: bool) -> str:
        """What came: to the end of the connection, or what is there."""
        try:
            async with asyncio.timeout(ANSWER_S if until_closed else 0.02):
                while chunk := await self.reader.read(1 << 16):
                    self.got += chunk
        except TimeoutError:
            if until_closed:
                raise
        return self.got.decode()


def recordings() -> Iterator[tuple[str, str]]:
    for path in sorted(FOLDER.glob("*/*.json")):
        if path.stem not in NOT_ASKED_OF_A_BASE:
            yield path.parent.name, path.stem


def load(version: str, case: str) -> tuple[list[str], list[Step]]:
    document = json.loads((FOLDER / version / f"{case}.json").read_text())
    steps: list[Step] = []
    for step in document["steps"]:
        begin = step["at_ms"] / 1000 if "at_ms" in step else max(one.end for one in steps)
        end = begin + step["response"]["elapsed_ms"] / 1000
        steps.append(Step(step["request"], step["response"], begin, end, step.get("note") or ""))
    begin, modules = UNSEEN.get((version, case), (0.0, ()))
    for number, name in enumerate(modules):
        body = {"bizName": name, "bizVersion": "1.0.0"}
        request = {"method": "POST", "path": "/uninstallBiz", "body": body}
        at = begin + number / 1000
        steps.append(Step(request, {"end": "closed_by_server"}, at, at + 0.001, ""))
    # What a module serves to its users is not arklet's.
    return document["jvm_flags"], [step for step in steps if step.request.get("port") != "web"]


def here(text: str) -> str:
    for placeholder, meant in PLACES.items():
        text = text.replace(placeholder, meant)
    return text


def request_bytes(request: dict[str, Any]) -> tuple[bytes, bytes]:
    body = request["body"]
    text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    data = here(text).encode()
    headers = {"Host": "base", "Content-Length": str(len(data)), **request.get("headers", {})}
    head = [f"{request['method']} {request['path']} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*head, "", ""]).encode(), data


class Replay:
    """A simulated base whose time is that of a recording."""

    def __init__(self, fleet: Fleet, pod: Pod) -> None:
        self.fleet = fleet
        self.pod = pod
        self.now = START

    async def at(self, time: float) -> None:
        """Let everything happen up to this time."""
        self.now = max(self.now, time)
        self.fleet.tick()
        await self.settle()

    async def settle(self) -> None:
        """Let what was sent arrive."""
        for _ in range(3):
            await asyncio.sleep(0.0005)

    async def send(self, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
        head, body = request_bytes(request)
        writer.write(head)
        if "Expect" in request.get("headers", {}):
            await self.settle()
        writer.write(body)
        await writer.drain()
        await self.settle()

    async def run(self, steps: list[Step]) -> list[tuple[Step, str]]:
        """Send all requests at their times; what came back, in the order it was asked."""
        began = self.now
        events = sorted(
            [(step.begin, 1, number) for number, step in enumerate(steps)]
            + [(step.end, 0, number) for number, step in enumerate(steps)],
            # A request that was sent when another was answered came after the answer; never after its own.
            key=lambda event: (event[0], event[1] if steps[event[2]].begin < steps[event[2]].end else 1),
        )
        open_: dict[int, Conversation] = {}
        told: dict[int, str] = {}
        for time, sends, number in events:
            step = steps[number]
            await self.at(began + time)
            if sends:
                host, _, port = self.pod.address.partition(":")
                open_[number] = Conversation(*await asyncio.open_connection(host, int(port)))
                await self.send(open_[number].writer, step.request)
                continue
            if "stuck download" in step.note:
                self.fleet.hang_up()
            conversation = open_.pop(number)
            try:
                told[number] = await conversation.heard(until_closed=not step.unanswered)
            except TimeoutError:
                raise AssertionError(f"no answer at {step.end:g} s: {step.request} ({step.note})") from None
            finally:
                conversation.writer.close()
        return [(step, told[number]) for number, step in enumerate(steps)]


@pytest.mark.parametrize(("version", "case"), list(recordings()))
async def test_a_recording_comes_out_again(version: str, case: str) -> None:
    flags, steps = load(version, case)
    settings: dict[str, Any] = {"install_s": START_S.get((version, case), 0.15), "uninstall_s": 0.0005}
    for flag in flags:
        settings |= FLAGS.get(flag, {})
    catalogue = Catalogue(silent={PLACES["<SILENT_HOST>"]}, down={"127.0.0.1:9": CONNECTION_REFUSED})
    for name, failure in (("not-a-jar", NOT_A_JAR), ("half", NOT_A_JAR), ("empty", EMPTY_JAR)):
        catalogue.list(f"{PLACES['<JAR_HTTP>']}/{name}.jar", failure)
    async with Fleet(catalogue=catalogue, clock=lambda: replay.now if replay else START) as fleet:
        replay: Replay | None = None
        pod = await fleet.add(version=version, settings=Settings(**settings), identity=PLACES["<BASE_IP>"])
        replay = Replay(fleet, pod)
        if (before := BEFORE.get((version, case))) is not None:
            await replay.run(load(version, before)[1])
            await replay.at(replay.now + 60)
        told = await replay.run(steps)

    faults = [
        f"{step.request['path']} {json.dumps(step.request['body'])[:200]} ({step.note}): {fault}"
        for step, answer in told
        if "status" in step.response
        for fault in differences(simulated(answer), recorded(step))
        if not (begins_something(step) and ANY_MOMENT.match(fault))
    ]
    assert not faults, "\n".join(faults)


# --- what is compared ---


def recorded(step: Step) -> Any:
    response = step.response
    if response["status"] is None:
        return None
    body = response["body"]
    if isinstance(body, str):
        status, _, rest = body.partition("\r\n\r\n")
        if response["status"].endswith("100 Continue"):
            return [response["status"], {}, [status, {}, stable(json.loads(here(rest)))]]
        return [response["status"], response["headers"], body]
    return [response["status"], response["headers"], stable(json.loads(here(json.dumps(body))))]


def simulated(answer: str) -> Any:
    if not answer:
        return None
    head, _, body = answer.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if status.endswith("100 Continue"):
        return [status, headers, simulated(body)]
    return [status, headers, stable(json.loads(body)) if body.startswith("{") else body]


TIMES = {"changeTime", "startTime", "endTime", "startTimestamp", "endTimestamp"}
SPANS = {"elapsedTime", "elapsedSpace"}
FIGURES = {"jvm", "cpu"}
"""Only their names are compared, and of what kind they are."""
VOLATILE = (
    (re.compile(r"-\d{17}-unpack"), "-<time>-unpack"),
    (re.compile(r"cost: \d+ ms, started at: [\d:,]+"), "cost: <time>"),
    (re.compile(r"file:\S*/base\.jar!"), "file:<base.jar>!"),
    (re.compile(r"ARKLET-ark-biz-ops-\d+-T\d+"), "<thread>"),
    (re.compile(r"@[0-9a-f]{5,8}\b"), "@<hash>"),
    (re.compile(r"\n?<cut>"), ""),
)


def stable(value: Any) -> Any:
    """Without what differs from run to run."""
    match value:
        case dict():
            return {key: _stable_item(key, item) for key, item in value.items()}
        case list():
            return [stable(item) for item in value if not (isinstance(item, str) and "<cut>" in item)]
        case str():
            for pattern, word in VOLATILE:
                value = pattern.sub(word, value)
            return value.rstrip("\n")
    return value


def _stable_item(key: str, item: Any) -> Any:
    if key in SPANS:
        return "<span>"
    if key in TIMES and isinstance(item, int):
        return "<time>" if item else 0
    if key in FIGURES and isinstance(item, dict):
        return {name: type(figure).__name__ for name, figure in item.items()}
    return stable(item)


ANY_MOMENT = re.compile(r"\[2\]\.data\.(status|threadName|message|endTime|endTimestamp|throwable)\b")
"""In the answer to an asynchronous command: its thread may have begun by then, or even ended."""


def begins_something(step: Step) -> bool:
    return isinstance(step.request["body"], dict) and step.request["body"].get("async") is True


def differences(found: Any, wanted: Any, place: str = "") -> Iterator[str]:
    """Where two documents differ, in words."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from differences(found.get(key), wanted.get(key), f"{place}.{key}")
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
            yield from differences(ours, theirs, f"{place}[{number}]")
    elif found != wanted:
        yield f"{place} is {found!r}, recorded was {wanted!r}"
