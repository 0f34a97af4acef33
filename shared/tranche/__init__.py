"""Tranche releases Koupleless modules batch by batch within a budget that holds.

async with tranche.connect("nats://127.0.0.1:4222") as client:
    await client.apply(manifest)
    async for status in client.watch("shop", "cart"):
        print(status.phase, status.message)
        if status.phase in ("Healthy", "Degraded"):
            break
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tranche.client import Client, Outcome, Verdict, connect
    from tranche.contract.answer import AcceptedAnswer, FieldError
    from tranche.contract.record import PodRecord
    from tranche.contract.status import Status
    from tranche.errors import Forbidden, Refused, TrancheError, Unavailable, Unknown

__all__ = [
    "AcceptedAnswer",
    "Client",
    "FieldError",
    "Forbidden",
    "Outcome",
    "PodRecord",
    "Refused",
    "Status",
    "TrancheError",
    "Unavailable",
    "Unknown",
    "Verdict",
    "__version__",
    "connect",
]

__version__ = version("tranche")

# Found when first asked for: the services import this package too, and need no client.
_ROOMS = {
    "tranche.client": ("Client", "Outcome", "Verdict", "connect"),
    "tranche.contract.answer": ("AcceptedAnswer", "FieldError"),
    "tranche.contract.record": ("PodRecord",),
    "tranche.contract.status": ("Status",),
    "tranche.errors": ("Forbidden", "Refused", "TrancheError", "Unavailable", "Unknown"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(room), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
