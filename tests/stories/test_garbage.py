"""Garbage on every subject a user may write changes nothing, and is found on ``tranche.rejected.>``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nats
import pytest
from nats.js.client import JetStreamContext

import tranche
from tests.installation import installation, manifest, phase, seen

pytestmark = pytest.mark.nats

VERBS = ("apply", "delete", "confirm", "pause", "resume", "abort")

GARBAGE: list[tuple[str, bytes]] = [
    ("tranche.deployments.shop.cart.apply", b"not json at all \xff\xfe"),
    ("tranche.deployments.shop.cart.apply", b""),
    ("tranche.deployments.shop.cart.apply", b"[]"),
    ("tranche.deployments.shop.cart.apply", b'{"kind": "Deployment"}'),
    ("tranche.deployments.shop.cart.apply", b"[" * 5000),
    ("tranche.deployments.shop.cart.apply", json.dumps(manifest("other")).encode()),
    ("tranche.deployments.shop.cart.apply", json.dumps(manifest("cart", namespace="other")).encode()),
    ("tranche.deployments.shop.cart.confirm", b'{"batch": "one"}'),
    ("tranche.deployments.shop.cart.confirm", b'{"batch": 7}'),
    ("tranche.deployments.shop.cart.confirm", b'{"generation": 99, "batch": 1}'),
    ("tranche.deployments.shop.cart.pause", b'{"by": {"name": []}}'),
    ("tranche.deployments.shop.cart.resume", b"true"),
    ("tranche.deployments.shop.cart.abort", b'{"unknown": 1}'),
    ("tranche.deployments.shop.cart.delete", b'{"abandon": "yes"}'),
    ("tranche.deployments.shop.cart.explode", b"{}"),
    ("tranche.deployments.shop.absent.confirm", b"{}"),
    ("tranche.deployments.shop.absent.delete", b"{}"),
    ("tranche.deployments.shop.=ZZ.apply", b"{}"),
    ("tranche.deployments.shop.cart.apply.more", b"{}"),
    ("tranche.deployments.shop", b"{}"),
]


ASKED: list[tuple[str, bytes]] = [
    *((f"tranche.api.shop.{verb}", body) for verb in VERBS for body in (b"", b"\xff\xfe{", b"[]", b"null")),
    *((f"tranche.api.shop.{verb}", b'{"name": "cart", "surprise": 1}') for verb in VERBS),
    *((f"tranche.api.shop.{verb}", b'{"name": ["cart"]}') for verb in VERBS),
    ("tranche.api.other.apply", json.dumps(manifest("cart")).encode()),
    ("tranche.api._all.delete", b'{"name": "cart"}'),
    ("tranche.api.=ZZ.delete", b'{"name": "cart"}'),
    ("tranche.api.shop.delete", b'{"name": "=2E.>"}'),
    ("tranche.api.shop.get", b'{"name": "absent"}'),
    ("tranche.api.shop.list", b'{"limit": "all"}'),
    ("tranche.api.shop.pods", b'{"name": "cart", "continue": 7}'),
]


async def test_garbage_is_rejected_with_its_reason_and_changes_nothing(tmp_path: Path) -> None:
    async with (
        installation(tmp_path, "shop/web-base:3") as here,
        tranche.connect(here.nats.url) as client,
    ):
        await here.start()
        await client.apply(manifest("cart", "1.0.0", replicas=3))
        before = await seen(client, "cart", phase("Healthy", generation=1))
        connection = await nats.connect(here.nats.url)
        try:
            js = connection.jetstream()
            for subject, payload in GARBAGE:
                await js.publish(subject, payload)
            rejected = await _rejected(js, len(GARBAGE))
            answers = {
                (subject, payload): json.loads((await connection.request(subject, payload, timeout=5)).data)
                for subject, payload in ASKED
            }
        finally:
            await connection.close()

        assert sorted(one["subject"] for one in rejected) == sorted(subject for subject, _ in GARBAGE)
        for one in rejected:
            assert one["accepted"] is False
            assert one["errors"], one
            assert all(error["message"] for error in one["errors"])
        for asked, answer in answers.items():
            assert answer["accepted"] is False, asked
            assert all(error["message"] for error in answer["errors"]), asked
        after = await client.get("shop", "cart")
        assert (after.phase, after.generation, after.available) == ("Healthy", before.generation, 3)
        answer = await client.apply(manifest("cart", "1.0.0", replicas=3))
        assert answer.generation == 1, "the same wish as before the garbage"


async def _rejected(js: JetStreamContext, count: int) -> list[dict]:
    subscription = await js.pull_subscribe("tranche.rejected.>", stream="TRANCHE_REJECTED")
    found: list[dict] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            try:
                found += [json.loads(one.data) for one in await subscription.fetch(100, timeout=1)]
            except TimeoutError:
                continue
    return found
