"""Who speaks to an apiserver: the administrator, a service account, or anybody the administrator stands in for."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api


@dataclass(frozen=True)
class Access:
    """One caller of one apiserver. ``authority``: the certificate that signs the apiserver's."""

    url: str
    authority: Path
    token: str = field(repr=False)
    user: str = ""
    group: str = ""

    def standing_in_for(self, user: str, group: str = "") -> Access:
        """The administrator as somebody else (impersonation): what RBAC says of a person."""
        return replace(self, user=user, group=group)

    def through(self, url: str) -> Access:
        """The same caller by another address: a proxy that makes faults. The certificate must name its host."""
        return replace(self, url=url)

    async def service_account(self, namespace: str, name: str) -> Access:
        """A service account with a token, made where it is missing: what RBAC says of a service."""
        async with self.client() as api:
            core = CoreV1Api(api)
            try:
                await core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})
            except ApiException as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise
            asked = {"spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 3600}}
            told = await core.create_namespaced_service_account_token(name, namespace, asked)
        return replace(self, token=told.status.token, user="", group="")

    def client(self) -> ApiClient:
        """A client of kubernetes_asyncio, to be used with ``async with``."""
        settings = Configuration(host=self.url)
        settings.ssl_ca_cert = str(self.authority)
        settings.api_key = {"BearerToken": f"Bearer {self.token}"}
        # Python 3.13 and later demand what self-signed certificates do not have.
        settings.disable_strict_ssl_verification = True
        client = _Client(settings)
        if self.user:
            client.set_default_header("Impersonate-User", self.user)
        if self.group:
            client.set_default_header("Impersonate-Group", self.group)
        return client

    def kubeconfig(self, path: Path) -> Path:
        """A file for programs that want one, readable by nobody else."""
        user: dict[str, Any] = {"token": self.token}
        if self.user:
            user |= {"as": self.user, "as-groups": [self.group] if self.group else []}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority": str(self.authority)},
                }
            ],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file)
        return path


class _Client(ApiClient):
    """Hangs up when it is closed: a server that is frozen or gone does not say good-bye."""

    async def close(self) -> None:
        """As any, without waiting for the other side."""
        if (connector := self.rest_client.pool_manager.connector) is not None:
            await connector.close(abort_ssl=True)
        await super().close()
