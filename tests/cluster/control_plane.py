"""A Kubernetes control plane on this machine: etcd, kube-apiserver and, where wanted, kube-controller-manager.

On two idle cores etcd and apiserver answer after 4 to 6 s (18 s beside a simulation that holds both), the
controllers work 2 s later. Memory: etcd 40 MiB, apiserver 270, controllers 70. Nothing runs pods: their status is
what a test says (``workloads.py``).
"""

from __future__ import annotations

import json
import secrets
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.access import Access
from tests.cluster.binaries import CONTROLLER_MANAGER, Binaries
from tests.cluster.server import DidNotStart, Server
from tests.cluster.signing_key import signing_key
from tests.real.base_process import free_port

HOST = "127.0.0.1"
READY_S = 180.0
"""Others may be busy: seen are 60 s with five processes waiting for each core."""

CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "endpointslice-controller",
    "disruption-controller",
)
"""Those that make what is tested. None that looks after nodes: it would evict pods from nodes that do not run."""


@dataclass
class ControlPlane:
    """``access`` reaches it as its administrator. Ports and data stay over ``restart``."""

    binaries: Binaries
    directory: Path
    controllers: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    servers: dict[str, Server] = field(default_factory=dict)
    access: Access = field(init=False)

    @property
    def apiserver(self) -> Server:
        return self.servers["kube-apiserver"]

    @property
    def etcd(self) -> Server:
        return self.servers["etcd"]

    def start(self) -> None:
        """All servers, ready; once more on other ports where somebody took these in between."""
        try:
            self._start()
        except DidNotStart:
            self.stop()
            self._start()

    def restart(self) -> None:
        """The apiserver alone, as an upgrade would: same address, same data, and every watch is cut."""
        self.apiserver.stop()
        self.resume()

    def resume(self) -> None:
        """The apiserver again after it was stopped or killed."""
        self.apiserver.launch()
        self.apiserver.wait(self._ready, READY_S)

    def revive(self) -> None:
        """All servers running, whatever was done to them: what each test begins with."""
        for server in self.servers.values():
            server.thaw()
        fallen = [server for server in self.servers.values() if not server.running]
        for server in fallen:
            server.launch()
        if fallen:
            self.apiserver.wait(self._ready, READY_S)

    def stop(self) -> None:
        """End the servers, the users of others first."""
        for server in reversed(self.servers.values()):
            server.stop()
        self.servers.clear()

    def compact(self) -> None:
        """Forget every state but the newest, as an apiserver has etcd do every five minutes: who asks for an older
        one is told 410, unless the apiserver still has it in memory (``restart``)."""
        newest = self._ask_etcd("range", {"key": "AA=="})["header"]["revision"]
        self._ask_etcd("compaction", {"revision": newest, "physical": True})

    def _start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._etcd_port, port = free_port(), free_port()
        url = f"https://{HOST}:{port}"
        (self.directory / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        (self.directory / "signing.key").write_text(signing_key())
        self._add("etcd", *self._etcd_flags())
        self._add("kube-apiserver", *self._apiserver_flags(port))
        # The apiserver waits for etcd by itself.
        self.etcd.launch()
        self.apiserver.launch()
        self.access = Access(url, self.directory / "certificates" / "apiserver.crt", self.token)
        self.apiserver.wait(self._ready, READY_S)
        if self.controllers:
            self._start_controllers()

    def _start_controllers(self) -> None:
        port = free_port()
        kubeconfig = self.access.kubeconfig(self.directory / "controllers.kubeconfig")
        manager = self._add(
            CONTROLLER_MANAGER,
            f"--kubeconfig={kubeconfig}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--cert-dir={self.directory / 'controllers'}",
            "--leader-elect=false",
            f"--controllers={','.join(CONTROLLERS)}",
        )
        manager.launch()
        certificate = self.directory / "controllers" / f"{CONTROLLER_MANAGER}.crt"
        manager.wait(lambda: _answers(f"https://{HOST}:{port}/healthz", certificate), READY_S)

    def _etcd_flags(self) -> tuple[str, ...]:
        url = f"http://{HOST}:{self._etcd_port}"
        return (
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls=http://{HOST}:0",
            # What a power cut would lose no test looks for.
            "--unsafe-no-fsync",
        )

    def _apiserver_flags(self, port: int) -> tuple[str, ...]:
        key = self.directory / "signing.key"
        # Without controllers no namespace gets the service account that this plugin demands for every pod.
        without = () if self.controllers else ("--disable-admission-plugins=ServiceAccount",)
        return (
            f"--etcd-servers=http://{HOST}:{self._etcd_port}",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--secure-port={port}",
            f"--cert-dir={self.directory / 'certificates'}",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # A loopback address is no endpoint.
            "--endpoint-reconciler-type=none",
            # Ended by a test, it need not wait for load balancers to notice.
            "--shutdown-delay-duration=0s",
            *without,
        )

    def _add(self, program: str, *flags: str) -> Server:
        server = Server(program, (self.binaries[program], *flags), self.directory / f"{program}.log")
        self.servers[program] = server
        return server

    def _ready(self) -> bool:
        return _answers(f"{self.access.url}/readyz", self.access.authority)

    def _ask_etcd(self, call: str, body: object) -> dict[str, dict[str, str]]:
        url = f"http://{HOST}:{self._etcd_port}/v3/kv/{call}"
        with _opener().open(urllib.request.Request(url, json.dumps(body).encode()), timeout=10) as answer:
            told: dict[str, dict[str, str]] = json.load(answer)
            return told


def _answers(url: str, certificate: Path) -> bool:
    try:
        with _opener(certificate).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, ssl.SSLError):
        return False


def _opener(certificate: Path | None = None) -> urllib.request.OpenerDirector:
    # No proxies: what the environment names for the internet must not stand between us and this machine.
    handlers: list[Callable[[], object] | object] = [urllib.request.ProxyHandler({})]
    if certificate is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificate)))
    return urllib.request.build_opener(*handlers)
