"""Subjects and headers that only a real server takes amiss: whoever sends them, the planner stays connected."""

from __future__ import annotations

import json

import pytest

from tests.installation import manifest
from tests.services.planner_stage import planner_scene
from tranche.bus.nats import NatsBus
from tranche.contract import subjects
from tranche.errors import Refused, TrancheError
from tranche.runtime import wait_until

pytestmark = pytest.mark.nats

REPLIES = [
    "a b",
    "a..b",
    ".",
    "*",
    ">",
    "x\ty",
    "größe",
    "r" * 3990,
    "r" * 4100,
    "r" * 70_000,
    "_INBOX.\u2028x",
]


async def test_where_an_answer_is_to_go_harms_nobody(bus: NatsBus) -> None:
    async with planner_scene(bus) as scene:
        await scene.apply("1.0.0", replicas=3)
        for number, reply in enumerate(REPLIES):
            try:
                subject = subjects.event("shop", "cart", ("pause", "explode")[number % 2])
                await bus.publish(subject, b"{}", headers={subjects.REPLY_HEADER: reply})
            except TrancheError:
                continue  # no such message can be in the stream
        await wait_until(lambda: _none_left(bus), scene.runtime.clock, timeout_s=10, every_s=0.02)
        assert bus.connected
        assert await scene.apply("2.0.0", replicas=3) == 2


@pytest.mark.parametrize("length", [254, 1000, 3800])
async def test_a_namespace_longer_than_any_is_refused(bus: NatsBus, length: int) -> None:
    async with planner_scene(bus) as scene:
        name = "\U0001f6d2" * 253
        for verb, body in (("pause", {"name": name}), ("apply", manifest(name)), ("get", {"name": name})):
            subject = f"tranche.api.{'n' * length}.{verb}"
            answer = json.loads(await bus.request(subject, json.dumps(body).encode(), timeout_s=5))
            assert answer["accepted"] is False, answer
            assert all(len(error["message"]) < 2000 for error in answer["errors"])
        assert bus.connected
        assert await scene.apply("1.0.0", replicas=3) == 1


async def _none_left(bus: NatsBus) -> bool | None:
    return None if (await bus.state(subjects.DEPLOYMENTS)).messages else True


async def test_a_subject_that_no_line_holds_is_refused_before_it_is_sent(bus: NatsBus) -> None:
    with pytest.raises(Refused, match="longer than the server allows"):
        await bus.publish(f"tranche.deployments.{'x' * 5000}.a.apply", b"{}")
    assert bus.connected
