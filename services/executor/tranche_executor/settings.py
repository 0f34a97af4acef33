"""Settings of the executor (design 3.5)."""

from __future__ import annotations

from pydantic import Field, field_validator

from tranche.contract.module_url import prefix_problem
from tranche.settings import Listed, NamespaceSettings, UrlSettings
from tranche_executor.pods.choice import pods_problem
from tranche_executor.pods.heartbeat import SILENCE_S


class ExecutorSettings(UrlSettings, NamespaceSettings):
    """What the executor understands besides what all services do."""

    pods: Listed = Field(
        description="where pods come from: static:FILE, heartbeat:PORT or kubernetes, several by comma"
    )
    heartbeat_host: str = Field(
        "0.0.0.0",  # bases are on other machines
        description="address the port for heartbeats is opened on",
    )
    heartbeat_silence: float = Field(
        SILENCE_S,
        gt=0,
        le=86_400,
        description="seconds after which a base that neither sends heartbeats nor answers is gone",
    )
    arklet_port: int = Field(
        1238, ge=1, le=65535, description="arklet's port on pods in Kubernetes that name no other"
    )
    executor_parallel: int = Field(64, ge=1, le=10_000, description="pods worked on at once")
    install_timeout: float = Field(
        120, gt=0, le=86_400, description="seconds after which an operation that still runs is stuck"
    )
    observe_interval: float = Field(30, gt=0, le=86_400, description="seconds between two looks at a base")

    @field_validator("pods", mode="before")
    @classmethod
    def _sources(cls, given: object) -> object:
        named = given.split(",") if isinstance(given, str) else given
        if not isinstance(named, list | tuple):
            return named
        named = tuple(str(part).strip() for part in named if str(part).strip())
        if problem := pods_problem(named):
            raise ValueError(problem)
        return named

    @field_validator("url_allow")
    @classmethod
    def _prefixes(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        for prefix in prefixes:
            if problem := prefix_problem(prefix):
                raise ValueError(f"{prefix!r}: expected {problem}")
        return prefixes
