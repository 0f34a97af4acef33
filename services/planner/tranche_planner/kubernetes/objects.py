"""What is written to ModuleDeployment objects and beside them, call by call."""

from __future__ import annotations

from typing import Any

from tranche.errors import Conflict
from tranche.kubernetes.cluster import Cluster, Object
from tranche_planner.core.objects.pausing import Memory, Write
from tranche_planner.core.objects.scaling import SCALED, Scaling
from tranche_planner.core.objects.seen import FINALIZER, FOLLOWED, MEMORY, Seen
from tranche_planner.core.objects.services import Cannot, foreign, is_ours

GROUP, VERSION, PLURAL = "koupleless.io", "v1alpha1", "moduledeployments"
API_VERSION = f"{GROUP}/{VERSION}"


class Objects:
    """Writes that say under which object they were decided: on another one they fail with Conflict or Gone."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def read(self, namespace: str, name: str) -> Object | None:
        """The object now; None: there is none."""
        return await self._cluster.get(_path(namespace, name))

    async def own(self, object_: Seen, write: Write) -> Object:
        """Write all that is ours in the object: the finalizer, the memory, ``spec.pause`` while it is held."""
        metadata: Object = {"finalizers": [FINALIZER]}
        if write.memory != Memory():
            metadata["annotations"] = {MEMORY: write.memory.text}
        body: Object = {"metadata": metadata}
        if write.held:
            body["spec"] = {"pause": True}
        return await self._apply(object_, body, resource_version=object_.version)

    async def write_back(self, object_: Seen, spec: Object) -> Object:
        """Make the object say what was agreed elsewhere."""
        body = {"metadata": _precondition(object_), "spec": spec}
        return await self._merge(object_, body)

    async def scale(self, object_: Seen, scaling: Scaling) -> Object:
        """Have both numbers of replicas say the same."""
        spec = {SCALED: scaling.scaled} | ({} if scaling.replicas is None else {"replicas": scaling.replicas})
        metadata = {**_precondition(object_), "annotations": {FOLLOWED: str(scaling.scaled)}}
        return await self._merge(object_, {"metadata": metadata, "spec": spec})

    async def release(self, object_: Seen) -> Object:
        """Let the object go."""
        others = [one for one in object_.finalizers if one != FINALIZER]
        return await self._merge(object_, {"metadata": {**_precondition(object_), "finalizers": others}})

    async def say(self, object_: Seen, status: Object) -> Object:
        """The status as it is now; what is not in it any more goes."""
        return await self._apply(object_, {"status": status}, "/status")

    async def tell(self, event: Object) -> None:
        """An Event, unless it is there."""
        try:
            await self._cluster.create(f"/api/v1/namespaces/{event['metadata']['namespace']}/events", event)
        except Conflict:
            return

    async def serve(self, object_: Seen, service: Object) -> Cannot | None:
        """Make the Service of the module what it should be; or why not."""
        name = service["metadata"]["name"]
        path = f"/api/v1/namespaces/{object_.namespace}/services"
        found = await self._cluster.get(f"{path}/{name}")
        if found is None:
            await self._cluster.create(path, service)
            return None
        if not is_ours(found, object_):
            return foreign(name)
        spec = {field: found["spec"].get(field) for field in service["spec"]}
        if spec != service["spec"]:
            # Merged and not applied: a list of ports is replaced as a whole.
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            await self._cluster.patch(f"{path}/{name}", {"metadata": version, "spec": service["spec"]})
        return None

    async def unserve(self, object_: Seen, name: str) -> None:
        """Remove the Service, where it is the object's own."""
        path = f"/api/v1/namespaces/{object_.namespace}/services/{name}"
        found = await self._cluster.get(path)
        if found is not None and is_ours(found, object_):
            await self._cluster.delete(path, {"preconditions": {"uid": found["metadata"]["uid"]}})

    async def _apply(
        self, object_: Seen, body: Object, below: str = "", *, resource_version: str | None = None
    ) -> Object:
        version = {"resourceVersion": resource_version} if resource_version else {}
        named = {
            "apiVersion": API_VERSION,
            "kind": "ModuleDeployment",
            **body,
            # The uid: an object of the same name made anew is not the one this was decided for.
            "metadata": {
                **body.get("metadata", {}),
                **version,
                "name": object_.name,
                "namespace": object_.namespace,
                "uid": object_.uid,
            },
        }
        path = f"{_path(object_.namespace, object_.name)}{below}"
        return _there(await self._cluster.patch(path, named, kind="apply", force="true"), path)

    async def _merge(self, object_: Seen, body: Object) -> Object:
        path = _path(object_.namespace, object_.name)
        return _there(await self._cluster.patch(path, body), path)


def _there(answer: Object | None, path: str) -> Object:
    if answer is None:
        raise Conflict(f"{path}: it is gone")
    return answer


def _precondition(object_: Seen) -> dict[str, Any]:
    return {"uid": object_.uid, "resourceVersion": object_.version}


def _path(namespace: str, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}/{name}"
