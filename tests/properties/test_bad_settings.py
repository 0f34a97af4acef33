"""Whatever stands in the environment or on a command line: a service or command starts, or names what is wrong."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.bad_input import examples, one_line
from tranche.errors import Unavailable
from tranche.settings import BadSetting, Settings, load
from tranche_cli.__main__ import run
from tranche_cli.exits import Exit
from tranche_executor.settings import ExecutorSettings
from tranche_planner.settings import PlannerSettings

KINDS: tuple[type[Settings], ...] = (Settings, PlannerSettings, ExecutorSettings)
FIELDS = sorted({name for kind in KINDS for name in kind.model_fields})
ODD = st.sampled_from(
    [
        "",
        " ",
        ",",
        "0",
        "-1",
        "70000",
        "9" * 5000,
        "1e999",
        "nan",
        "inf",
        "true",
        "[]",
        "{",
        '["a"',
        "null",
        "٣",
        "/no/such",
        "/no/\udcff",
        "a" * 5000,
        "/" + "a/" * 3000,
        "\x1b[31m",
        "x\ny",
        "nats://",
        "nats://[::1",
        "*",
        "static:",
        "static:/x",
        "heartbeat:0",
        "heartbeat:99999",
        "heartbeat:1,heartbeat:2",
        "kubernetes",
        "static:\x1b",
        "https://m.example/",
        "https://m.example/?",
        "ftp://x",
        "https://u:p@h/",
        "http://[/",
        "file:///",
    ]
)
VALUES = ODD | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@contextmanager
def environment(given: dict[str, str]) -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRANCHE_")}
    with mock.patch.dict(os.environ, {**kept, **given}, clear=True):
        yield


def loaded(kind: type[Settings], argv: list[str]) -> Settings | None:
    """The settings, or None after a refusal that names each bad one."""
    try:
        with redirect_stderr(io.StringIO()) as said:
            return load(kind, argv, program="tranche-x")
    except BadSetting as error:
        for line in str(error).split("\n"):
            one_line(line, longest=700)
            assert line.startswith("setting TRANCHE_") or "error parsing" in line, line
        return None
    except SystemExit as left:
        code = left.code
    # A flag that there is none of: its parser says how they are used.
    assert code == 2
    assert "error:" in said.getvalue()
    return None


@examples(300)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_an_environment_is_taken_or_each_bad_setting_named(
    kind: type[Settings], given_: dict[str, str]
) -> None:
    with environment({f"TRANCHE_{name.upper()}": value for name, value in given_.items()}):
        found = loaded(kind, [])
    if found is not None:
        assert found.servers
        found.credentials()


@examples(100)
@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.sampled_from([*FIELDS, "bogus"]), VALUES | st.just("a\x00b")), max_size=3),
    st.booleans(),
)
def test_flags_are_taken_or_each_bad_one_named(
    kind: type[Settings], flags: list[tuple[str, str]], one: bool
) -> None:
    named = [(f"--{name.replace('_', '-')}", value) for name, value in flags]
    argv = [f"{flag}={value}" for flag, value in named] if one else [part for flag in named for part in flag]
    with environment({}):
        loaded(kind, argv)


def test_a_password_is_never_shown() -> None:
    given = {"TRANCHE_NATS_PASSWORD": "hunter2", "TRANCHE_HTTP_PORT": "x"}
    with environment(given), pytest.raises(BadSetting) as refused:
        load(Settings, [], program="tranche-x")
    assert "hunter2" not in str(refused.value)


COMMANDS = st.sampled_from(
    [
        "plan",
        "apply",
        "status",
        "get",
        "explain",
        "waiting",
        "history",
        "events",
        "confirm",
        "promote",
        "pause",
        "resume",
        "abort",
        "retry",
        "undo",
        "restart",
        "scale",
        "replace",
        "delete",
        "freeze",
        "unfreeze",
        "version",
        "completion",
        "nonsense",
        "",
    ]
)
WORDS = st.sampled_from(
    [
        "shop/cart",
        "cart",
        "a/b/c",
        "/",
        "Cart",
        "\x1b[31m",
        "x" * 400,
        "-1",
        "0",
        "1e9",
        "99999999999999999999",
        "nan",
        "-n",
        "-o",
        "json",
        "yaml",
        "xml",
        "-f",
        "-",
        "/no/such",
        "/",
        "--wait",
        "--timeout",
        "-m",
        "--batch",
        "--json",
        "--replicas",
        "--to",
        "--until",
        "2031-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "--all",
        "-A",
        "-y",
        "--",
        "--nats-url",
        "nats://[",
        ",",
        "--nats-creds",
        "pods",
        "freezes",
        "deployments",
        "--help",
        "--pod",
        "--revision",
        "--for",
        "--duration",
        "10m",
        "²",
        "\udcff",
        "größe",
        "\u202e",
        "",
    ]
)


@asynccontextmanager
async def _nobody(*_: Any, **__: Any) -> AsyncIterator[Any]:
    raise Unavailable("no NATS server answers")
    yield


@examples(120)
@given(COMMANDS, st.lists(WORDS, max_size=5))
def test_a_command_line_ends_with_one_of_the_codes(command: str, words: list[str]) -> None:
    said, told = io.StringIO(), io.StringIO()
    with (
        environment({}),
        mock.patch("tranche.connect", _nobody),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(b""))),
        redirect_stdout(told),
        redirect_stderr(said),
    ):
        code = run([command, *words])
    assert code in set(Exit)
    if code:
        lines = said.getvalue().splitlines()
        assert lines, (command, words, code)
        assert "Traceback" not in said.getvalue()
        for line in lines:
            assert line.isprintable(), ascii(line)
