"""The AsyncAPI description is sound, covers every stream, and real messages on every subject are as it says."""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import nats
import pytest
from nats.aio.msg import Msg

import tranche
from docs.generate.pages import KEPT
from tests.installation import installation, manifest, phase, seen, waits_for
from tranche.asyncapi import describe, documents
from tranche.bus.nats import NatsBus, connect
from tranche.contract import subjects
from tranche.contract.plan import Plan
from tranche.errors import TrancheError
from tranche.streams import STREAMS

Json = dict[str, Any]
DESCRIPTION = describe(kept=KEPT)
CHANNELS: Json = DESCRIPTION["channels"]
OPERATIONS: Json = DESCRIPTION["operations"]

_REF: Json = {
    "type": "object",
    "required": ["$ref"],
    "additionalProperties": False,
    "properties": {"$ref": {"type": "string", "pattern": "^#/"}},
}
_EXTRA: Json = {"patternProperties": {"^x-": {}}, "additionalProperties": False}


def _object(required: str = "", **properties: Json) -> Json:
    return {"type": "object", "required": required.split(), "properties": properties, **_EXTRA}


def _map(of: Json) -> Json:
    """Names as the specification allows them for keys."""
    return {"type": "object", "patternProperties": {r"^[A-Za-z0-9._-]+$": of}, "additionalProperties": False}


_TEXT: Json = {"type": "string"}
_REPLY = _object(channel=_REF, messages={"type": "array", "items": _REF}, address={"type": "object"})
STRUCTURE = _object(
    "asyncapi info",
    asyncapi={"const": "3.0.0"},
    info=_object("title version", title=_TEXT, version=_TEXT, description=_TEXT),
    defaultContentType=_TEXT,
    servers=_map(_object("host protocol", host=_TEXT, protocol=_TEXT, description=_TEXT)),
    channels=_map(
        _object(
            address={"type": ["string", "null"]},
            description=_TEXT,
            parameters=_map(_REF),
            messages=_map(_REF),
        )
    ),
    operations=_map(
        _object(
            "action channel",
            action={"enum": ["send", "receive"]},
            channel=_REF,
            messages={"type": "array", "items": _REF, "minItems": 1},
            reply=_REPLY,
        )
    ),
    components=_object(
        schemas=_map({"type": "object"}),
        parameters=_map(_object(description=_TEXT)),
        messages=_map(_object("payload", name=_TEXT, headers={"type": "object"}, payload=_REF)),
    ),
)
"""What AsyncAPI 3.0 says of the parts that are used here."""


# --- the document itself ---


def test_its_structure_is_that_of_asyncapi_3() -> None:
    jsonschema.Draft7Validator.check_schema(STRUCTURE)
    jsonschema.validate(DESCRIPTION, STRUCTURE)


def test_every_reference_leads_somewhere() -> None:
    found = list(_references(DESCRIPTION))
    assert len(found) > 200
    for reference in found:
        assert _resolved(reference) is not None, reference


def test_every_schema_is_one_and_is_used() -> None:
    schemas = DESCRIPTION["components"]["schemas"]
    used = {
        reference.rpartition("/")[2] for reference in _references(DESCRIPTION) if "/schemas/" in reference
    }
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schemas) == used


def test_channels_and_operations_agree() -> None:
    for name, channel in CHANNELS.items():
        words = re.findall(r"{(\w+)}", channel["address"] or "")
        assert words == list(channel.get("parameters", {})), name
    for name, operation in OPERATIONS.items():
        for part in (operation, operation.get("reply")):
            if part is not None:
                prefix = f"{part['channel']['$ref']}/messages/"
                assert all(one["$ref"].startswith(prefix) for one in part["messages"]), name
    talked_of = {part["channel"]["$ref"] for part in _talks()}
    assert talked_of == {f"#/channels/{name}" for name in CHANNELS}, "every channel is used"


def test_every_stream_is_described() -> None:
    for stream in STREAMS:
        mine = [one["address"] for one in CHANNELS.values() if one.get("x-stream") == stream.name]
        assert mine, stream.name
        for address in mine:
            example = re.sub(r"{\w+}", "word", address)
            assert any(_covers(pattern, example) for pattern in stream.subjects), address


def test_what_is_wrong_does_not_pass() -> None:
    """The validation below would not notice nothing."""
    status = _validator("Status")
    assert not status.is_valid({})
    plan = Plan(
        namespace="shop",
        base="b",
        name="cart",
        module="cart",
        revision=1,
        generation=1,
        replicas=1,
        updated=1,
        wanted=1,
    )
    good = json.loads(plan.encode())
    assert _validator("Plan").is_valid(good)
    for bad in ({"surprise": 1}, {"mode": "sideways"}, {"retriedAt": "yesterday"}, {"evict": "web-base-1"}):
        assert not _validator("Plan").is_valid({**good, **bad}), bad


# --- real messages ---


@pytest.mark.nats
async def test_real_messages_are_as_described(tmp_path: Path) -> None:
    """A whole installation is put through everything, and whatever passes on any subject is held to the schemas."""
    async with installation(tmp_path, "shop/web-base:4", "shop/dead-base:2") as here:
        heard: list[Msg] = []

        async def note(message: Msg) -> None:
            heard.append(message)

        listener = await nats.connect(here.nats.url, allow_reconnect=False)
        await listener.subscribe(">", cb=note)
        await listener.flush()
        await here.start(environment={"TRANCHE_OBSERVE_INTERVAL": "1"})
        async with (
            tranche.connect(here.nats.url) as client,
            connect(here.nats.url, name="test") as bus,
        ):
            await _everything(client, bus)
            stored = [one for stream in STREAMS async for one in _stored(bus, stream.name)]
        await listener.flush()
        await listener.close()

    seen_on: dict[str, int] = defaultdict(int)
    asked = {message.reply: message.subject for message in heard if message.reply}
    for message in heard:
        if (channel := _channel_of(message.subject)) is not None:
            seen_on[channel] += 1
            _check(channel, message.subject, message.data)
        elif (question := asked.get(message.subject)) and (operation := _answered(question)):
            seen_on[operation] += 1
            _check_answer(operation, question, message.data)
    for subject, data in stored:
        channel = _channel_of(subject)
        assert channel is not None, f"{subject} is not described"
        seen_on[channel] += 1
        _check(channel, subject, data)
    missing = {*CHANNELS, *(name for name in OPERATIONS if "reply" in OPERATIONS[name])} - set(seen_on)
    # Answers are counted by their question; the broker rings only for a planner that is gone.
    assert missing - {"answers", "levels", "wake"} == set(), "all were seen"


async def _everything(client: tranche.Client, bus: NatsBus) -> None:
    """Every verb, as a request and as an event; failures, refusals, and previews."""
    three = {"replicas": 3, "batchCount": 3, "needConfirm": True}
    await client.plan(manifest("cart", "1.0.0", replicas=3))
    await client.apply(manifest("cart", "1.0.0", replicas=3))
    await seen(client, "cart", phase("Healthy", generation=1))
    await client.apply(manifest("cart", "2.0.0", **three, grayTime=1))
    await seen(client, "cart", waits_for(1, 2))
    await client.explain("shop", "cart")
    await client.plan_of("shop", "cart")
    await client.pause("shop", "cart", by="a", reason="b")
    await client.resume("shop", "cart")
    await client.confirm("shop", "cart", batch=1, by="alice", reason="fine")
    await client.promote("shop", "cart", full=True)
    await seen(client, "cart", phase("Healthy", generation=2))
    await client.freeze("shop", until=datetime.now(UTC) + timedelta(seconds=60), reason="the big day")
    await client.unfreeze("shop")
    await client.restart("shop", "cart")
    await client.undo("shop", "cart", fast=True)
    await seen(client, "cart", phase("Healthy"))
    await client.replace("shop", "cart", "web-base-1")
    await client.scale("shop", "cart", 2)
    await seen(client, "cart", phase("Healthy"))
    await client.apply(manifest("cart", "3.0.0-broken", replicas=2, batchCount=2))
    await seen(client, "cart", phase("Degraded"))
    await client.retry("shop", "cart")
    await client.abort("shop", "cart")
    await seen(client, "cart", phase("Aborted"))
    await client.history("shop", "cart")
    await client.list("shop")
    await client.pods("shop", "cart")
    await client.get("shop", "cart")
    await _events(bus)
    await client.delete("shop", "cart", abandon=True)
    await seen(client, "cart", phase("Deleted"))


async def _events(bus: NatsBus) -> None:
    """The same verbs as events of another deployment, most of them refused."""
    bodies: Json = {
        "confirm": {"batch": 1, "by": "robot"},
        "promote": {"full": True},
        "replace": {"pod": "web-base-1"},
        "undo": {"revision": 1, "fast": True},
        "scale": {"replicas": 2},
        "delete": {"abandon": False, "by": "robot"},
    }
    for name, operation in OPERATIONS.items():
        verb = name.removeprefix("take-")
        if name.startswith("take-") and verb != "apply":
            body = json.dumps(bodies.get(verb, {"by": "robot", "reason": "why not"})).encode()
            await bus.publish(subjects.event("shop", "absent", verb), body)
            assert operation["action"] == "receive"


async def _stored(bus: NatsBus, stream: str) -> Any:
    """What a stream still holds."""
    filter_ = next(one.subjects[0] for one in STREAMS if one.name == stream)
    for subject in await bus.subjects(stream, filter_):
        try:
            last = await bus.last(stream, subject)
        except TrancheError:
            continue
        if last is not None:
            yield last.subject, last.data


# --- how a message is held to its schema ---


def _validator(name: str) -> jsonschema.Draft202012Validator:
    """Strict: of what we send, every field is described."""
    if name not in _VALIDATORS:
        _VALIDATORS[name] = jsonschema.Draft202012Validator(documents(_STRICT, name), format_checker=_FORMATS)
    return _VALIDATORS[name]


def _strict(description: Json) -> Json:
    strict = copy.deepcopy(description)
    for schema in strict["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return strict


_STRICT = _strict(DESCRIPTION)
_VALIDATORS: dict[str, jsonschema.Draft202012Validator] = {}
_FORMATS = jsonschema.FormatChecker(())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(text: object) -> bool:
    return not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None


def _check(channel: str, subject: str, data: bytes) -> None:
    names = list(CHANNELS[channel]["messages"])
    if names[0] in ("WakeValue", "ScheduleValue"):
        assert data == b"", subject
        return
    if not data and (subject.startswith("$KV.") or channel.startswith("event-")):
        return  # a key that was given up, or a verb that says nothing more
    _fits(names, subject, data)


def _check_answer(operation: str, question: str, data: bytes) -> None:
    _fits(
        [one["$ref"].rpartition("/")[2] for one in OPERATIONS[operation]["reply"]["messages"]], question, data
    )


def _fits(names: list[str], subject: str, data: bytes) -> None:
    document = json.loads(data)
    if any(_validator(name).is_valid(document) for name in names):
        return
    errors = [
        f"{name}: {error.json_path}: {error.message[:300]}"
        for name in names
        for error in _validator(name).iter_errors(document)
    ]
    raise AssertionError(f"{subject}: {data[:500]!r}\n" + "\n".join(errors[:10]))


def _channel_of(subject: str) -> str | None:
    """The channel of a subject; of several addresses that fit, the one with the most plain words."""
    fitting = [
        (sum(not word.startswith("{") for word in address.split(".")), name)
        for name, channel in CHANNELS.items()
        if (address := channel["address"]) and _fits_address(address, subject)
    ]
    return max(fitting)[1] if fitting else None


def _answered(question: str) -> str | None:
    """The operation that answers a question on this subject."""
    channel = _channel_of(question)
    return next(
        (
            name
            for name, operation in OPERATIONS.items()
            if "reply" in operation and operation["channel"]["$ref"] == f"#/channels/{channel}"
        ),
        None,
    )


def _fits_address(address: str, subject: str) -> bool:
    wanted, given = address.split("."), subject.split(".")
    return len(wanted) == len(given) and all(
        one.startswith("{") or one == other for one, other in zip(wanted, given, strict=True)
    )


def _covers(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(given) >= len(wanted) and _covers(
            ".".join(wanted[:-1]), ".".join(given[: len(wanted) - 1])
        )
    return len(wanted) == len(given) and all(
        one in ("*", other) for one, other in zip(wanted, given, strict=True)
    )


def _talks() -> Iterator[Json]:
    for operation in OPERATIONS.values():
        yield operation
        if "reply" in operation:
            yield operation["reply"]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _resolved(reference: str) -> Any:
    here: Any = DESCRIPTION
    for part in reference.removeprefix("#/").split("/"):
        here = here.get(part) if isinstance(here, dict) else None
    return here
