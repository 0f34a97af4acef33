"""Many documents shown to an apiserver, which says of each whether it would take it; nothing is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.cluster import crd
from tests.cluster.tenant import Tenant

CONNECTIONS = 8
"""More bring nothing: what costs time is the judging."""
LIST = f"/apis/{crd.GROUP}/{crd.VERSION}/namespaces/{{}}/{crd.PLURAL}"


@dataclass(frozen=True)
class Verdict:
    """What it answered: ``message`` is empty where it accepts."""

    status: int
    message: str

    @property
    def accepted(self) -> bool:
        return self.status in (200, 201)


async def creations(tenant: Tenant, documents: Sequence[Any]) -> list[Verdict]:
    """Of new objects. Strict about unknown fields, as kubectl is."""
    place = LIST.format(tenant.namespace)
    return await _all(tenant, [("POST", place, document) for document in documents])


async def changes(tenant: Tenant, named: Sequence[tuple[str, Any]]) -> list[Verdict]:
    """Of objects that are there, each by its name and what it is to become."""
    place = LIST.format(tenant.namespace)
    return await _all(tenant, [("PUT", f"{place}/{name}", document) for name, document in named])


async def _all(tenant: Tenant, requests: Sequence[tuple[str, str, Any]]) -> list[Verdict]:
    session = tenant.api.rest_client.pool_manager
    access = tenant.plane.access
    headers = {"Authorization": f"Bearer {access.token}", "Content-Type": "application/json"}
    found: dict[int, Verdict] = {}
    waiting = iter(enumerate(requests))

    async def send() -> None:
        for number, (method, path, document) in waiting:
            url = f"{access.url}{path}?dryRun=All&fieldValidation=Strict"
            async with session.request(method, url, data=json.dumps(document), headers=headers) as answer:
                accepted = answer.status in (200, 201)
                told = await answer.read()
                found[number] = Verdict(answer.status, "" if accepted else json.loads(told)["message"])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(send())
    return [found[number] for number in range(len(requests))]
