"""How we get to the cluster: as its service account inside, by kubeconfig outside.

The vendor's package is an extra, and slow to import: only who asks for Kubernetes imports it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tranche.errors import Refused
from tranche.kubernetes.cluster import Cluster
from tranche.runtime import Clock

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONNECTIONS = 100
"""At most at once; each watch holds one."""


def check_installed(setting: str) -> None:
    """Whether the vendor's package is there. Raises Refused naming the setting that asks for it."""
    try:
        import kubernetes_asyncio.client  # noqa: F401
    except ImportError as error:
        raise Refused(
            f"setting {setting}: Kubernetes needs a package that is not installed: "
            f"pip install 'tranche[kubernetes]' ({error})"
        ) from error


@asynccontextmanager
async def connected(clock: Clock, *, setting: str) -> AsyncIterator[Cluster]:
    """The cluster we run in, else the one that the kubeconfig names. Raises Refused naming ``setting``."""
    check_installed(setting)
    from kubernetes_asyncio import client

    configuration = client.Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    inside = "KUBERNETES_SERVICE_HOST" in os.environ and (ACCOUNT / "token").is_file()

    async def load() -> str:
        return _load_account(configuration) if inside else await _load_kubeconfig(configuration, setting)

    async def renew() -> None:
        await load()

    namespace = await load()
    async with client.ApiClient(configuration) as calls:
        calls.user_agent = "tranche"
        try:
            yield Cluster(calls, clock, namespace, renew)
        finally:
            # A server that is gone does not say good-bye, and nobody waits for it.
            if (connector := calls.rest_client.pool_manager.connector) is not None:
                await connector.close(abort_ssl=True)


def _load_account(configuration: Any) -> str:
    from kubernetes_asyncio import config

    load: Any = config.load_incluster_config
    load(client_configuration=configuration)
    named = ACCOUNT / "namespace"
    return named.read_text().strip() if named.is_file() else "default"


async def _load_kubeconfig(configuration: Any, setting: str) -> str:
    from kubernetes_asyncio import config

    path = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    try:
        loader = await config.load_kube_config(
            config_file=path, client_configuration=configuration, persist_config=False
        )
    except Exception as error:  # the vendor raises whatever it meets in the file
        raise Refused(
            f"setting {setting}: no cluster: not running in one, and the kubeconfig {path} cannot be used: "
            f"{str(error)[:300]}"
        ) from error
    context = (loader.current_context or {}).get("context") or {}
    return str(context.get("namespace") or "default")
