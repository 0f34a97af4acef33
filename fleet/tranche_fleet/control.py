"""The control surface of a fleet process: faults, deaths, timelines over HTTP, for tests in other processes.

`?pod=` names a pod, as namespace/base/pod or by its name alone. Everything is JSON; an error is
`{"error": "…"}` with 400 or 404.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from tranche_fleet.arklet import Settings
from tranche_fleet.catalogue import CONNECTION_REFUSED, EMPTY_JAR, NOT_A_JAR, Artefact
from tranche_fleet.failures import failure, start_failure
from tranche_fleet.faults import Fault, Kind
from tranche_fleet.fleet import DEFAULT_VERSION, Fleet
from tranche_fleet.pod import Pod

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Serves one fleet on one address while the context lasts; port 0 takes a free one."""

    def __init__(self, fleet: Fleet, host: str = "127.0.0.1", port: int = 0) -> None:
        self._fleet = fleet
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def __aenter__(self) -> Control:
        app = web.Application(middlewares=[explain_errors])
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/pods", self._pods),
                web.post("/pods", self._add),
                web.delete("/pods", self._remove),
                web.patch("/pods", self._patch),
                web.get("/pod", self._pod),
                web.post("/life", self._life),
                web.get("/timelines", self._timelines),
                web.post("/faults", self._arm),
                web.delete("/faults", self._clear),
                web.post("/artefacts", self._artefact),
                web.post("/hosts", self._host_of_artefacts),
                web.get("/inventory", self._inventory),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _chosen(self, request: web.Request) -> Pod:
        return self._fleet[request.query.get("pod", "")]

    def _meant(self, request: web.Request) -> list[Pod]:
        """The pods of a request: those named, or all."""
        names = request.query.getall("pod", [])
        return [self._fleet[name] for name in names] if names else list(self._fleet)

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"bases": len(self._fleet)})

    async def _pods(self, request: web.Request) -> web.Response:
        return web.json_response([pod.document() for pod in self._fleet])

    async def _pod(self, request: web.Request) -> web.Response:
        return web.json_response(self._chosen(request).document())

    async def _inventory(self, request: web.Request) -> web.Response:
        return web.json_response(self._fleet.inventory())

    async def _add(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        pod = await self._fleet.add(
            wanted.get("name"),
            namespace=wanted.get("namespace", "default"),
            pool=wanted.get("pool", "base"),
            address=wanted.get("address"),
            version=wanted.get("version", DEFAULT_VERSION),
            settings=Settings(**wanted.get("settings", {})),
            labels=wanted.get("labels"),
            uid=wanted.get("uid"),
        )
        return web.json_response(pod.document())

    async def _remove(self, request: web.Request) -> web.Response:
        self._fleet.remove(self._chosen(request))
        return web.json_response({})

    async def _patch(self, request: web.Request) -> web.Response:
        """What the inventory says of a pod: labels, ready."""
        pod, wanted = self._chosen(request), await request.json()
        pod.labels = wanted.get("labels", pod.labels)
        pod.ready = wanted.get("ready", pod.ready)
        self._fleet.publish()
        return web.json_response(pod.document())

    async def _life(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        for pod in self._meant(request):
            match wanted.get("event"):
                case "restart":
                    pod.restart(down_s=float(wanted.get("downSeconds", 0.0)))
                case "stop":
                    pod.stop()
                case "start":
                    pod.start()
                case "kill-listener":
                    pod.kill_listener()
                case "revive-listener":
                    pod.revive_listener()
                case other:
                    raise ValueError(
                        f"event: {other!r} is none of restart, stop, start, kill-listener, revive-listener"
                    )
        return web.json_response({})

    async def _timelines(self, request: web.Request) -> web.Response:
        return web.json_response({pod.key: pod.timeline.document() for pod in self._meant(request)})

    async def _arm(self, request: web.Request) -> web.Response:
        fault = Fault.parse(await request.json())
        for pod in self._meant(request):
            pod.arm(fault)
        return web.json_response({})

    async def _clear(self, request: web.Request) -> web.Response:
        kind = Kind(request.query["kind"]) if "kind" in request.query else None
        for pod in self._meant(request):
            pod.clear(kind)
        return web.json_response({})

    async def _artefact(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        url = wanted.pop("url")
        if (spoiled := wanted.pop("spoiled", None)) is not None:
            known = {"not-a-jar": NOT_A_JAR, "empty": EMPTY_JAR}
            self._fleet.catalogue.list(url, known.get(spoiled) or failure(("java.io.IOException", spoiled)))
        else:
            words = wanted.pop("fails", None)
            broken = start_failure(words) if words else None
            self._fleet.catalogue.list(url, Artefact(**wanted, failure=broken))
        return web.json_response({})

    async def _host_of_artefacts(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        host, catalogue = wanted["host"], self._fleet.catalogue
        catalogue.silent.discard(host)
        catalogue.down.pop(host, None)
        match wanted["state"]:
            case "silent":
                catalogue.silent.add(host)
            case "down":
                catalogue.down[host] = CONNECTION_REFUSED
            case "up":
                self._fleet.hang_up()
            case other:
                raise ValueError(f"state: {other!r} is none of silent, down, up")
        return web.json_response({})


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Mistakes of the caller as JSON."""
    try:
        return await handler(request)
    except KeyError as error:
        return web.json_response({"error": str(error.args[0])}, status=404)
    except (ValueError, TypeError, AttributeError, OSError) as error:
        return web.json_response({"error": str(error)}, status=400)
