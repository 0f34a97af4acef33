"""Whatever a base answers, begun from what real ones were recorded with: read, refused or waited for, never more
than that base's own trouble (design 7.3)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.bad_input import GARBAGE, NOW, broken, examples, mutated, one_line
from tests.properties.bad_stage import stage
from tranche.contract.record import PodRecord
from tranche.errors import Unavailable, Unknown
from tranche.runtime import Clock, SystemClock
from tranche_executor.arklet.address import Address
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.arklet.failure import BaseRefused, explain, explain_record
from tranche_executor.arklet.operation import Operation
from tranche_executor.arklet.wire import Bizzes, Declined
from tranche_executor.core.observation import observe
from tranche_executor.core.pod import Pod, PodKey

TRANSCRIPTS = Path(__file__).parents[1] / "contract" / "transcripts"
COMMANDS = ("queryAllBiz", "queryBizOps", "installBiz", "uninstallBiz", "switchBiz")
POD = Pod(PodKey("shop", "web-base", "web-1"), "uid-1", "web-1:1238")
LARGEST_RECORD = 1 << 20


def recorded() -> Iterator[tuple[str, Any]]:
    """Every answer of a real base, with its command."""
    for file in sorted(TRANSCRIPTS.glob("*/*.json")):
        for step in json.loads(file.read_text())["steps"]:
            command, body = step["request"]["path"].lstrip("/"), step["response"].get("body")
            if command in COMMANDS and isinstance(body, dict):
                yield command, body


RECORDED = {command: [body for one, body in recorded() if one == command] for command in COMMANDS}
ANSWERS = st.sampled_from(COMMANDS).flatmap(
    lambda command: broken(st.sampled_from(RECORDED[command]).flatmap(mutated)) | GARBAGE
)
STATUSES = st.sampled_from([200] * 8 + [204, 404, 413, 500])


class Told:
    """A transport that has one answer for everything."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = status, body

    async def post(self, place: Address, command: str, data: bytes) -> tuple[int, bytes]:
        return self._answer


class NoTime(SystemClock):
    """Nobody waits."""

    async def sleep(self, seconds: float) -> None:
        return None


def client(status: int, body: bytes, clock: Clock | None = None) -> ArkletClient:
    return ArkletClient(Told(status, body), clock or NoTime())


async def asked(client: ArkletClient, command: str) -> Bizzes | Operation | bool | None:
    match command:
        case "queryAllBiz":
            return await client.query("h:1")
        case "queryBizOps":
            return await client.operation("h:1", "r-1")
        case "installBiz":
            return await client.install("h:1", "cart", "1.0.0", "http://m/cart.jar", ("-x={version}",), "r-1")
        case "uninstallBiz":
            return await client.uninstall("h:1", "cart", "1.0.0", "r-1")
        case "burn":
            return await client.burn("h:1", "r-1")
    await client.switch("h:1", "cart", "1.0.0")
    return None


@pytest.mark.parametrize("command", [*COMMANDS, "burn"])
def test_every_command_has_one_of_its_outcomes(command: str) -> None:
    @examples(150, among=6)
    @given(ANSWERS, STATUSES)
    def law(body: bytes, status: int) -> None:
        try:
            told = asyncio.run(asked(client(status, body), command))
        except (Unavailable, Unknown, BaseRefused) as error:
            one_line(str(error), longest=700)
            return
        assert status == 200
        if isinstance(told, Bizzes):
            recordable(told)
        elif isinstance(told, Operation) and told.failure is not None:
            one_line(told.failure.message, longest=400)

    law()


def recordable(bizzes: Bizzes) -> None:
    """What was seen can be kept: the record survives its JSON and is one message."""
    record = observe(None, POD, bizzes, NOW)
    data = record.encode()
    assert PodRecord.decode(data) == record
    assert len(data) < LARGEST_RECORD
    for name, entry in record.modules.items():
        one_line(name)
        one_line(entry.version)


NAMES = st.text(st.characters(), min_size=1, max_size=400)


@examples(150)
@given(st.lists(st.tuples(NAMES, NAMES, st.text(max_size=600)), max_size=5), st.integers(1, 2000), NAMES)
def test_what_a_base_names_can_be_kept(named: list[tuple[str, str, str]], times: int, identity: str) -> None:
    entries = [
        {
            "bizName": f"{name}{turn}",
            "bizVersion": version,
            "bizState": "BROKEN",
            "bizStateRecords": [{"message": why}],
        }
        for turn in range(times if len(named) < 2 else 1)
        for name, version, why in named
    ]
    body = json.dumps({"code": "SUCCESS", "baseIdentity": identity, "data": entries}).encode()
    try:
        bizzes = asyncio.run(client(200, body).query("h:1"))
    except Unknown as error:
        one_line(str(error), longest=700)
        return
    assert len(bizzes.bizzes) == len(entries)
    recordable(bizzes)


@pytest.mark.parametrize("count", [1, 256, 257, 1000])
def test_as_many_modules_as_a_base_can_name_are_kept_or_refused(count: int) -> None:
    entries = [
        {"bizName": f"{number:ö>253}", "bizVersion": "ö" * 253, "bizState": "BROKEN"}
        | {"bizStateRecords": [{"message": "größe " * 100}]}
        for number in range(count)
    ]
    body = json.dumps({"code": "SUCCESS", "data": entries}, ensure_ascii=False).encode()
    try:
        bizzes = asyncio.run(client(200, body).query("h:1"))
    except Unknown:
        assert count > 256
    else:
        assert len(bizzes.bizzes) == count
        recordable(bizzes)


@pytest.mark.parametrize(
    "word", ["requestId(", "Child name [", "Socket", "SSL", "Caused by: ", "\n\tat ", "HTTP "]
)
def test_megabytes_of_half_a_reason_hold_nobody(word: str) -> None:
    text = word * (4_000_000 // len(word))
    began = time.process_time()
    one_line(explain(Declined("FAILED", text, "", text, text)).message)
    one_line(explain_record(text, {"@type": text, "message": text}).message)
    # Quadratic searches took hours.
    assert time.process_time() - began < 10


@examples(2, each=25)
@given(st.lists(st.tuples(ANSWERS, STATUSES), min_size=25, max_size=25))
def test_a_mad_base_is_nobody_elses_trouble(answers: list[tuple[bytes, int]]) -> None:
    asyncio.run(_beside_a_mad_base(answers))


async def _beside_a_mad_base(answers: list[tuple[bytes, int]]) -> None:
    async with stage() as here:
        given = cycle(answers)
        mad = here.base("web-1")

        def answer(command: str) -> tuple[int, bytes]:
            body, status = next(given)
            return status, body

        mad.mad = answer
        await here.apply("shop", "cart", "1.0.0", replicas=1)
        await here.apply("other", "cart", "1.0.0", replicas=1)
        await here.healthy("other", "cart", "1.0.0")
        await here.until(
            lambda: mad.asked >= len(answers), "it was asked for all it had to say", within_s=600
        )
        await here.apply("other", "cart", "2.0.0", replicas=1)
        await here.healthy("other", "cart", "2.0.0")
        # It comes to its senses: so does its pool.
        mad.mad = lambda _: None
        await here.apply("shop", "cart", "2.0.0", replicas=2)
        await here.healthy("shop", "cart", "2.0.0", within_s=1200)
        assert here.base("web-2").modules == {("cart", "2.0.0"): "ACTIVATED"}
        assert mad.modules == {("cart", "2.0.0"): "ACTIVATED"}
