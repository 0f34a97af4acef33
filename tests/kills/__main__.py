"""``python -m tests.kills``: kill and freeze real processes in the middle of rollouts, and judge the bases."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.campaign import Record, campaign
from tests.kills.summary import summary


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="processes to kill or freeze, at least (200)")
    parser.add_argument("--clustered", type=float, default=0.3, help="the share in a cluster of three (0.3)")
    parser.add_argument("--seed", type=int, default=None, help="of all that is drawn; the time unless given")
    parser.add_argument("--folder", type=Path, help="for logs and stores; kept where it is given")
    return parser.parse_args()


async def run(record: Record, folder: Path, kills: int, share: float) -> None:
    """First with one nats-server, then in a cluster of three. SIGTERM ends it in order, with all its processes."""
    if (this := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    in_cluster = round(kills * share)
    for label, clustered, count in (("alone", False, kills - in_cluster), ("cluster", True, in_cluster)):
        if count and not record.violations:
            (folder / label).mkdir(parents=True)
            async with campaign(folder / label, record, _say, clustered=clustered) as under_fire:
                await under_fire.run(label, count)


def main() -> int:
    wishes = arguments()
    record = Record(int(time.time()) if wishes.seed is None else wishes.seed)
    folder = wishes.folder or Path(tempfile.mkdtemp(prefix="tranche-kills-"))
    _say(f"seed {record.seed}, logs in {folder}")
    failed = True
    try:
        asyncio.run(run(record, folder, wishes.kills, wishes.clustered))
        failed = bool(record.violations)
    finally:
        _say(summary(record))
        if failed:
            _say(f"FAILED: --seed {record.seed}; logs, timelines and statuses are in {folder}")
        elif wishes.folder is None:
            shutil.rmtree(folder)
    return int(failed)


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
