"""The command with all its parts."""

from __future__ import annotations

import typer

from tranche_cli.app import (
    apply,
    changes,
    events,
    explain,
    freezes,
    get,
    here,
    preview,
    shells,
    status,
    verbs,
    waiting,
)

app = typer.Typer(
    name="tranche",
    help="Releases Koupleless modules batch by batch within a budget that holds.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for _panel, _commands in {
    "On this machine": (here.up, here.demo, here.setup, here.version, shells.completion),
    "Rollouts": (
        preview.plan,
        apply.apply,
        status.status,
        get.get,
        explain.explain,
        waiting.waiting,
        explain.history,
        events.events,
    ),
    "Decisions": (
        verbs.confirm,
        verbs.promote,
        verbs.pause,
        verbs.resume,
        verbs.abort,
        changes.retry,
        changes.undo,
        changes.restart,
        changes.scale,
        changes.replace,
        verbs.delete,
        freezes.freeze,
        freezes.unfreeze,
    ),
}.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
shells.know_shells()
