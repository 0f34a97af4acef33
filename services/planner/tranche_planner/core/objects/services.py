"""The Service of a module (``serviceStrategy``): what it should be, and whether one that is there is ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tranche.contract import values
from tranche.contract.values import Wrong
from tranche_planner.core.objects.seen import Seen

MODULE_LABEL = "module.koupleless.io/"
"""With the module's name: a label of the pods that serve it, set by executors."""
REASON = "ServiceConflict"
_LONGEST = 63
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Cannot:
    """Why there can be no Service as it is asked for."""

    message: str


def service_of(object_: Seen) -> dict[str, Any] | Cannot | None:
    """The Service an object asks for; None: none."""
    strategy = _mapping(_mapping(object_.spec, "operationStrategy"), "serviceStrategy")
    if strategy.get("enableModuleService") is not True:
        return None
    module = _module(object_)
    name = f"{module}-service"
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        return Cannot(
            f"no Service can be named {name}: at most {_LONGEST} lower-case letters, digits and '-', a letter first"
        )
    port = values.whole(1, 65535)(strategy.get("port"))
    if isinstance(port, Wrong):
        return Cannot(f"spec.operationStrategy.serviceStrategy.port: expected {port.expected}")
    target = values.port(strategy.get("targetPort", port))
    if isinstance(target, Wrong):
        return Cannot(f"spec.operationStrategy.serviceStrategy.targetPort: expected {target.expected}")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": object_.namespace,
            "ownerReferences": [
                {
                    "apiVersion": object_.api_version,
                    "kind": "ModuleDeployment",
                    "name": object_.name,
                    "uid": object_.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "selector": {f"{MODULE_LABEL}{module}": "true"},
            "ports": [{"name": "module", "protocol": "TCP", "port": port, "targetPort": target}],
        },
    }


def is_ours(service: Mapping[str, Any], object_: Seen) -> bool:
    """Whether a Service belongs to the object: only such a one is ever changed."""
    owners = _mapping(service, "metadata").get("ownerReferences") or ()
    return any(owner.get("uid") == object_.uid for owner in owners)


def foreign(name: str) -> Cannot:
    """What to say of one that is not."""
    return Cannot(f"there is a Service {name} that is not of this ModuleDeployment: it is left as it is")


def _module(object_: Seen) -> str:
    template = _mapping(_mapping(object_.spec, "template"), "spec")
    return str(_mapping(template, "module").get("name", ""))


def _mapping(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}
