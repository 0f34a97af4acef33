"""What tests of the executor's decisions begin with: one pod, one claim on it, and what may be found there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tranche.contract.content import Content
from tranche.contract.ledger import Claim
from tranche.contract.record import ModuleEntry, Operation, PodRecord
from tranche_executor.arklet.failure import Cause, Failure
from tranche_executor.arklet.wire import Biz, BizState, Bizzes
from tranche_executor.core.fence import Refused
from tranche_executor.core.pod import Pod, PodKey

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
POD = Pod(PodKey("shop", "web-base", "web-1"), "u1", "10.0.0.7:1238")
TARGET = Content(revision=2, module="cart", version="2.0.0", url="http://m/cart-2.0.0.jar")
NO = Refused(Failure(Cause.MODULE, False, "no bean"))
ACTIVE, IDLE, BROKEN, STARTING = (
    BizState.ACTIVATED,
    BizState.DEACTIVATED,
    BizState.BROKEN,
    BizState.RESOLVED,
)


def claim(op: Any = "replace", **changes: Any) -> Claim:
    given: dict[str, Any] = {"pod": "web-1", "uid": "u1", "deployment": "cart", "module": "cart"}
    given |= {"generation": 2, "batch": 1, "op": op, "revision": 2, "token": 7}
    given["costs"] = not changes.get("beside", False)
    return Claim(**{**given, **changes})


def bizzes(*each: tuple[str, BizState] | tuple[str, str, BizState]) -> Bizzes:
    return Bizzes(tuple(Biz(*one) if len(one) == 3 else Biz("cart", one[0], one[1]) for one in each))


def record(step: str = "", attempt: int = 0, modules: dict[str, ModuleEntry] | None = None) -> PodRecord:
    noted = Operation(
        token=7,
        uid="u1",
        holder="e",
        attempt=attempt or bool(step),
        state="started",
        op="replace",
        deployment="cart",
        epoch="e0",
        step=step,
    )
    return PodRecord(
        namespace="shop",
        base="web-base",
        pod="web-1",
        uid="u1",
        address="10.0.0.7:1238",
        ready=True,
        observed_at=NOW,
        operation=noted,
        modules=modules or {},
    )


def module(version: str = "1.0.0", revision: int = 1, state: Any = "available", **more: Any) -> ModuleEntry:
    return ModuleEntry(version=version, revision=revision, state=state, since=NOW, **more)
