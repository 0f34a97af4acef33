"""Options that several commands have, and the decorator that gives commands their desk."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any, Optional

import typer

from tranche.client.client import DEFAULT_NAMESPACE
from tranche.runtime import system_runtime
from tranche.settings import Settings, load
from tranche_cli.app.desk import Desk, screen
from tranche_cli.exits import Exit


class Form(StrEnum):
    """How results are written."""

    JSON = "json"
    YAML = "yaml"
    WIDE = "wide"
    NAME = "name"

    @property
    def for_programs(self) -> bool:
        return self in (Form.JSON, Form.YAML)


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="namespace/name, or name with -n", show_default=False)
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="namespace of names without one")]
Output = Annotated[
    Optional[Form],  # noqa: UP045 - typer reads this at run time
    typer.Option("--output", "-o", help="another form of the result", show_default=False),
]
Reason = Annotated[str, typer.Option("--message", "-m", metavar="REASON", help="why; kept with the rollout")]
Wait = Annotated[bool, typer.Option("--wait", help="until it is done")]
Timeout = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--timeout", metavar="SECONDS", min=0, help="wait no longer (exit 5)", show_default=False),
]
NO_NAMESPACE = DEFAULT_NAMESPACE

_FLAGS = {
    "nats_url": "servers, several by comma",
    "nats_creds": "credentials file",
    "nats_user": "user name",
    "nats_password": "password; better by environment",
    "nats_nkey_seed_file": "file with an nkey seed",
    "nats_ca": "certificates the server's must be signed by",
    "nats_cert": "our own certificate",
    "nats_key": "key of our own certificate",
}
_PANEL = "Connection"


def at_desk(work: Callable[..., Awaitable[Exit]]) -> Callable[..., None]:
    """A command whose first argument is its Desk: it also takes the NATS settings of the services as flags."""
    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]

    def command(**given: Any) -> None:
        flags = {name: given.pop(name) for name in _FLAGS}
        look = screen(no_color=given.pop("no_color"))
        argv = [f"{_flag(name)}={value}" for name, value in flags.items() if value]
        desk = Desk(load(Settings, argv, program="tranche"), look, system_runtime())
        raise typer.Exit(asyncio.run(_awaited(work(desk, **given))))

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in [*own, *_shared()]]
    command.__name__ = work.__name__
    command.__doc__ = work.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


async def _awaited(work: Awaitable[Exit]) -> int:
    return int(await work)


def _shared() -> list[inspect.Parameter]:
    connection = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default="",
            annotation=Annotated[
                str,
                typer.Option(
                    _flag(name),
                    help=f"{help_} (TRANCHE_{name.upper()})",
                    rich_help_panel=_PANEL,
                    show_default=False,
                    metavar=name.removeprefix("nats_").upper(),
                ),
            ],
        )
        for name, help_ in _FLAGS.items()
    ]
    colour = inspect.Parameter(
        "no_color",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--no-color", help="no colours (also NO_COLOR)")],
    )
    return [colour, *connection]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
