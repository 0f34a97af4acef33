"""A simulated pod: one base, the server in front of it, and what an inventory says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tranche_fleet.base import Base
from tranche_fleet.faults import Fault, Kind
from tranche_fleet.server import BaseServer
from tranche_fleet.timeline import Timeline


@dataclass(eq=False, slots=True)
class Pod:
    """A handle on one pod of a fleet. Everything here acts at once."""

    namespace: str
    pool: str
    name: str
    base: Base
    server: BaseServer
    clock: Callable[[], float]
    labels: dict[str, str] = field(default_factory=dict)
    ready: bool = True
    uid: str | None = None

    @property
    def key(self) -> str:
        """namespace/base/pod."""
        return f"{self.namespace}/{self.pool}/{self.name}"

    @property
    def address(self) -> str:
        """host:port of its arklet; stays the same for the pod's life."""
        return self.server.address

    @property
    def timeline(self) -> Timeline:
        """What really happened on it, up to now."""
        self.server.pump()
        return self.base.timeline

    def modules(self) -> dict[str, dict[str, str]]:
        """What is on it now: module, version, state."""
        self.server.pump()
        return self.base.modules()

    def serves(self, module: str) -> str | None:
        """The version that serves now."""
        return self.timeline.serves(module, self.clock())

    def arm(self, *faults: Fault) -> None:
        """Add faults, in this order."""
        for fault in faults:
            self.base.arm(fault, self.clock())
        self.server.pump()

    def clear(self, kind: Kind | None = None) -> None:
        """Forget all faults, or those of one kind."""
        self.base.clear(kind, self.clock())
        self.server.pump()

    def stop(self) -> None:
        """The process dies."""
        self.base.stop(self.clock())
        self.server.pump()

    def start(self) -> None:
        """The process starts again, empty."""
        self.base.start(self.clock())
        self.server.pump()

    def restart(self, *, down_s: float = 0.0) -> None:
        """In place: modules gone, request ids forgotten."""
        self.base.restart(self.clock(), down_s=down_s)
        self.server.pump()

    def kill_listener(self) -> None:
        """Connections are refused and open ones cut; modules go on serving."""
        self.base.arm(Fault(Kind.REFUSE, times=None), self.clock())
        self.server.pump()
        self.server.cut()

    def revive_listener(self) -> None:
        """Connections are taken again."""
        self.clear(Kind.REFUSE)

    def document(self) -> dict[str, Any]:
        """Its state as JSON."""
        self.server.pump()
        place = {"key": self.key, "address": self.address, "labels": self.labels, "ready": self.ready}
        return {**self.base.document(), **place, "serving": {m: self.serves(m) for m in self.base.modules()}}
