"""Settings of the services: environment variables ``TRANCHE_…`` or flags of the same name (design 3.5).

A flag wins over the environment. A bad setting stops the service with its name, its value and what was
expected.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypedDict, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, CliSettingsSource, NoDecode, SettingsConfigDict, SettingsError

from tranche.contract.given import quoted
from tranche.contract.names import NameKind, is_name, rule

DEFAULT_NATS_URL = "nats://127.0.0.1:4222"

S = TypeVar("S", bound="Settings")


class Credentials(TypedDict):
    """Who we are to the broker, and whom we trust to be it."""

    creds: Path | None
    user: str | None
    password: str | None
    nkey_seed_file: Path | None
    tls_ca: Path | None
    tls_cert: Path | None
    tls_key: Path | None


class BadSetting(Exception):
    """A setting that cannot be used; the message names it and says what was expected."""


class Settings(BaseSettings):
    """What all services understand."""

    model_config = SettingsConfigDict(env_prefix="TRANCHE_", extra="ignore", env_ignore_empty=True)

    nats_url: str = Field(DEFAULT_NATS_URL, description="servers, several by comma")
    nats_creds: Path | None = Field(None, description="credentials file (JWT and seed)")
    nats_user: str | None = Field(None, description="user name")
    nats_password: SecretStr | None = Field(None, description="password; better by environment than by flag")
    nats_nkey_seed_file: Path | None = Field(None, description="file with an nkey seed")
    nats_ca: Path | None = Field(None, description="certificates that the server's must be signed by")
    nats_cert: Path | None = Field(None, description="our own certificate")
    nats_key: Path | None = Field(None, description="key of our own certificate")
    http_port: int = Field(0, ge=0, le=65535, description="serves /healthz, /readyz, /metrics; 0: off")
    http_host: str = Field("127.0.0.1", description="address the HTTP port is opened on")
    log: Literal["json", "console", ""] = Field("", description="json, or console on a terminal")
    replicas: int = Field(1, ge=1, le=5, description="copies of each stream in a cluster")
    setup: Literal["auto", "never"] = Field("auto", description="create missing streams, or only check them")

    @field_validator("nats_creds", "nats_nkey_seed_file", "nats_ca", "nats_cert", "nats_key")
    @classmethod
    def _must_exist(cls, path: Path | None) -> Path | None:
        try:
            there = path is None or path.is_file()
        except OSError:  # a name that no file can have, or a folder we may not look into
            there = False
        if not there:
            raise ValueError("expected a file that can be read, and there is none")
        return path

    @field_validator("nats_url")
    @classmethod
    def _some_server(cls, given: str) -> str:
        if not any(part.strip() for part in given.split(",")):
            raise ValueError(f"expected at least one server, such as {DEFAULT_NATS_URL}")
        return given

    @property
    def servers(self) -> list[str]:
        """The servers to try, in the order given."""
        return [server.strip() for server in self.nats_url.split(",") if server.strip()]

    def credentials(self) -> Credentials:
        """What ``tranche.bus.nats`` wants to know besides the servers."""
        return Credentials(
            creds=self.nats_creds,
            user=self.nats_user,
            password=self.nats_password.get_secret_value() if self.nats_password else None,
            nkey_seed_file=self.nats_nkey_seed_file,
            tls_ca=self.nats_ca,
            tls_cert=self.nats_cert,
            tls_key=self.nats_key,
        )


Listed = Annotated[tuple[str, ...], NoDecode]


class UrlSettings(Settings):
    """Where modules may come from; understood by planner and executor."""

    url_allow: Listed = Field((), description="URL prefixes modules may come from, by comma; empty: any")

    @field_validator("url_allow", mode="before")
    @classmethod
    def _by_comma(cls, given: object) -> object:
        return (
            tuple(part.strip() for part in given.split(",") if part.strip())
            if isinstance(given, str)
            else given
        )


ALL_NAMESPACES = "_all"


class NamespaceSettings(Settings):
    """Which namespaces of a Kubernetes cluster are looked after; understood by planner and executor."""

    kubernetes_namespaces: Listed = Field(
        (), description="namespaces looked after in Kubernetes, by comma, or _all; empty: our own"
    )

    @field_validator("kubernetes_namespaces", mode="before")
    @classmethod
    def _namespaces(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        named = tuple(part.strip() for part in given.split(",") if part.strip())
        for one in named:
            if one != ALL_NAMESPACES and not is_name(NameKind.NAMESPACE, one):
                raise ValueError(f"{quoted(one)}: expected {rule(NameKind.NAMESPACE)}, or {ALL_NAMESPACES}")
        return (ALL_NAMESPACES,) if ALL_NAMESPACES in named else named


def load(kind: type[S], argv: Sequence[str], *, program: str) -> S:
    """Settings from flags and environment; ``--help`` prints and exits.

    Raises BadSetting naming every bad one.
    """
    flags: CliSettingsSource[S] = CliSettingsSource(
        kind, cli_prog_name=program, cli_parse_args=list(argv), cli_kebab_case=True, cli_implicit_flags=True
    )
    try:
        return kind(_cli_settings_source=flags)
    except ValidationError as error:
        raise BadSetting(
            "\n".join(_sentence(kind, fault["loc"], fault) for fault in error.errors())
        ) from None
    except SettingsError as error:
        raise BadSetting(str(error)) from error


def load_or_exit(kind: type[S], *, program: str) -> S:
    """Settings of this process; a bad one ends it with exit code 1 and a sentence on stderr."""
    try:
        return load(kind, sys.argv[1:], program=program)
    except BadSetting as error:
        print(f"{program}: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _sentence(kind: type[Settings], where: tuple[int | str, ...], fault: object) -> str:
    name = "TRANCHE_" + "_".join(str(part) for part in where).upper()
    details = fault if isinstance(fault, dict) else {}
    if details.get("type") == "missing":
        field = kind.model_fields.get(str(where[0]))
        return f"setting {name} is missing: expected {field.description if field else 'a value'}"
    # A password must never be echoed, not even a bad one.
    given = "" if "PASSWORD" in name else f" is '{quoted(str(details.get('input')))[1:-1]}'"
    words = quoted(str(details.get("msg", "")).removeprefix("Value error, "), longest=300)[1:-1]
    return f"setting {name}{given}: {words}".replace('\\"', '"')
