"""One namespace of a cluster, with everything a test does in it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes_asyncio.client import ApiClient, CoreV1Api, CustomObjectsApi

from tests.cluster import crd
from tests.cluster.access import Access
from tests.cluster.control_plane import ControlPlane
from tests.cluster.kubectl import Kubectl
from tests.cluster.workloads import MERGE, Workloads

PLACE = (crd.GROUP, crd.VERSION)


@dataclass(frozen=True)
class Tenant:
    """A fresh namespace. ``api`` and ``kubectl`` are the administrator's; ``plane.access`` makes others."""

    plane: ControlPlane
    namespace: str
    api: ApiClient
    kubectl: Kubectl

    @property
    def workloads(self) -> Workloads:
        return Workloads(self.api, self.namespace)

    @property
    def objects(self) -> CustomObjectsApi:
        return CustomObjectsApi(self.api)

    def kubectl_of(self, access: Access) -> Kubectl:
        """kubectl of somebody else, in this namespace."""
        home = self.plane.directory / f"home-{secrets.token_hex(4)}"
        return Kubectl(self.kubectl.program, access, home, self.namespace)

    async def create(self, manifest: dict[str, Any]) -> Any:
        """A ModuleDeployment in this namespace, whatever the manifest says of one."""
        body = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.namespace}}
        return await self.objects.create_namespaced_custom_object(
            *PLACE, self.namespace, crd.PLURAL, body, field_validation="Strict"
        )

    async def read(self, name: str) -> Any:
        """A ModuleDeployment with its status, as a dict."""
        return await self.objects.get_namespaced_custom_object(*PLACE, self.namespace, crd.PLURAL, name)

    async def change(self, name: str, change: dict[str, Any]) -> Any:
        """A merge patch of a ModuleDeployment."""
        return await self.objects.patch_namespaced_custom_object(
            *PLACE, self.namespace, crd.PLURAL, name, change, field_validation="Strict", _content_type=MERGE
        )


@asynccontextmanager
async def tenancy(plane: ControlPlane) -> AsyncIterator[Tenant]:
    """A namespace of its own, with the custom resource served. It stays: who would remove it runs nowhere."""
    async with plane.access.client() as api:
        await crd.install(api)
        namespace = f"t-{secrets.token_hex(4)}"
        await CoreV1Api(api).create_namespace({"metadata": {"name": namespace}})
        # One home for all, so that what kubectl learns of the apiserver is learnt once.
        home = plane.directory / "home"
        yield Tenant(plane, namespace, api, Kubectl(plane.binaries["kubectl"], plane.access, home, namespace))
