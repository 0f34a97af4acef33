"""Logs carry no control characters and no secrets; the HTTP port tells health, readiness and metrics."""

from __future__ import annotations

import json

import aiohttp
import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter

from tranche.telemetry import clean, configure_logs, http_endpoint


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("https://bob:secret@modules.example/cart.jar", "https://***@modules.example/cart.jar"),
        ("fine\nnext line", "fine�next line"),
        ("bell\x07 escape\x1b[31m", "bell� escape�[31m"),
        ("unchanged ✔ text", "unchanged ✔ text"),
    ],
)
def test_text_is_cleaned(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


def test_a_log_line_is_one_json_document_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", service="planner")

    structlog.get_logger().info("connected\nforged line", url="nats://u:pw@host", nats_password="pw-canary")

    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["event"] == "connected�forged line"
    assert entry["url"] == "nats://***@host"
    assert entry["service"] == "planner"
    assert "canary" not in line
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


async def test_readiness_gives_its_reason_and_metrics_are_scraped(unused_tcp_port: int) -> None:
    registry = CollectorRegistry()
    Counter("tranche_things", "things", registry=registry).inc()
    reasons = ["not connected to NATS"]

    async with (
        http_endpoint("127.0.0.1", unused_tcp_port, registry, lambda: reasons[0]),
        aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as http,
    ):
        async with http.get("/healthz") as health:
            assert health.status == 200
        async with http.get("/readyz") as readiness:
            assert (readiness.status, await readiness.text()) == (503, "not connected to NATS\n")
        reasons[0] = ""
        async with http.get("/readyz") as readiness:
            assert readiness.status == 200
        async with http.get("/metrics") as metrics:
            assert "tranche_things_total 1.0" in await metrics.text()
