"""`python -m tranche_fleet`: simulated bases in a process of their own, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from tranche_fleet.arklet import Settings
from tranche_fleet.control import Control
from tranche_fleet.edition import EDITIONS
from tranche_fleet.fleet import DEFAULT_VERSION, Fleet
from tranche_fleet.heartbeat import EVERY_S

DEFAULTS = Settings()
POOL = re.compile(r"(?P<namespace>[^/:]+)/(?P<base>[^/:]+)(?::(?P<bases>\d+))?(?::(?P<max>\d+))?")


@dataclass(frozen=True, slots=True)
class PoolWish:
    """One `--pool`: how many bases, how many modules each (None: the default of the command)."""

    namespace: str
    base: str
    bases: int | None
    max_modules: int | None


def pool(text: str) -> PoolWish:
    """`namespace/base[:bases[:max-modules]]`.

    >>> pool("shop/web-base:12:5")
    PoolWish(namespace='shop', base='web-base', bases=12, max_modules=5)
    """
    found = POOL.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not namespace/base[:bases[:max-modules]]")
    bases, limit = found["bases"], found["max"]
    return PoolWish(
        found["namespace"], found["base"], int(bases) if bases else None, int(limit) if limit else None
    )


def endpoint(text: str) -> tuple[str, int]:
    """`host:port`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port")
    return host, int(port)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tranche_fleet", description="Simulated Koupleless bases."
    )
    parser.add_argument("--bases", type=int, default=3, help="bases in each pool that does not say (3)")
    parser.add_argument(
        "--pool", type=pool, action="append", help="namespace/base[:bases[:max-modules]], repeatable"
    )
    parser.add_argument(
        "--max-modules", type=int, help="modules per base, where the pool does not say (unlimited)"
    )
    parser.add_argument(
        "--arklet", choices=sorted(EDITIONS), default=DEFAULT_VERSION, help="the release to simulate"
    )
    parser.add_argument("--address", help="loopback address of the first base")
    parser.add_argument(
        "--install-seconds", type=float, default=DEFAULTS.install_s, help="what a module takes to start"
    )
    parser.add_argument("--uninstall-seconds", type=float, default=DEFAULTS.uninstall_s)
    parser.add_argument("--keep-failed", action="store_true", help="a failed start stays on the base, broken")
    parser.add_argument(
        "--control", type=endpoint, default=("127.0.0.1", 0), help="host:port of the control surface"
    )
    parser.add_argument("--inventory", type=Path, help="a static inventory to write, kept up to date")
    parser.add_argument(
        "--heartbeat", metavar="URL", help="an endpoint that every base tells of itself, at URL/heartbeat"
    )
    parser.add_argument(
        "--heartbeat-seconds", type=float, default=EVERY_S, help=f"between two heartbeats ({EVERY_S:g})"
    )
    return parser.parse_args(argv)


async def run(wishes: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    settings = Settings(
        install_s=wishes.install_seconds, uninstall_s=wishes.uninstall_seconds, keep_failed=wishes.keep_failed
    )
    pools = wishes.pool or [PoolWish("default", "base", None, None)]
    async with Fleet(
        inventory_path=wishes.inventory,
        heartbeat_url=wishes.heartbeat,
        heartbeat_s=wishes.heartbeat_seconds,
    ) as fleet:
        for place, wish in enumerate(pools):
            await fleet.add_pool(
                wish.namespace,
                wish.base,
                wishes.bases if wish.bases is None else wish.bases,
                max_modules=wishes.max_modules if wish.max_modules is None else wish.max_modules,
                version=wishes.arklet,
                settings=settings,
                address=wishes.address if place == 0 else None,
            )
        async with Control(fleet, *wishes.control) as control:
            print(f"ready: {len(fleet)} bases, control {control.url}", flush=True)
            await stopped.wait()


def main() -> None:
    asyncio.run(run(arguments()))


if __name__ == "__main__":
    main()
