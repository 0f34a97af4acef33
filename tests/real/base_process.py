"""A real Koupleless base: one JVM with arklet inside, started, restarted in place and killed by its pid."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real.assets import Assets

START_S = 90.0
"""A start takes 5 to 9 s on two idle cores; others may be busy."""


class DidNotStart(AssertionError):
    """The JVM ended or never answered; the message ends with its log."""


@dataclass
class BaseProcess:
    """One base on this machine. ``address`` is arklet's, as an inventory names it."""

    assets: Assets
    directory: Path
    name: str
    flags: tuple[str, ...] = ()
    web_port: int = 0
    arklet_port: int = 0
    starts: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.arklet_port}"

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}-{self.starts}.log"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        """Start the JVM; ``wait_ready`` tells when arklet answers. Call from the main thread only."""
        self.starts += 1
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.arklet_port:
            self.web_port, self.arklet_port = free_port(), free_port()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the tests, which then end the JVMs themselves.
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def _command(self) -> list[str]:
        return [
            self.assets.java,
            "-Xmx512m",
            # Modules read the system property; as an argument they would open a Tomcat of their own.
            f"-Dserver.port={self.web_port}",
            f"-Dkoupleless.arklet.http.port={self.arklet_port}",
            "-Dsofa.ark.telnet.server.enable=false",
            f"-Djava.io.tmpdir={self.directory}",
            *self.flags,
            "-jar",
            str(self.assets.base),
        ]

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Until arklet answers ``queryAllBiz``. Raises DidNotStart with the end of the log."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.alive:
                raise DidNotStart(f"{self.name} ended while starting:\n{self._tail()}")
            with suppress(OSError, ValueError):
                self.command("queryAllBiz", {}, timeout_s=1)
                return
            time.sleep(0.1)
        raise DidNotStart(f"{self.name} did not answer within {timeout_s:g} s:\n{self._tail()}")

    def settle(self) -> None:
        """Wait until it answers; once more on other ports where somebody took these in between."""
        try:
            self.wait_ready()
        except DidNotStart:
            self.kill()
            self.web_port = self.arklet_port = 0
            self.launch()
            self.wait_ready()

    def kill(self) -> None:
        """End the JVM as a power cut would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    async def restart(self) -> None:
        """Kill it and start it again on the same ports: modules gone, request ids forgotten."""
        self.kill()
        self.launch()
        await asyncio.to_thread(self.wait_ready)

    def suspend(self) -> None:
        """Freeze the JVM: connections are taken and never answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen JVM go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def web(self, path: str, *, timeout_s: float = 5.0) -> tuple[int, str]:
        """Status and body of a GET on the base's own web port, as its users see it."""
        return await asyncio.to_thread(get, f"http://127.0.0.1:{self.web_port}{path}", timeout_s)

    def command(self, command: str, body: dict[str, Any], *, timeout_s: float = 10.0) -> Any:
        """Speak to arklet without the product's client: what a test compares the client with."""
        request = urllib.request.Request(f"http://{self.address}/{command}", data=json.dumps(body).encode())
        with _OPENER.open(request, timeout=timeout_s) as answer:
            return json.loads(answer.read())

    def modules(self) -> dict[tuple[str, str], str]:
        """What runs: (name, version) to state in lower case."""
        listed = self.command("queryAllBiz", {})["data"]
        return {(biz["bizName"], biz["bizVersion"]): biz["bizState"].lower() for biz in listed}

    def clear(self) -> None:
        """Remove every module, so that the next test finds an empty base without a restart."""
        deadline = time.monotonic() + 30
        while modules := self.modules():
            assert time.monotonic() < deadline, f"{self.name} keeps {modules}"
            # A module that still starts can not be removed: it is waited for.
            for (name, version), state in modules.items():
                if state != "resolved":
                    self.command("uninstallBiz", {"bizName": name, "bizVersion": version})
            time.sleep(0.05)

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


def free_port() -> int:
    """A port nobody listens on, on any address, outside the range outgoing connections use."""
    for port in _candidates():
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port
    raise AssertionError("no free port found")


def _candidates() -> Iterator[int]:
    for _ in range(200):
        yield 20_000 + secrets.randbelow(10_000)


def get(url: str, timeout_s: float) -> tuple[int, str]:
    """Status and body; status 0 where nobody answered."""
    try:
        with _OPENER.open(url, timeout=timeout_s) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


# No proxies: what the environment names for the internet must not stand between us and this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """In the child before the JVM: die with the tests, even where they are killed."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
