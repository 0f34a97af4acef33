"""`tranche completion`: the script that lets a shell complete commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import (  # type: ignore[attr-defined] # typer's own; it names no public ones
    completion_init,
    get_completion_script,
)

COMPLETE_VARIABLE = "_TRANCHE_COMPLETE"
"""Set by the shell when it asks what may come next."""


class Shell(StrEnum):
    """Shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="your shell", show_default=False)],
) -> None:
    """Completion for your shell: source <(tranche completion bash); tranche completion fish | source."""
    script = get_completion_script(prog_name="tranche", complete_var=COMPLETE_VARIABLE, shell=shell.value)
    typer.echo(script)


def know_shells() -> None:
    """Let the command answer when a shell asks it."""
    completion_init()
