"""A planner that mirrors objects, with scheduler, executor and simulated bases, driven with kubectl alone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tranche
from tests import judge
from tests.cluster.access import Access
from tests.cluster.kubectl import Kubectl
from tests.cluster.roles import rules_of
from tests.cluster.tenant import Tenant
from tests.installation import Installation, installation, manifest
from tests.processes import ServiceProcess
from tranche.runtime import SystemClock, wait_until

RULES = rules_of("base/planner.yaml")
SERVICES = rules_of("components/module-services/role.yaml")


@dataclass
class ObjectStage:
    """One module on the pool ``web-base`` of one namespace."""

    tenant: Tenant
    here: Installation
    client: tranche.Client
    access: Access
    name: str = "cart"

    def of(self, test: str) -> ObjectStage:
        """The same with a module named after a test."""
        words = re.sub(r"[^a-z0-9]+", "-", test.removeprefix("test_").lower()).strip("-")
        # No digit begins a part of it: simulated bases take that for the version in a jar's name.
        short = words if len(words) <= 40 else f"{words[:26].strip('-')}-{words[-13:].strip('-')}"
        return replace(self, name=f"m-{short}")

    @property
    def object(self) -> str:
        """As kubectl names it."""
        return f"mddeploy/{self.name}"

    @property
    def kubectl(self) -> Kubectl:
        return self.tenant.kubectl

    # --- when ---

    def wish(self, version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
        """A manifest of ``cart``."""
        return manifest(self.name, version, namespace=self.tenant.namespace, **changes)

    async def apply(self, version: str = "1.0.0", **changes: Any) -> None:
        await self.kubectl.apply(self.wish(version, **changes))

    async def patch(self, spec: dict[str, Any], *options: str, ok: bool = True) -> Any:
        """``kubectl patch``, as a person does it."""
        body = json.dumps({"spec": spec})
        return await self.kubectl("patch", self.object, "--type=merge", "-p", body, *options, ok=ok)

    async def runs(self, version: str = "1.0.0", **changes: Any) -> None:
        """A version is rolled out and stable."""
        await self.apply(version, **changes)
        await self.healthy(version)

    async def returns(self, planner: ServiceProcess) -> None:
        """A planner is started again, and answers."""
        await planner.start()
        await self.here.wait_answered()

    # --- then ---

    async def seen(self, condition: Callable[[dict[str, Any]], bool], *, timeout_s: float = 30) -> Any:
        """The object, as soon as it meets the condition."""
        last: Any = None

        async def met() -> Any:
            nonlocal last
            last = await self.tenant.read(self.name)
            return last if condition(last) else None

        try:
            return await wait_until(met, SystemClock(), timeout_s=timeout_s, every_s=0.1)
        except TimeoutError:
            raise AssertionError(f"not seen; last was {last}\n{self.here.words()}") from None

    async def healthy(self, version: str) -> Any:
        return await self.seen(
            lambda it: (
                settled(it)
                and it["status"]["phase"] == "Healthy"
                and it["status"]["targetVersion"] == version
            )
        )

    async def waits(self, batch: int) -> Any:
        """That batch waits for a person, and the field says so."""
        return await self.seen(
            lambda it: (
                it.get("status", {}).get("phase") == "Waiting"
                and it["status"]["batch"]["current"] == batch
                and it["spec"].get("pause") is True
            )
        )

    async def events(self) -> list[tuple[str, str, str]]:
        """The Events of the object: type, reason, message."""
        told = await self.kubectl("get", "events", "-o", "json")
        about = [one for one in told.json["items"] if one["involvedObject"]["name"] == self.name]
        return [
            (one["type"], one["reason"], one["message"])
            for one in sorted(about, key=lambda one: str(one["firstTimestamp"]))
        ]

    async def confirmed(self) -> list[str]:
        """Who confirmed the batches of the rollout, as far as they were."""
        status = (await self.tenant.read(self.name))["status"]
        return [batch.get("confirmedBy", "") for batch in status["batches"] if batch.get("confirmedAt")]

    async def counted(self, things: list[int], wanted: int) -> bool:
        """Whether there are so many by now."""
        return len(things) >= wanted

    async def until(self, ask: Callable[[], Awaitable[object]], wanted: object) -> None:
        """Wait until that is answered."""

        async def met() -> bool | None:
            return True if await ask() == wanted else None

        await wait_until(met, SystemClock(), timeout_s=20, every_s=0.1)

    async def serving(self) -> dict[str, int]:
        """How many bases serve which version."""
        return judge.versions_now(await self.here.timelines("web-base"), self.name, time.time())


def settled(it: dict[str, Any]) -> bool:
    """Whether the status is about the object as it stands."""
    return bool(it.get("status", {}).get("observedGeneration") == it["metadata"]["generation"])


@asynccontextmanager
async def object_stage(
    tenant: Tenant, folder: Path, *, bases: int = 4, services: bool = False, planners: int = 1
) -> AsyncIterator[ObjectStage]:
    """A service account with exactly the rights that are written down, and everything that runs as it."""
    access = await tenant.plane.access.service_account(tenant.namespace, "planner")
    rules = [*RULES, *(SERVICES if services else ())]
    await tenant.kubectl.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "planner", "namespace": tenant.namespace},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "planner", "namespace": tenant.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "planner"},
            "subjects": [{"kind": "ServiceAccount", "name": "planner", "namespace": tenant.namespace}],
        },
    )
    kubeconfig = access.kubeconfig(folder / "planner.kubeconfig")
    async with installation(folder, f"{tenant.namespace}/web-base:{bases}") as here:
        await here.start(
            planners=planners,
            environment={
                "KUBECONFIG": str(kubeconfig),
                "TRANCHE_DEPLOYMENTS": "kubernetes",
                "TRANCHE_KUBERNETES_NAMESPACES": tenant.namespace,
                "TRANCHE_OBSERVE_INTERVAL": "1",
                "TRANCHE_URL_ALLOW": "http://modules.example/",
            },
        )
        async with tranche.connect(here.nats.url) as client:
            yield ObjectStage(tenant, here, client, access)
