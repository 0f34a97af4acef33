"""The broker in memory: what all connections to it share."""

from __future__ import annotations

from dataclasses import fields

from tranche.bus.memory.consumer import MemoryConsumer
from tranche.bus.memory.matching import matches_any
from tranche.bus.memory.post import Post
from tranche.bus.memory.stream import MemoryStream
from tranche.bus.port import ConsumerSpec, StreamSpec
from tranche.errors import Unavailable
from tranche.runtime import Clock

_ADVICE = "is missing (run `tranche setup` with a user that may create it)"


class MemoryBroker:
    """Streams and their durable consumers, services and who waits for an answer."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.streams: dict[str, MemoryStream] = {}
        self._of: dict[str, MemoryStream] = {}
        """By subject: streams never go, nor do two keep the same."""
        self.consumers: dict[tuple[str, str], MemoryConsumer] = {}
        self.post = Post()

    def stream(self, name: str) -> MemoryStream:
        """Raises Unavailable where there is none of that name."""
        if (stream := self.streams.get(name)) is None:
            raise Unavailable(f"stream {name} is not there")
        return stream

    def stream_of(self, subject: str) -> MemoryStream | None:
        """The stream that keeps what is published to a subject."""
        if (found := self._of.get(subject)) is None:
            for stream in self.streams.values():
                if matches_any(stream.spec.subjects, subject):
                    found = self._of[subject] = stream
                    break
        return found

    def consumer(self, spec: ConsumerSpec) -> MemoryConsumer:
        """The durable consumer, made where it is missing. Raises Unavailable where its stream is."""
        key = spec.stream, spec.durable
        if key not in self.consumers:
            self.consumers[key] = MemoryConsumer(spec, self.stream(spec.stream), self.clock)
        return self.consumers[key]

    def faults(self, spec: StreamSpec, *, replicas: int, create: bool) -> list[str]:
        """What is not as wanted, in words, after making what is missing where that is allowed."""
        if spec.name not in self.streams:
            if not create:
                return [f"stream {spec.name} {_ADVICE}"]
            self.streams[spec.name] = MemoryStream(spec, self.clock, replicas=replicas)
        stream = self.streams[spec.name]
        faults = _differences(spec, stream.spec, ignored={"description", "consumers"})
        if stream.replicas != replicas:
            faults.append(f"num_replicas is {stream.replicas}, wanted {replicas}")
        return [f"stream {spec.name}: {fault}" for fault in faults] + [
            fault for consumer in spec.consumers for fault in self._consumer_faults(consumer, create=create)
        ]

    def _consumer_faults(self, spec: ConsumerSpec, *, create: bool) -> list[str]:
        if not create and (spec.stream, spec.durable) not in self.consumers:
            return [f"consumer {spec.durable} of stream {spec.stream} {_ADVICE}"]
        found = self.consumer(spec).spec
        return [
            f"consumer {spec.durable} of stream {spec.stream}: {fault}"
            for fault in _differences(spec, found, ignored=set())
        ]


def _differences(
    wanted: StreamSpec | ConsumerSpec, found: StreamSpec | ConsumerSpec, *, ignored: set[str]
) -> list[str]:
    return [
        f"{field.name} is {getattr(found, field.name)!r}, wanted {getattr(wanted, field.name)!r}"
        for field in fields(wanted)
        if field.name not in ignored and getattr(found, field.name) != getattr(wanted, field.name)
    ]
