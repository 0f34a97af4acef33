"""`tranche`: asks planners, shows rollouts, runs an installation on one machine."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from tranche.errors import TrancheError
from tranche.settings import BadSetting
from tranche_cli.app.root import app
from tranche_cli.exits import Exit, of_error
from tranche_cli.view.words import safe

# Typer may bring its own copy of click, or not; the base of its public error is the same class in both, and has
# no public type.
_UsageError: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """The console script; ends the process."""
    # What the library logs, an error or the picture says too: no line twice.
    logging.getLogger("tranche").addHandler(logging.NullHandler())
    sys.exit(int(run(sys.argv[1:])))


def run(argv: Sequence[str]) -> int:
    """Do what was typed; the exit code."""
    try:
        code = typer.main.get_command(app).main(list(argv), prog_name="tranche", standalone_mode=False)
        sys.stdout.flush()
        return int(code or Exit.DONE)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has enough; nothing more may be written, at the interpreter's end neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.DONE
    except Exception as error:
        return _explained(_single(error))


def _explained(error: BaseException) -> int:
    """One sentence on stderr for what is expected to go wrong; what is not is raised again."""
    if isinstance(error, TrancheError):
        _say(str(error))
        return of_error(error)
    if isinstance(error, BadSetting):
        _say(str(error))
        return Exit.REFUSED
    if isinstance(error, _UsageError):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "tranche"
        _say(f"{error.format_message()}\nHow it is used: {path} --help")
        return Exit.REFUSED
    raise error


def _single(error: BaseException) -> BaseException:
    """What a group of tasks failed with, where it is one thing."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _say(text: str) -> None:
    for number, one in enumerate(text.splitlines()):
        print(f"{'tranche: ' if number == 0 else '  '}{safe(one)}", file=sys.stderr)


if __name__ == "__main__":
    main()
