"""Run a program that ends when its parent does: ``leash.py <parent's pid> <program> <arguments…>``.

A program of its own, started in isolated mode, because code between fork and exec of a process with threads
may deadlock. The pid stays the same through ``exec``, so the parent can stop the program by it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent where Linux offers it, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        # The parent may have died before the line above: then nobody would ever send the signal.
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(program, sys.argv[2:])


if __name__ == "__main__":
    main()
