"""Where modules may come from: which URLs are sane, and which the operator allows (design 3.5).

The planner checks before it accepts, the executor again before it sends. Prefixes are compared part by part
(scheme, host, port, path), never as text, so ``https://modules.example`` does not allow
``https://modules.example.evil.test``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

LONGEST = 2048
SCHEMES = ("http", "https", "file")
_NAMED = 5
_DEFAULT_PORTS = {"http": 80, "https": 443, "file": 0}
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%#]+")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class _Place:
    scheme: str
    host: str
    port: int
    path: str


def url_problem(url: str, allow: Sequence[str] = ()) -> str | None:
    """What was expected of the URL, or None where it is fine. No ``allow``: any http, https or file URL.

    >>> url_problem("https://modules.example/cart-2.0.0.jar", ["https://modules.example/"])
    >>> url_problem("ftp://modules.example/cart.jar")
    'an http, https or file URL'
    """
    place = _place(url)
    if isinstance(place, str):
        return place
    if not place.path.strip("/"):
        return "a URL with the path of a jar"
    if allow and not any(_within(place, prefix) for prefix in allow):
        others = f" and {len(allow) - _NAMED} more" if len(allow) > _NAMED else ""
        return f"a URL within {', '.join(allow[:_NAMED])}{others} (TRANCHE_URL_ALLOW)"
    return None


def allowed(url: str, prefixes: Sequence[str]) -> bool:
    """Whether a module may be installed from this URL. No prefixes: from any that is sane.

    >>> allowed("https://modules.example.evil.test/a.jar", ["https://modules.example"])
    False
    >>> allowed("https://modules.example/a/%2e%2e/b.jar", ["https://modules.example/a"])
    False
    """
    return url_problem(url, prefixes) is None


def prefix_problem(prefix: str) -> str | None:
    """What was expected of an entry of TRANCHE_URL_ALLOW, or None where it is fine.

    >>> prefix_problem("modules.example/")
    'an http, https or file URL'
    """
    place = _place(prefix)
    if isinstance(place, str):
        return place
    return "a prefix without '?'" if "?" in prefix else None


def _within(place: _Place, prefix: str) -> bool:
    outer = _place(prefix)
    if isinstance(outer, str) or "?" in prefix:
        return False
    if (place.scheme, place.host, place.port) != (outer.scheme, outer.host, outer.port):
        return False
    # A prefix ends where a path part ends: /jars allows /jars/a, not /jars-of-others/a.
    return place.path == outer.path or place.path.startswith(outer.path.rstrip("/") + "/")


def _place(url: str) -> _Place | str:
    """The parts that are compared, or what was expected."""
    if len(url) > LONGEST:
        return f"a URL of at most {LONGEST} characters"
    if not _CHARACTERS.fullmatch(url):
        return "a URL of ASCII characters, anything else as %XX"
    if "#" in url:
        return "a URL without '#'"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "a URL with a valid host and port"
    if parts.scheme not in SCHEMES:
        return "an http, https or file URL"
    if "@" in parts.netloc:
        return "a URL without a user or password before the host"
    if port == 0 or parts.netloc.endswith(":") or not _host_fits(parts):
        return "file:///path/of.jar" if parts.scheme == "file" else "a URL with a valid host and port"
    if _climbs(parts.path):
        return "a URL without '.' or '..' in its path"
    host = "" if parts.scheme == "file" else (parts.hostname or "")
    return _Place(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], parts.path)


def _host_fits(parts: SplitResult) -> bool:
    if parts.scheme == "file":
        return parts.netloc in ("", "localhost") and parts.path.startswith("/")
    if bracketed := _BRACKETED.fullmatch(parts.netloc):
        return _is_ipv6(bracketed[1])
    return _HOST.fullmatch(parts.hostname or "") is not None


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _climbs(path: str) -> bool:
    """Whether some server may read a step upwards out of the path.

    Looks through repeated percent-encoding, backslashes and path parameters (``/..;x/``), because what the
    base's server makes of them is not ours to know.
    """
    for _ in range(4):
        steps = (step.partition(";")[0] for step in re.split(r"[/\\]", path))
        if any(step.strip() in (".", "..") for step in steps) or not path.isprintable():
            return True
        decoded = unquote(path, errors="replace")
        if decoded == path:
            return False
        path = decoded
    return True
