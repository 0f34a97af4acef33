"""The command that helps next: on every screen, also where nothing is wrong (design 9.1)."""

from __future__ import annotations

from typing import NamedTuple

from tranche.contract.status import Status


class Advice(NamedTuple):
    """A command, and what it is good for; without a command only words."""

    command: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.command} ({self.why})" if self.command and self.why else self.command or self.why


def advice(status: Status) -> Advice:
    """What a person could type now; what the planner names comes first."""
    name = f"{status.namespace}/{status.name}"
    # Whoever reads this is looking already.
    if status.next and not status.next.startswith("tranche status "):
        return Advice(status.next)
    match status.phase:
        case "Healthy":
            return Advice(f"tranche history {name}", "nothing to do; this lists what can be gone back to")
        case "Pending" | "Progressing":
            return Advice(f"tranche explain {name}", "it goes on by itself; this says what it waits for")
        case "Deleting":
            return Advice(f"tranche delete {name} --abandon", "only to leave pods that do not answer behind")
        case "Deleted":
            return Advice("tranche apply -f FILE", "makes it anew")
        case "Degraded" | "Invalid":
            return Advice(f"tranche retry {name}", "or abort")
        case "Aborted":
            return Advice(f"tranche retry {name}", "or apply another version")
        case _:
            return Advice(f"tranche explain {name}", "it goes on by itself; this says when")
