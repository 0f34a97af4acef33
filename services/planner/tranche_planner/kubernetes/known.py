"""What a mirror remembers of one object between two looks. All of it can be found out again after a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tranche.contract.progress import Problem
from tranche.contract.status import Status
from tranche_planner.core.objects.pausing import Confirm
from tranche_planner.core.objects.seen import Seen, seen
from tranche_planner.core.objects.telling import Mirrored, mirrored

MOST_UNTOLD = 20


@dataclass
class Life:
    """Of one object from its creation to its end: another of the same name begins anew. Times are monotonic."""

    uid: str = ""
    wish: Mirrored | None = None
    """Sent on, and maybe not yet noted in the object."""
    ask_at: float = 0.0
    """When a wish that was refused is sent on again."""
    said_at: float | None = None
    held_at: float | None = None
    confirmed: Confirm | None = None
    confirmed_at: float = 0.0
    event: Mapping[str, Any] | None = None
    """The event told last, as the object's status will have it."""
    service: str | None = None
    """The Service that is the object's; None: the object's status tells."""
    service_word: str = ""
    """What was asked of it when it was last seen to."""
    service_problem: Problem | None = None
    served_at: float = 0.0


@dataclass
class Known:
    """``status``: the newest that was said on the bus; ``untold``: those whose event is no Event yet."""

    body: Mapping[str, Any] | None = None
    status: Status | None = None
    untold: deque[Status] = field(default_factory=lambda: deque(maxlen=MOST_UNTOLD))
    life: Life = field(default_factory=Life)

    def learn(self, body: Mapping[str, Any]) -> Seen:
        """The object as it is now: the newer one of what is known and what was answered."""
        if self.body is None or _version(body) >= _version(self.body):
            self.body = body
        object_ = seen(self.body)
        if object_.uid != self.life.uid:
            self.life = Life(object_.uid)
        return object_

    def hear(self, status: Status) -> bool:
        """Take a status of the stream; whether it is news."""
        last = self.status
        if last is not None and last.document_revision > status.document_revision:
            return False
        self.status = status
        if last is None or (last.event, last.generation) != (status.event, status.generation):
            if self.body is None:
                self.untold.clear()  # nobody to tell it of: the newest is enough, should there be one
            self.untold.append(status)
        return True

    @property
    def over(self) -> bool:
        """Whether nothing is left to remember."""
        return self.body is None and (self.status is None or self.status.phase == "Deleted")

    def noted(self, object_: Seen) -> Mirrored:
        """What was last sent on of this object."""
        return self.life.wish if self.life.wish is not None else mirrored(object_.status)

    def service_of(self, object_: Seen) -> str:
        """The Service that is the object's; empty: none."""
        service = self.life.service
        return str(object_.status.get("service", "")) if service is None else service


def _version(body: Mapping[str, Any]) -> int:
    """Of one object, newer is higher."""
    text = str(body.get("metadata", {}).get("resourceVersion", "0"))
    return int(text) if text.isdecimal() else 0
