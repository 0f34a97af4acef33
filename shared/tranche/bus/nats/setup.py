"""Streams, buckets and consumers of an installation: made where missing, checked where there."""

from __future__ import annotations

from collections.abc import Sequence

from tranche.bus.nats.configuration import (
    consumer_config,
    create_subject,
    differences,
    stream_config,
)
from tranche.bus.nats.failures import CONSUMER_EXISTS, NO_CONSUMER, NO_STREAM, STREAM_EXISTS
from tranche.bus.nats.letters import Letters
from tranche.bus.port import ConsumerSpec, StreamSpec
from tranche.errors import Refused

CREATE_TIMEOUT_S = 10.0
"""A replicated stream needs an election first."""


async def ensure(letters: Letters, streams: Sequence[StreamSpec], *, replicas: int, create: bool) -> None:
    """Raises Refused with everything that is missing (``create`` false) or differs, at once."""
    faults: list[str] = []
    for spec in streams:
        faults += await _stream_faults(letters, spec, replicas=replicas, create=create)
    if faults:
        raise Refused("the streams are not as they should be: " + "; ".join(faults))


async def make_consumer(letters: Letters, spec: ConsumerSpec) -> None:
    """Create a durable consumer; so already is fine, whatever its settings."""
    await letters.ask_jetstream(
        create_subject(spec.stream, spec.durable, spec.filters),
        {"stream_name": spec.stream, "config": consumer_config(spec), "action": "create"},
        timeout_s=CREATE_TIMEOUT_S,
        absent=frozenset({CONSUMER_EXISTS}),
    )


async def _stream_faults(letters: Letters, spec: StreamSpec, *, replicas: int, create: bool) -> list[str]:
    wanted = stream_config(spec, replicas=replicas)
    info = f"$JS.API.STREAM.INFO.{spec.name}"
    found = await letters.ask_jetstream(info, absent=frozenset({NO_STREAM}))
    if found is None:
        if not create:
            return [f"stream {spec.name} is missing (run `tranche setup` with a user that may create it)"]
        found = await letters.ask_jetstream(
            f"$JS.API.STREAM.CREATE.{spec.name}",
            wanted,
            timeout_s=CREATE_TIMEOUT_S,
            absent=frozenset({STREAM_EXISTS}),
        )
        # Somebody else made it in between, perhaps otherwise: look again.
        found = found or await letters.ask_jetstream(info) or {}
    # A description may be worded anew in a later version.
    wanted = {field: value for field, value in wanted.items() if field != "description"}
    faults = [f"stream {spec.name}: {fault}" for fault in differences(wanted, found["config"])]
    for consumer in spec.consumers:
        faults += await _consumer_faults(letters, consumer, create=create)
    return faults


async def _consumer_faults(letters: Letters, spec: ConsumerSpec, *, create: bool) -> list[str]:
    info = f"$JS.API.CONSUMER.INFO.{spec.stream}.{spec.durable}"
    found = await letters.ask_jetstream(info, absent=frozenset({NO_CONSUMER}))
    if found is None:
        if not create:
            return [
                f"consumer {spec.durable} of stream {spec.stream} is missing "
                "(run `tranche setup` with a user that may create it)"
            ]
        await make_consumer(letters, spec)
        found = await letters.ask_jetstream(info) or {}
    faults = differences(consumer_config(spec), found["config"])
    return [f"consumer {spec.durable} of stream {spec.stream}: {fault}" for fault in faults]
