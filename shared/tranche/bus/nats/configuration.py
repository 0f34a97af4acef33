"""Streams and consumers as JetStream writes them down, and what differs from what we want. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tranche.bus.port import ConsumerSpec, StreamSpec

NANOSECONDS = 1_000_000_000
DUPLICATE_WINDOW_S = 120
_UNLIMITED = -1

Config = dict[str, Any]


def stream_config(spec: StreamSpec, *, replicas: int) -> Config:
    """A stream's configuration; a bucket's (``KV_…``) is the one the `nats kv` tools expect.

    >>> stream_config(StreamSpec("KV_b", ("$KV.b.>",), max_per_subject=1), replicas=3)["deny_delete"]
    True
    """
    bucket = spec.name.startswith("KV_")
    config: Config = {
        "name": spec.name,
        "description": spec.description,
        "subjects": list(spec.subjects),
        "retention": spec.retention,
        "discard": spec.discard,
        "discard_new_per_subject": spec.discard_new_per_subject,
        "max_msgs_per_subject": spec.max_per_subject or _UNLIMITED,
        "max_msgs": _UNLIMITED,
        "max_consumers": _UNLIMITED,
        "max_bytes": spec.max_bytes or _UNLIMITED,
        "max_age": int(spec.max_age_s * NANOSECONDS),
        "max_msg_size": spec.max_message_bytes or _UNLIMITED,
        "storage": "file",
        "num_replicas": replicas,
        "duplicate_window": DUPLICATE_WINDOW_S * NANOSECONDS,
        # Reads answered by any copy may be older than our own write (design 4.3).
        "allow_direct": False,
        "deny_delete": bucket,
        "allow_rollup_hdrs": bucket or spec.schedules,
        "allow_msg_ttl": spec.message_ttl,
        "allow_msg_schedules": spec.schedules,
    }
    if spec.max_age_s:
        config["duplicate_window"] = int(min(DUPLICATE_WINDOW_S, spec.max_age_s) * NANOSECONDS)
    return config


def consumer_config(spec: ConsumerSpec) -> Config:
    """A shared durable pull consumer: redelivers for ever, because a message that a work queue gave up on
    would stay there for nobody (design 4.3)."""
    config: Config = {
        "name": spec.durable,
        "durable_name": spec.durable,
        "deliver_policy": spec.deliver,
        "ack_policy": "explicit",
        "ack_wait": int(spec.ack_wait_s * NANOSECONDS),
        "max_ack_pending": spec.max_ack_pending,
        "max_deliver": _UNLIMITED,
        "replay_policy": "instant",
    }
    return config | filtered(spec.filters)


def filtered(filters: tuple[str, ...]) -> Config:
    """One filter stands alone: only then does the subject of the request carry it (design 4.4)."""
    return {"filter_subject": filters[0]} if len(filters) == 1 else {"filter_subjects": list(filters)}


def create_subject(stream: str, consumer: str, filters: tuple[str, ...]) -> str:
    """Where the creation of a consumer is asked for."""
    subject = f"$JS.API.CONSUMER.CREATE.{stream}.{consumer}"
    return f"{subject}.{filters[0]}" if len(filters) == 1 and filters[0] != ">" else subject


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Every field that is not as wanted, in words. What the server leaves out is its zero value.

    >>> differences({"num_replicas": 3, "max_age": 0}, {"num_replicas": 1})
    ('num_replicas is 1, wanted 3',)
    """
    return tuple(
        f"{field} is {found.get(field)!r}, wanted {value!r}"
        for field, value in wanted.items()
        if (found.get(field) or type(value)()) != value
    )
