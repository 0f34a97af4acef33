"""Wrong manifests, as events and as requests: each is refused with field, value and expectation, and all that is
wrong with one document is said at once. Nothing of them is carried out."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import nats
import pytest

import tranche
from tests.installation import manifest
from tests.processes import ServiceProcess
from tranche.bus.server import NatsServer
from tranche.errors import Refused

pytestmark = pytest.mark.nats

STRATEGY = "spec.operationStrategy"
MODULE = "spec.template.spec.module"

WRONG: list[tuple[str, Any, str, str]] = [
    ("apiVersion", "koupleless.io/v2", '"koupleless.io/v2"', "koupleless.io/v1alpha1"),
    ("kind", "Deployment", '"Deployment"', "ModuleDeployment"),
    ("metadata.name", "Cart", '"Cart"', "lower-case"),
    ("spec.baseDeploymentName", "", '""', "1 to 253 characters"),
    ("spec.baseDeploymentName", 7, "7", "a base"),
    (f"{MODULE}.name", "-cart", '"-cart"', "a letter or digit at both ends"),
    (f"{MODULE}.version", 1.0, "1.0", "in quotes"),
    (f"{MODULE}.version", "1 0", '"1 0"', "a version"),
    (f"{MODULE}.url", "ftp://modules.example/cart.jar", '"ftp://modules.example/cart.jar"', "an http, https"),
    (f"{MODULE}.url", "http://u:p@modules.example/a.jar", "u:p@", "without a user or password"),
    (f"{MODULE}.sha256", "abc", '"abc"', "64 hexadecimal digits"),
    (f"{MODULE}.args", "--debug", '"--debug"', "a list"),
    ("spec.replicas", "3", '"3"', "without quotes"),
    ("spec.replicas", -2, "-2", "from -1"),
    (f"{STRATEGY}.batchCount", 0, "0", "from 1 to 1000"),
    (f"{STRATEGY}.batchCount", 2.5, "2.5", "a whole number"),
    (f"{STRATEGY}.useBeta", "yes", '"yes"', "true or false"),
    (f"{STRATEGY}.needConfirm", 1, "1", "true or false"),
    (f"{STRATEGY}.grayTime", 604_801, "604801", "from 0 to 604800"),
    (f"{STRATEGY}.grayTimeBetweenBatchSeconds", "60s", '"60s"', "a whole number"),
    ("spec.maxUnavailable", "101%", '"101%"', "whole percent"),
    ("spec.maxUnavailable", -1, "-1", "a whole number from 0"),
    (f"{STRATEGY}.upgradePolicy", "rolling", '"rolling"', "uninstall_then_install"),
    ("spec.schedulingStrategy.schedulingPolicy", "binpack", '"binpack"', "scatter"),
    ("spec.pause", "false", '"false"', "true or false"),
    (f"{STRATEGY}.batchCuont", 3, "3", "batchCount"),
    ("spec.progressDeadlineSeconds", -5, "-5", "a whole number"),
    ("spec.revisionHistoryLimit", 1000, "1000", "from 0 to 100"),
]


@pytest.fixture
async def planner(nats_server: NatsServer, tmp_path: Path) -> Any:
    process = ServiceProcess("tranche_planner", 1, ["--nats-url", nats_server.url], tmp_path)
    try:
        await process.start()
        yield process
    finally:
        await process.kill()


async def test_each_wrong_manifest_is_refused_both_ways(planner: Any, nats_server: NatsServer) -> None:
    connection = await nats.connect(nats_server.url)
    try:
        js = connection.jetstream()
        subscription = await js.pull_subscribe("tranche.rejected.shop.>", stream="TRANCHE_REJECTED")
        async with tranche.connect(nats_server.url) as client:
            for path, value, shown, expected in WRONG:
                document = wrong(path, value)
                event = f"tranche.deployments.shop.{name_token(document)}.apply"
                await js.publish(event, json.dumps(document).encode())
                by_event = await rejection(subscription)
                with pytest.raises(Refused) as by_request:
                    await client.apply(document)
                told = [
                    *((one["field"], one["message"]) for one in by_event["errors"]),
                    *((one.field, one.message) for one in by_request.value.errors),
                ]
                about = [message for field, message in told if field == path]
                assert len(about) == 2, f"{path} = {value!r} was answered with {told}"
                assert all(shown in message and expected in message for message in about), about
            assert await client.list() == (), "nothing of it was taken"
    finally:
        await connection.close()


async def test_all_that_is_wrong_is_said_at_once(planner: Any, nats_server: NatsServer) -> None:
    document = manifest("cart", "1.0.0")
    chosen = {path: value for path, value, *_ in WRONG if not path.startswith(("metadata", "api", "kind"))}
    for path, value in chosen.items():
        put(document, path, value)

    async with tranche.connect(nats_server.url) as client:
        with pytest.raises(Refused) as refused:
            await client.apply(document)

    # grayTime is given in both its spellings, each wrong by itself.
    assert {error.field for error in refused.value.errors} == set(chosen)


def wrong(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(manifest("cart", "1.0.0"))
    put(document, path, value)
    return document


def put(document: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    place = document
    for part in way:
        place = place.setdefault(part, {})
    place[last] = value


def name_token(document: dict[str, Any]) -> str:
    name = document["metadata"]["name"]
    return name if isinstance(name, str) and name else "cart"


async def rejection(subscription: Any) -> dict[str, Any]:
    async with asyncio.timeout(10):
        (message,) = await subscription.fetch(1, timeout=10)
    await message.ack()
    return json.loads(message.data)
