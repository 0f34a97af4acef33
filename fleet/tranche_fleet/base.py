"""One simulated base as a pure machine: an arklet that lives and dies, its faults, and its timeline.

What a network would carry is an `Exchange`: it is open until the base answers, says nothing, or hangs up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tranche_fleet.arklet import Arklet, Settings
from tranche_fleet.catalogue import Catalogue
from tranche_fleet.edition import EDITIONS
from tranche_fleet.faults import Fault, Faults, Kind
from tranche_fleet.operation import Call, Document
from tranche_fleet.timeline import Timeline

RESTART_S = 0.2
"""How long a base is down when it restarts in place and nothing else was said, in seconds."""


class Ending(StrEnum):
    """How a request ended, seen from the wire."""

    OPEN = "open"
    ANSWERED = "answered"
    SILENT = "silent"
    """Never answered, the connection stays open."""
    DROPPED = "dropped"
    """The base died: the connection is cut."""


@dataclass(eq=False, slots=True)
class Exchange:
    """One request on its way. It may be answered from `ready_at` on, in seconds since the epoch."""

    call: Call
    ready_at: float
    ending: Ending = Ending.OPEN

    @property
    def answer(self) -> Document | None:
        return self.call.answer if self.ending is Ending.ANSWERED else None


class Base:
    """A base by name and address. `now` is always seconds since the epoch and never goes back."""

    def __init__(
        self,
        name: str,
        *,
        version: str = "2.1.11",
        settings: Settings | None = None,
        catalogue: Catalogue | None = None,
        identity: str = "",
        now: float = 0.0,
        timeline: Timeline | None = None,
    ) -> None:
        self.name = name
        self.edition = EDITIONS[version]
        self.settings = settings or Settings()
        self.catalogue = catalogue if catalogue is not None else Catalogue()
        self._identity = identity or name
        self.faults = Faults()
        self.timeline = timeline if timeline is not None else Timeline()
        self.commands = 0
        """How many commands reached it, queries too."""
        self.restarts = 0
        self.lives = 0
        """How often its process has started."""
        self._open: list[Exchange] = []
        self._deferred: list[tuple[float, str, Document | None]] = []
        self._up_at: float | None = None
        self._accept_at: float | None = None
        self._arklet: Arklet | None = None
        self._start(now)

    @property
    def identity(self) -> str:
        """What it calls itself in answers. Known only once it listens, where it is the address."""
        return self._identity

    @identity.setter
    def identity(self, identity: str) -> None:
        self._identity = identity
        if self._arklet is not None:
            self._arklet.identity = identity

    @property
    def running(self) -> bool:
        return self._arklet is not None

    @property
    def refuses(self) -> bool:
        """Whether new connections are refused: the process is down, or a fault says so."""
        return self._arklet is None or self.faults.peek(Kind.REFUSE) is not None

    def receive(self, command: str, body: Document | None, now: float) -> Exchange:
        """A request reached the base."""
        self.advance(now)
        exchange = Exchange(Call(command), now)
        if self._arklet is None:
            exchange.ending = Ending.DROPPED
            return exchange
        self.commands += 1
        module = (body or {}).get("bizName")
        met = {"command": command, "module": module if isinstance(module, str) else None}
        restart = self.faults.take(Kind.RESTART, **met)
        if restart is not None and restart.words != "after":
            self.restart(now, down_s=restart.seconds)
            exchange.ending = Ending.DROPPED
            return exchange
        if self.faults.take(Kind.HANG, **met) is not None:
            exchange.ending = Ending.SILENT
            return exchange
        if (no := self.faults.take(Kind.SAY_FAILED, **met)) is not None:
            exchange.call.answer = self._arklet.say_failed(no.words or f"{command} not success!")
            exchange.ending = Ending.ANSWERED
            return exchange
        if (deferred := self.faults.take(Kind.DEFER, **met)) is not None:
            self._deferred.append((now + deferred.seconds, command, body))
            exchange.ending = Ending.SILENT
            return exchange
        late = self.faults.take(Kind.LATE, **met)
        mute = self.faults.take(Kind.MUTE, **met)
        exchange.call = self._arklet.handle(command, body, now)
        exchange.ready_at = now + (late.seconds if late is not None else 0.0)
        if mute is not None:
            exchange.ending = Ending.SILENT
        if restart is not None:
            self.restart(now, down_s=restart.seconds)
            exchange.ending = Ending.DROPPED
            return exchange
        self._open.append(exchange)
        self._settle(now)
        return exchange

    def due(self) -> float | None:
        """When something happens by itself next; None: never."""
        times = [at for at, _, _ in self._deferred]
        times += [one.ready_at for one in self._open if one.call.answer is not None]
        times += [at for at in (self._up_at, self._accept_at) if at is not None]
        if self._arklet is not None and (own := self._arklet.due()) is not None:
            times.append(own)
        return min(times, default=None)

    def advance(self, now: float) -> None:
        """Let everything happen that is due by now."""
        while (at := self.due()) is not None and at <= now:
            if self._up_at is not None and self._up_at <= at:
                self._start(at)
            if self._accept_at is not None and self._accept_at <= at:
                self.accept(at)
            for entry in [one for one in self._deferred if one[0] <= at]:
                self._deferred.remove(entry)
                if self._arklet is not None:
                    self._arklet.handle(entry[1], entry[2], at)
            if self._arklet is not None:
                self._arklet.advance(at)
            self._settle(at)

    def _settle(self, now: float) -> None:
        for exchange in list(self._open):
            if exchange.call.answer is not None and exchange.ready_at <= now:
                self._open.remove(exchange)
                if exchange.ending is Ending.OPEN:
                    exchange.ending = Ending.ANSWERED

    # --- living and dying ---

    def stop(self, now: float) -> None:
        """The process dies: modules, ids and connections are gone."""
        self.advance(now)
        self._up_at = None
        if self._arklet is None:
            return
        self._arklet.die(now)
        self._arklet = None
        self._deferred.clear()
        self.timeline.life(now, "down")
        for exchange in self._open:
            exchange.ending = Ending.DROPPED
        self._open.clear()

    def start(self, now: float) -> None:
        """The process starts, empty. Of one that runs: nothing."""
        self.advance(now)
        if self._arklet is None:
            self._start(now)

    def restart(self, now: float, *, down_s: float = 0.0) -> None:
        """In place: the same name and address, but the modules are gone and all request ids forgotten."""
        self.stop(now)
        self.restarts += 1
        self._up_at = now + (down_s or RESTART_S)

    def arm(self, fault: Fault, now: float) -> None:
        """Add a fault; refusing connections begins at once."""
        self.faults.add(fault)
        if fault.kind is Kind.REFUSE:
            self.timeline.life(now, "unreachable")
            self._accept_at = now + fault.seconds if fault.seconds else None

    def clear(self, kind: Kind | None, now: float) -> None:
        """Forget all faults, or those of one kind."""
        if kind in (None, Kind.REFUSE) and self.faults.peek(Kind.REFUSE) is not None:
            self.accept(now)
        self.faults.clear(kind)

    def accept(self, now: float) -> None:
        """Take connections again."""
        self._accept_at = None
        self.faults.clear(Kind.REFUSE)
        self.timeline.life(now, "reachable")

    def hang_up(self, now: float) -> None:
        """The silent artefact hosts close their connections."""
        if self._arklet is not None:
            self._arklet.hang_up(now)
            self._settle(now)

    def _start(self, at: float) -> None:
        self._up_at = None
        self.lives += 1
        self._arklet = Arklet(
            self.edition,
            self.catalogue,
            self.settings,
            identity=self._identity,
            timeline=self.timeline,
            faults=self.faults,
            started_at=at,
        )
        self.timeline.life(at, "up")

    # --- looking ---

    def modules(self) -> dict[str, dict[str, str]]:
        """What is on the base, as its list would say: module, version, state."""
        found: dict[str, dict[str, str]] = {}
        for biz in self._arklet.registry.listed() if self._arklet is not None else ():
            found.setdefault(biz.name, {})[biz.version] = biz.state.value
        return found

    def document(self) -> dict[str, Any]:
        """The state of the base as JSON."""
        return {
            "name": self.name,
            "version": self.edition.koupleless,
            "identity": self.identity,
            "running": self.running,
            "refuses": self.refuses,
            "busy": self._arklet is not None and self._arklet.busy,
            "commands": self.commands,
            "restarts": self.restarts,
            "modules": self.modules(),
            "zombies": [biz.identity for biz in self._arklet.registry.zombies()] if self._arklet else [],
            "faults": [fault.document() for fault in self.faults.armed()],
        }
