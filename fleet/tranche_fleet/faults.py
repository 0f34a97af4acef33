"""What can go wrong with a base, as values: said beforehand, taken when a command meets it (design 7.1).

>>> faults = Faults([Fault(Kind.INSTALL_FAILS, times=1, module="cart", words="no memory left")])
>>> faults.take(Kind.INSTALL_FAILS, command="installBiz", module="orders")
>>> faults.take(Kind.INSTALL_FAILS, command="installBiz", module="cart").words
'no memory left'
>>> faults.take(Kind.INSTALL_FAILS, command="installBiz", module="cart")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from tranche_fleet.failures import Failure, context_path_taken, failure, start_failure

QUERIES = frozenset({"queryAllBiz", "queryBizOps", "health", "help"})
CHANGES = frozenset({"installBiz", "uninstallBiz", "switchBiz", "batchInstallBiz"})


class Kind(StrEnum):
    """Every fault there is. `seconds`, `words`, `module` and `command` mean what is said here."""

    INSTALL_FAILS = "install-fails"
    """An installation of `module` (default any) fails: `words` is a name in WORDS, or what the module says."""
    REFUSE = "refuse"
    """New connections are refused; what runs goes on. Until cleared, or for `seconds` where given."""
    HANG = "hang"
    """A command (`command`, default any query) is read and neither carried out nor answered."""
    LATE = "late"
    """Carried out at once, answered `seconds` later."""
    MUTE = "mute"
    """A changing command is carried out and never answered."""
    DEFER = "defer"
    """A changing command is not answered, and carried out `seconds` later."""
    SLOW_POOL = "slow-pool"
    """An asynchronous command is accepted at once and begins `seconds` later: INITIALIZED until then."""
    FORGET_RECORD = "forget-record"
    """The record of an asynchronous command is lost; its request id stays used."""
    RESTART = "restart"
    """The base restarts in place when a changing command arrives, down for `seconds`.

    With the words "after": once the command was accepted."""
    SAY_FAILED = "say-failed"
    """HTTP 200 with code FAILED and `words`, nothing done."""
    IDENTITY = "identity"
    """`baseIdentity` is `words`: another base answers here."""
    LOSE_MODULE = "lose-module"
    """`module` (default any) disappears `seconds` after it was installed."""


WORDS = {
    "broken": start_failure("this module is built to fail at start"),
    "context-path": context_path_taken("cart"),
    "artifact-missing": failure(("java.io.FileNotFoundException", "http://modules.example/absent.jar")),
    "artifact-refused": failure(("java.net.ConnectException", "Connection refused")),
    "artifact-unknown-host": failure(("java.net.UnknownHostException", "modules.example")),
    "artifact-corrupt": failure(("java.util.zip.ZipException", "zip END header not found")),
}
"""Ready words for INSTALL_FAILS. Those that begin with `artifact` fail the download, the others the start."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: how often (`times` None: until cleared), after skipping how many, and its particulars."""

    kind: Kind
    times: int | None = 1
    after: int = 0
    seconds: float = 0.0
    module: str | None = None
    command: str | None = None
    words: str = ""

    @property
    def failure(self) -> Failure:
        """How an installation fails under this fault."""
        return WORDS.get(self.words or "broken") or start_failure(self.words)

    @property
    def spoils_download(self) -> bool:
        return self.words.startswith("artifact") and self.words in WORDS

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Fault:
        """From JSON. Raises ValueError that names what is wrong."""
        known = {one.name for one in fields(cls)}
        unknown = sorted(set(document) - known)
        if unknown:
            raise ValueError(
                f"unknown fields of a fault: {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        kinds = ", ".join(kind.value for kind in Kind)
        if document.get("kind") not in set(Kind):
            raise ValueError(f"kind: {document.get('kind')!r} is none of {kinds}")
        return cls(**{**document, "kind": Kind(document["kind"])})

    def meets(self, command: str | None, module: str | None) -> bool:
        """Whether this fault is about such a command."""
        if self.module is not None and self.module != module:
            return False
        if self.command is not None:
            return self.command == command
        if self.kind is Kind.HANG:
            return command in QUERIES
        if self.kind in {Kind.MUTE, Kind.DEFER, Kind.RESTART, Kind.SAY_FAILED}:
            return command in CHANGES
        return True


class Faults:
    """The faults a base still has before it."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._armed: list[list[Any]] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Arm a fault; earlier ones go first."""
        self._armed.append([fault, fault.after, fault.times])

    def clear(self, kind: Kind | None = None) -> None:
        """Forget all faults, or those of one kind."""
        self._armed = [entry for entry in self._armed if kind is not None and entry[0].kind is not kind]

    def armed(self) -> list[Fault]:
        """What is still to come."""
        return [entry[0] for entry in self._armed]

    def peek(self, kind: Kind) -> Fault | None:
        """The first fault of a kind, not used up by looking."""
        return next((fault for fault in self.armed() if fault.kind is kind), None)

    def take(self, kind: Kind, *, command: str | None = None, module: str | None = None) -> Fault | None:
        """The fault that this command meets, if any; it counts as one of its times."""
        for entry in self._armed:
            fault: Fault = entry[0]
            if fault.kind is not kind or not fault.meets(command, module):
                continue
            if entry[1] > 0:
                entry[1] -= 1
                continue
            if entry[2] is not None:
                entry[2] -= 1
                if entry[2] <= 0:
                    self._armed.remove(entry)
            return fault
        return None
