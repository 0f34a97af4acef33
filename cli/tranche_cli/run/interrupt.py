"""Work that ends in order when somebody presses Ctrl-C or the machine asks us to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_interrupted(work: Coroutine[Any, Any, T]) -> T | None:
    """What the work answers; None when a signal ended it. Whatever it cleans up is waited for.

    A second signal while it cleans up changes nothing: it takes ten seconds at most.
    """
    task = asyncio.ensure_future(work)
    asked = False

    def ask() -> None:
        nonlocal asked
        if not asked:
            asked = True
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, ask)
    try:
        return await task
    except asyncio.CancelledError:
        if asked:
            return None
        raise
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
