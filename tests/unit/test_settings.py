"""Settings come from environment and flags; a bad one names itself, its value and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tranche.settings import BadSetting, Settings, UrlSettings, load


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NATS_URL", "REPLICAS", "URL_ALLOW", "HTTP_PORT", "NATS_PASSWORD", "SETUP", "NATS_CA"):
        monkeypatch.delenv(f"TRANCHE_{name}", raising=False)


def test_defaults_are_those_of_the_contract() -> None:
    settings = load(Settings, [], program="tranche-planner")

    assert settings.servers == ["nats://127.0.0.1:4222"]
    assert (settings.http_port, settings.replicas, settings.setup) == (0, 1, "auto")


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANCHE_NATS_URL", "nats://a:4222, nats://b:4222")
    assert load(Settings, [], program="p").servers == ["nats://a:4222", "nats://b:4222"]

    assert load(Settings, ["--nats-url", "nats://c:4222"], program="p").servers == ["nats://c:4222"]


def test_url_prefixes_are_listed_by_comma(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANCHE_URL_ALLOW", "https://modules.example/, file:///srv/modules/")

    settings = load(UrlSettings, [], program="p")

    assert settings.url_allow == ("https://modules.example/", "file:///srv/modules/")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRANCHE_HTTP_PORT", "http", "valid integer"),
        ("TRANCHE_HTTP_PORT", "70000", "less than or equal to 65535"),
        ("TRANCHE_REPLICAS", "0", "greater than or equal to 1"),
        ("TRANCHE_SETUP", "maybe", "'auto' or 'never'"),
        ("TRANCHE_LOG", "xml", "'json'"),
        ("TRANCHE_NATS_CA", "/no/such/file.pem", "a file that can be read"),
    ],
)
def test_a_bad_setting_says_which_and_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSetting) as refused:
        load(Settings, [], program="tranche-planner")

    assert name in str(refused.value)
    assert value in str(refused.value)
    assert expected in str(refused.value)


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRANCHE_NATS_PASSWORD", "canary-4711")

    assert "canary-4711" not in repr(load(Settings, [], program="p"))
