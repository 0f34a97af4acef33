"""The custom resource as ``deploy/`` has it, put onto an apiserver."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from kubernetes_asyncio.client import ApiClient, ApiException, ApiextensionsV1Api

from tranche.runtime import SystemClock, wait_until

GROUP, VERSION, PLURAL = "koupleless.io", "v1alpha1", "moduledeployments"
NAME = f"{PLURAL}.{GROUP}"
FILE = Path(__file__).resolve().parents[2] / "deploy" / "crd" / f"{NAME}.yaml"
ESTABLISHED_S = 60.0


def definition() -> dict[str, Any]:
    """The document as it is handed out."""
    document: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return document


async def install(api: ApiClient) -> None:
    """Have the resource served; nothing to do where it is."""
    extensions = ApiextensionsV1Api(api)
    try:
        await extensions.create_custom_resource_definition(definition())
    except ApiException as error:
        if error.status != HTTPStatus.CONFLICT:
            raise

    async def served() -> bool | None:
        found = await extensions.read_custom_resource_definition(NAME)
        told = {one.type: one.status for one in found.status.conditions or []}
        return True if told.get("Established") == "True" else None

    await wait_until(served, SystemClock(), timeout_s=ESTABLISHED_S, every_s=0.05)
