"""One server of a control plane: a process with a log, started, frozen, killed and stopped by its pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tranche.bus import leash

STOP_S = 20.0


class DidNotStart(AssertionError):
    """The server ended or never answered; the message ends with its log."""


@dataclass
class Server:
    """One program with its arguments. It ends with the tests, even where they are killed."""

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def memory_mib(self) -> int:
        """What it holds of this machine's memory (Linux)."""
        assert self.process is not None
        told = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmRSS")) // 1024

    def launch(self) -> None:
        """Start the process and return at once. Call from the main thread only: it is tied to that."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", leash.__file__, str(os.getpid()), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # What the shell of a person has set (proxies, KUBECONFIG) is none of its business.
                env={"HOME": str(self.log.parent), "PATH": os.defpath},
                # Ctrl-C is for the tests, which then end the servers themselves.
                start_new_session=True,
            )

    def wait(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Until it is ready. Raises DidNotStart with the end of its log."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise DidNotStart(f"{self.name} ended while starting:\n{self.words()}")
            if time.monotonic() > deadline:
                raise DidNotStart(f"{self.name} was not ready within {timeout_s:g} s:\n{self.words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        if self.process is not None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def freeze(self) -> None:
        """Connections are taken and never answered, until ``thaw``."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def words(self) -> str:
        """The end of its log, for a failing test."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:]) if self.log.exists() else ""

    def _signal(self, which: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(which)
