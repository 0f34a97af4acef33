"""Forking one child per mutant, a few at a time, and what became of each."""

from __future__ import annotations

import os
import resource
import signal
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

Verdict = Literal["killed", "survived", "timeout"]
T = TypeVar("T")
MEMORY_BYTES = 4 << 30
"""What a child may take: a mutant may build a list without end."""
OUT_OF_TIME = (signal.SIGPROF, signal.SIGALRM)


@dataclass(frozen=True, slots=True)
class Judged:
    """``by``: the test that noticed the mutant; empty where none did."""

    verdict: Verdict
    by: str = ""


Trial = Callable[[], str]
"""Runs in a child: the name of the test that failed, empty where all passed."""


def allow(seconds: float) -> None:
    """From now on the child has so long of the processor; then it is over. 0: without end.

    By the clock, which runs on while others have the processor, it has sixty times as long: no wait is for ever.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 60 * seconds)


def judge(trials: Iterable[tuple[T, Trial]], jobs: int, told: Callable[[T, Judged], None]) -> None:
    """Try all, at most ``jobs`` at once; ``told`` hears of each as it ends. The next trial is taken late."""
    running: dict[int, tuple[T, int]] = {}
    for what, trial in trials:
        if len(running) >= jobs:
            told(*_ended(running))
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _try(trial, write)
        os.close(write)
        running[pid] = (what, read)
    while running:
        told(*_ended(running))


def _try(trial: Trial, write: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for one in OUT_OF_TIME:
        signal.signal(one, signal.SIG_DFL)
    allow(60)
    try:
        said = trial()
    except BaseException:
        said = f"(no test: {traceback.format_exc(limit=-1).splitlines()[-1]})"
    os.write(write, said.encode()[:4000])
    os._exit(0)


def _ended(running: dict[int, tuple[T, int]]) -> tuple[T, Judged]:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid in running:
            break
    what, read = running.pop(pid)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    if os.WIFSIGNALED(status):
        by = signal.Signals(os.WTERMSIG(status))
        return what, Judged("timeout") if by in OUT_OF_TIME else Judged("killed", f"({by.name})")
    return what, Judged("killed", said) if said else Judged("survived")
