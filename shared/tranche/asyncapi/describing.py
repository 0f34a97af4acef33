"""Puts the description together: addresses, messages, schemas, and who sends what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from tranche.asyncapi.channels import PARAMETERS, Channel, address, channels
from tranche.asyncapi.manifest import manifest_schema
from tranche.asyncapi.verbs import NAME, VERBS, Verb
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer, RefusedAnswer
from tranche.contract.explanation import Explanation, History
from tranche.contract.message import Message
from tranche.contract.preview import Levels, LevelsQuestion, Preview
from tranche.contract.record import PodRecord
from tranche.contract.status import Status
from tranche.streams import STREAMS

Json = dict[str, Any]

VERSION = "1.0.0"
"""Of the contract, not of the product: raised in its first part when something is taken away."""
SCHEMAS = "#/components/schemas/"
MESSAGES = "#/components/messages/"

_ANSWERS: Mapping[str, type[Message]] = {
    "Accepted": AcceptedAnswer,
    "Refused": RefusedAnswer,
    "Status": Status,
    "Preview": Preview,
    "Explanation": Explanation,
    "History": History,
}
_LISTS: Mapping[str, type[Message]] = {"StatusList": Status, "PodList": PodRecord}
_ABOUT = """\
Releases Koupleless modules batch by batch within a budget that holds. Wishes come in as events or requests, what
happens goes out as levels: the newest message on a subject says all there is to know.

Names in subjects: characters outside [A-Za-z0-9_-] are written =XX, the upper-case hex of the UTF-8 byte. Times
are RFC 3339 in UTC. Readers ignore fields they do not know; in what you send an unknown field is refused. What is
marked `x-audience: internal` is worth watching and may change with any release."""


def describe(*, kept: Mapping[str, type[Message]]) -> Json:
    """The whole description. ``kept``: by bucket, the models of values that are a service's own."""
    rows = channels(kept)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tranche", "version": VERSION, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": dict(_channels(rows)),
        "operations": dict(_operations(rows)),
        "components": {
            "parameters": {name: {"description": about} for name, about in PARAMETERS.items()},
            "messages": dict(_messages(rows)),
            "schemas": _schemas(rows),
        },
    }


def documents(description: Json, name: str) -> Json:
    """A JSON schema by itself, for a validator: the one of this name with all that it refers to."""
    return {"$ref": f"{SCHEMAS}{name}", "components": {"schemas": description["components"]["schemas"]}}


def _channels(rows: tuple[Channel, ...]) -> Iterator[tuple[str, Json]]:
    for verb in VERBS:
        if verb.event:
            where = address(subjects.event, "namespace", "name", verb.name)
            extras = {"x-stream": subjects.DEPLOYMENTS, "x-audience": "public"}
            yield f"event-{verb.name}", _channel(where, verb.does, [_body_of(verb)], extras)
    for verb in VERBS:
        where = address(subjects.api, "namespace", verb.name)
        about = f"{verb.does}{' `_all` spans all namespaces.' if verb.spans else ''}"
        yield f"api-{verb.name}", _channel(where, about, [_asked(verb)], {"x-audience": "public"})
    yield (
        "answers",
        _channel(None, "Where the asker wants its answer.", [*_ANSWERS, *_LISTS], {"x-audience": "public"}),
    )
    where = address(subjects.preview, "namespace", "base")
    about = "What would happen, asked of whoever looks after the pool."
    yield "preview", _channel(where, about, ["LevelsQuestion"], {"x-audience": "internal"})
    yield (
        "levels",
        _channel(None, "Where the planner wants its answer.", ["Levels"], {"x-audience": "internal"}),
    )
    for row in rows:
        extras = {"x-stream": row.stream, "x-writer": row.writer, "x-audience": row.audience, **_keeps(row)}
        yield row.name, _channel(row.address, row.about, [_carried(row)], extras)


def _channel(where: str | None, about: str, carried: list[str], extras: Json) -> Json:
    words = [part[1:-1] for part in (where or "").split(".") if part.startswith("{")]
    return {
        "address": where,
        "description": about,
        **(
            {"parameters": {word: {"$ref": f"#/components/parameters/{word}"} for word in words}}
            if words
            else {}
        ),
        "messages": {name: {"$ref": f"{MESSAGES}{name}"} for name in carried},
        **extras,
    }


def _keeps(row: Channel) -> Json:
    """How long a stream keeps messages, in words."""
    stream = next(stream for stream in STREAMS if stream.name == row.stream)
    count = f"the newest {stream.max_per_subject}" if stream.max_per_subject != 1 else "the newest one"
    age = f", {stream.max_age_s / 86_400:g} days" if stream.max_age_s else ""
    return {"x-keeps": f"{count} per subject{age}"}


def _operations(rows: tuple[Channel, ...]) -> Iterator[tuple[str, Json]]:
    for verb in VERBS:
        if verb.event:
            yield f"take-{verb.name}", _operation("receive", f"event-{verb.name}", _body_of(verb))
    for verb in VERBS:
        answers = ["Refused", verb.answer]
        operation = _operation("receive", f"api-{verb.name}", _asked(verb))
        yield f"answer-{verb.name}", {**operation, "reply": _reply("answers", answers)}
    question = _operation("receive", "preview", "LevelsQuestion")
    yield "answer-preview", {**question, "reply": _reply("levels", ["Levels"])}
    for row in rows:
        action = "receive" if row.name == "wake" else "send"
        yield f"tell-{row.name}", _operation(action, row.name, _carried(row))


def _operation(action: str, channel: str, carried: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{carried}"}],
    }


def _reply(channel: str, answers: list[str]) -> Json:
    return {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in answers],
    }


def _messages(rows: tuple[Channel, ...]) -> Iterator[tuple[str, Json]]:
    carried = [_body_of(verb) for verb in VERBS if verb.event]
    carried += [*map(_asked, VERBS), *_ANSWERS, *_LISTS, "LevelsQuestion", "Levels", *map(_carried, rows)]
    for name in dict.fromkeys(carried):
        yield name, {"name": name, "headers": _HEADERS, "payload": {"$ref": f"{SCHEMAS}{name}"}}


_HEADERS: Json = {
    "type": "object",
    "properties": {
        "traceparent": {"type": "string", "description": "The trace it belongs to, as W3C has it."},
        "Nats-Msg-Id": {"type": "string", "description": "Makes a second copy harmless."},
        subjects.SCHEMA_HEADER: {"type": "string", "description": f"{subjects.SCHEMA} in this version."},
    },
}


def _schemas(rows: tuple[Channel, ...]) -> Json:
    models = [row.model for row in rows if row.model is not None]
    models += [*_ANSWERS.values(), *_LISTS.values(), LevelsQuestion, Levels]
    _, found = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template=f"{SCHEMAS}{{model}}"
    )
    made = {schema_name(name): _trimmed(schema) for name, schema in found["$defs"].items()}
    made |= {
        name: {"$ref": f"{SCHEMAS}{model.__name__}"}
        for name, model in _ANSWERS.items()
        if name != model.__name__
    }
    made |= {name: _list(model) for name, model in _LISTS.items()}
    made |= {_body_of(verb): _body(verb) for verb in VERBS if verb.event}
    made |= {_asked(verb): _question(verb) for verb in VERBS}
    made |= {_carried(row): _any(row) for row in rows if row.model is None}
    return dict(sorted(made.items()))


def schema_name(name: str) -> str:
    """The name of a schema; of two models with one name each has its module's before it.

    >>> schema_name("tranche__contract__ledger__Frozen"), schema_name("Plan")
    ('LedgerFrozen', 'Plan')
    """
    *_, module, plain = ("", *name.split("__"))
    return f"{module.title()}{plain}"


def _any(row: Channel) -> Json:
    empty = row.stream == subjects.WAKE
    return {"description": "Empty."} if empty else {"type": "object", "description": row.about}


def _list(model: type[Message]) -> Json:
    items = {"type": "array", "items": {"$ref": f"{SCHEMAS}{model.__name__}"}}
    more = {"type": "string", "description": "Where the next page begins; absent on the last."}
    return {"type": "object", "required": ["items"], "properties": {"items": items, "continue": more}}


def _body(verb: Verb) -> Json:
    if verb.manifest:
        return manifest_schema()
    body: Json = {
        "type": "object",
        "description": verb.does,
        "properties": dict(verb.body),
        "additionalProperties": False,
    }
    return {**body, "required": list(verb.required)} if verb.required else body


def _question(verb: Verb) -> Json:
    """The body of a request: that of the event, and the deployment's name."""
    if verb.name == "apply":
        return manifest_schema()
    name = {"name": NAME} if verb.about else {}
    named: Json = {
        "type": "object",
        "description": verb.does,
        "properties": {**name, **verb.body},
        "additionalProperties": False,
        "required": [*name, *verb.required],
    }
    if verb.manifest:
        manifest = manifest_schema()
        manifest["properties"] |= verb.body
        return {"anyOf": [named, manifest]}
    return named


def _trimmed(schema: Any) -> Any:
    """Without the titles that pydantic makes of names, and in sentences of one line."""
    if isinstance(schema, list):
        return [_trimmed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _text(key, value) if isinstance(value, str) else _trimmed(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def _text(key: str, text: str) -> str:
    match key:
        case "description":
            return " ".join(text.replace("``", "`").split())
        case "$ref":
            return f"{SCHEMAS}{schema_name(text.removeprefix(SCHEMAS))}"
        case _:
            return text


def _body_of(verb: Verb) -> str:
    """The name of the message that an event carries."""
    return "ModuleDeployment" if verb.manifest else f"{verb.name.title()}Event"


def _asked(verb: Verb) -> str:
    """The name of the message that a request carries."""
    return "ModuleDeployment" if verb.name == "apply" else f"{verb.name.title()}Request"


def _carried(row: Channel) -> str:
    """The name of the message on a stored subject."""
    return row.model.__name__ if row.model is not None else f"{row.name.title().replace('-', '')}Value"
