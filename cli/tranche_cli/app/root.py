"""The command with all its parts."""

from __future__ import annotations

import typer

from tranche_cli.app import apply, events, get, here, status, verbs
from tranche_cli.app.later import add_later

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
    "On this machine": (here.up, here.demo, here.setup, here.version),
    "Rollouts": (apply.apply, status.status, get.get, events.events),
    "Decisions": (verbs.confirm, verbs.pause, verbs.resume, verbs.abort, verbs.delete),
}.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
add_later(app)
