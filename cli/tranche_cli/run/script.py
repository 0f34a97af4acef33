"""The demo's play: what is applied, what fails, what a person would type, and what must be true at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tranche
from tranche.client.until import waits_for_confirm
from tranche.contract.status import Status
from tranche.runtime import Clock
from tranche_cli.run.stage import NAMESPACE, Stage
from tranche_cli.run.verdict import Finding, Promise, failed_first, verdict
from tranche_fleet.client import FleetControl
from tranche_fleet.faults import Fault, Kind

WEB, EDGE = 12, 8
POOLS = (f"{NAMESPACE}/web-base:{WEB}:5", f"{NAMESPACE}/edge-base:{EDGE}:3")
URLS = "http://modules.example/"
INSTALL_S = 2.0
GRAY_S = 3
READING_S = 2.0
"""How long a person looks at a screen before typing."""
UNLUCKY = "web-base-11"
"""One of the second batch: replicas are replaced in the order of their names."""


class Script:
    """Plays once."""

    def __init__(self, clock: Clock, stage: Stage, client: tranche.Client, fleet: FleetControl) -> None:
        self._clock = clock
        self._stage = stage
        self._client = client
        self._fleet = fleet

    async def play(self) -> list[Finding]:
        """The findings at the end. Raises Refused when a rollout fails that should not."""
        stage = self._stage
        stage.say(f"Version 1.0.0 of cart goes to {WEB} web bases, of edge-cart to every edge base.")
        cart, edge = await self._client.apply(cart_at("1.0.0")), await self._client.apply(edge_at("1.0.0"))
        await stage.seen("cart", healthy, generation=cart.generation or 0)
        await stage.seen("edge-cart", healthy, generation=edge.generation or 0)
        await self._fleet.arm(Fault(Kind.INSTALL_FAILS, module="cart", words="artifact-refused"), UNLUCKY)
        since = self._now()
        stage.say(
            f"Now 2.0.0, in three batches: one replica first, then two halves; after each {GRAY_S} s of gray time "
            f"and a person's confirm; at most {WEB // 2} of {WEB} down. {UNLUCKY} will not get the jar at first."
        )
        async with stage.pictured():
            await self._release()
        timelines = await self._fleet.timelines()
        promises = [
            Promise("web-base", "cart", "2.0.0", WEB, WEB // 2, since),
            Promise("edge-base", "edge-cart", "2.0.0", EDGE, EDGE // 4, since),
        ]
        retried = failed_first(timelines, UNLUCKY, "cart", "2.0.0")
        words = (
            "was refused the jar, and got it at a later try" if retried else "was to fail once, and did not"
        )
        return [*verdict(timelines, promises, self._now()), Finding(retried, f"{UNLUCKY} {words}")]

    async def _release(self) -> None:
        cart = (await self._client.apply(cart_at("2.0.0"))).generation or 0
        edge = (await self._client.apply(edge_at("2.0.0"))).generation or 0
        for batch in (1, 2):
            await self._stage.seen("cart", waits(batch), generation=cart)
            await self._clock.sleep(READING_S)
            self._stage.say(f"  a person would now type:  tranche confirm {NAMESPACE}/cart --batch {batch}")
            await self._client.confirm(
                NAMESPACE, "cart", generation=cart, batch=batch, by="demo", reason="looks good"
            )
        await self._stage.seen("edge-cart", healthy, generation=edge)
        await self._stage.seen("cart", healthy, generation=cart)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def healthy(status: Status) -> bool:
    return status.phase == "Healthy"


def waits(batch: int) -> Callable[[Status], bool]:
    """A condition: that batch waits for a person."""
    return lambda status: status.batch.current == batch and waits_for_confirm(status)


def cart_at(version: str) -> dict[str, Any]:
    """A web module with everything a careful person asks for."""
    strategy = {"batchCount": 3, "useBeta": True, "needConfirm": True, "grayTime": GRAY_S}
    return _manifest(
        "cart",
        version,
        base="web-base",
        replicas=WEB,
        # The first installation has nobody to protect: all at once.
        strategy=strategy if version != "1.0.0" else {},
        max_unavailable="50%",
    )


def edge_at(version: str) -> dict[str, Any]:
    """One on every base of its pool, two at a time, without a person."""
    strategy = {"batchCount": 2, "grayTime": 1} if version != "1.0.0" else {}
    return _manifest(
        "edge-cart", version, base="edge-base", replicas=-1, strategy=strategy, max_unavailable="25%"
    )


def _manifest(
    name: str, version: str, *, base: str, replicas: int, strategy: dict[str, Any], max_unavailable: str
) -> dict[str, Any]:
    module = {"name": name, "version": version, "url": f"{URLS}{name}-{version}.jar"}
    return {
        "apiVersion": "koupleless.io/v1alpha1",
        "kind": "ModuleDeployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "baseDeploymentName": base,
            "template": {"spec": {"module": module}},
            "replicas": replicas,
            "maxUnavailable": max_unavailable,
            "operationStrategy": strategy,
            "schedulingStrategy": {"schedulingPolicy": "scatter"},
        },
    }
