"""The scheduler as a process: ``tranche-scheduler`` or ``python -m tranche_scheduler``."""

from __future__ import annotations

import sys

from tranche.service import Service, run
from tranche.settings import Settings, load_or_exit
from tranche_scheduler.owner import Owner


async def work(service: Service, _: Settings) -> None:
    """Look after pools until asked to end."""
    await Owner(service).run()


def main() -> int:
    """The exit code of the process."""
    return run("scheduler", load_or_exit(Settings, program="tranche-scheduler"), work)


if __name__ == "__main__":
    sys.exit(main())
