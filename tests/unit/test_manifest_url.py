"""Where modules may come from: sane URLs, and prefixes that cannot be talked around."""

from __future__ import annotations

import pytest

from tranche.contract.module_url import allowed, prefix_problem, url_problem


@pytest.mark.parametrize(
    "url",
    [
        "http://modules.example/cart.jar",
        "https://modules.example:8443/a/b/cart-1.0.jar?X-Sig=a%2F..%2Fb&t=1",
        "HTTPS://Modules.Example/cart.jar",
        "http://127.0.0.1:9000/cart.jar",
        "http://[::1]:9000/cart.jar",
        "http://[2001:db8::7]/cart.jar",
        "http://artifact_store/cart.jar",
        "https://git.example/api/v4/projects/group%2Fproject/cart.jar",
        "https://m.example/a//cart.jar",
        "https://m.example/...cart/..cart.jar",
        "file:///srv/modules/cart.jar",
        "file:/srv/modules/cart.jar",
        "file://localhost/srv/modules/cart.jar",
    ],
)
def test_sane_urls(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "ASCII"),
        ("cart.jar", "http, https or file"),
        ("//modules.example/cart.jar", "http, https or file"),
        ("jar:file:/a.jar!/b", "http, https or file"),
        ("javascript:alert(1)", "http, https or file"),
        ("http:modules.example/cart.jar", "host and port"),
        ("http:///cart.jar", "host and port"),
        ("http://:80/cart.jar", "host and port"),
        ("http://modules.example:/cart.jar", "host and port"),
        ("http://modules.example:0/cart.jar", "host and port"),
        ("http://modules.example:99999/cart.jar", "host and port"),
        ("http://modules.example:80x/cart.jar", "host and port"),
        ("http://[::1/cart.jar", "host and port"),
        ("http://[::1]evil/cart.jar", "host and port"),
        ("http://[zz]/cart.jar", "host and port"),
        ("http://a%2eb/cart.jar", "host and port"),
        ("http://user@modules.example/cart.jar", "user or password"),
        ("http://user:secret@modules.example/cart.jar", "user or password"),
        ("http://modules.example/cart.jar#x", "without '#'"),
        ("http://modules.example\\@evil.test/cart.jar", "ASCII"),
        ("http://modules.example/ca rt.jar", "ASCII"),
        ("http://modules.example/cart.jar\n", "ASCII"),
        ("http://modules.example/\tcart.jar", "ASCII"),
        ("http://модуль.example/cart.jar", "ASCII"),
        ("http://modules.example/{version}.jar", "ASCII"),
        ("http://modules.example/a/../cart.jar", "'..'"),
        ("http://modules.example/a/./cart.jar", "'..'"),
        ("http://modules.example/a/%2e%2e/cart.jar", "'..'"),
        ("http://modules.example/a/.%2E/cart.jar", "'..'"),
        ("http://modules.example/a/%252e%252e/cart.jar", "'..'"),
        ("http://modules.example/a/..%2Fcart.jar", "'..'"),
        ("http://modules.example/a/..%5Ccart.jar", "'..'"),
        ("http://modules.example/a/..;x=1/cart.jar", "'..'"),
        ("http://modules.example/a%00.jar", "'..'"),
        ("http://modules.example/%" + "25" * 10 + "41", "'..'"),
        ("http://modules.example/", "path of a jar"),
        ("file://fileserver/srv/cart.jar", "file:///path/of.jar"),
        ("file:cart.jar", "file:///path/of.jar"),
        ("http://modules.example/" + "a" * 2048, "at most 2048"),
    ],
)
def test_urls_that_are_not(url: str, problem: str) -> None:
    found = url_problem(url)
    assert found is not None
    assert problem in found


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://modules.example/a/cart.jar", "https://modules.example"),
        ("https://modules.example/a/cart.jar", "https://modules.example/"),
        ("https://modules.example/a/cart.jar", "https://modules.example/a"),
        ("https://modules.example/a/cart.jar", "https://modules.example/a/"),
        ("https://modules.example/a/cart.jar", "https://MODULES.example:443/a"),
        ("https://modules.example/a/cart.jar", "https://modules.example/a/cart.jar"),
        ("https://modules.example/a/cart.jar?sig=1", "https://modules.example/a/cart.jar"),
        ("file:///srv/modules/cart.jar", "file:///srv/modules"),
        ("file:/srv/modules/cart.jar", "file:///srv/modules/"),
        ("http://[::1]:90/a/b.jar", "http://[::1]:90/a"),
    ],
)
def test_within_the_prefix(url: str, prefix: str) -> None:
    assert allowed(url, [prefix])


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://modules.example.evil.test/a/cart.jar", "https://modules.example"),
        ("https://modules.example@evil.test/a/cart.jar", "https://modules.example"),
        ("https://modules.example:444/a/cart.jar", "https://modules.example/"),
        ("http://modules.example/a/cart.jar", "https://modules.example/"),
        ("https://modules.example/a-other/cart.jar", "https://modules.example/a"),
        ("https://modules.example/A/cart.jar", "https://modules.example/a/"),
        ("https://modules.example/b/cart.jar", "https://modules.example/a/"),
        ("https://modules.example/a%2Fcart.jar", "https://modules.example/a/"),
        ("https://modules.example/b?/a/cart.jar", "https://modules.example/a/"),
        ("https://modules.example/a/../b/cart.jar", "https://modules.example/a/"),
        ("https://modules.example/a/%2e%2e/b/cart.jar", "https://modules.example/a/"),
        ("https://evil.test/https://modules.example/a.jar", "https://modules.example/"),
        ("https://modules.example./a/cart.jar", "https://modules.example/"),
        ("file:///srv/modules-of-others/cart.jar", "file:///srv/modules"),
        ("file:///etc/passwd", "file:///srv/modules/"),
        ("https://modules.example/a/cart.jar", "modules.example"),
        ("https://modules.example/a/cart.jar", ""),
        ("https://modules.example/a/cart.jar", "https://"),
        ("https://modules.example/a/cart.jar?x=1", "https://modules.example/a/cart.jar?x="),
    ],
)
def test_outside_the_prefix(url: str, prefix: str) -> None:
    assert not allowed(url, [prefix])


def test_no_prefixes_allow_every_sane_url() -> None:
    assert allowed("http://anywhere.example/cart.jar", [])
    assert not allowed("ftp://anywhere.example/cart.jar", [])


def test_many_prefixes_are_not_all_named() -> None:
    found = url_problem("http://evil.test/a.jar", [f"https://m{i}.example/" for i in range(8)])
    assert found is not None
    assert "https://m4.example/ and 3 more" in found


@pytest.mark.parametrize("prefix", ["https://modules.example", "http://m.example:8080/a/", "file:///srv/"])
def test_settings_may_be(prefix: str) -> None:
    assert prefix_problem(prefix) is None


@pytest.mark.parametrize(
    "prefix",
    ["", "modules.example", "https://", "https://m.example/?a=", "https://m.example/../a", "*", "s3://m/"],
)
def test_settings_may_not_be(prefix: str) -> None:
    assert prefix_problem(prefix)
