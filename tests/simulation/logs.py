"""Logs of simulated services: silent, but for failures that nobody expected, which end up in the verdict."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, Self

import structlog

surprises: list[str] = []
"""What was logged with an exception since it was cleared last."""


class Quiet:
    """A logger without a voice."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def bind(self, **_: Any) -> Self:
        return self

    def debug(self, *_: Any, **__: Any) -> None: ...

    info = warning = error = critical = debug

    def exception(self, event: str, *_: Any, **__: Any) -> None:
        surprise(event)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            surprise(record.getMessage())


def surprise(event: str) -> None:
    """The exception that is being handled is one that nobody expected."""
    error = sys.exc_info()[1]
    lines = traceback.format_exception(error) if error is not None else []
    surprises.append(f"{event}: {type(error).__name__}: {error}\n{''.join(lines[-6:])}")


def silence() -> None:
    """From here on."""
    structlog.configure(
        processors=[],
        wrapper_class=Quiet,
        cache_logger_on_first_use=True,  # type: ignore[arg-type]
    )
    root = logging.getLogger()
    root.handlers[:] = [_Handler()]
    root.setLevel(logging.ERROR)
