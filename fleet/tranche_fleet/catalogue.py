"""Which jar is behind a URL: what its manifest says, how long it takes, how it fails."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tranche_fleet.failures import Failure, failure, start_failure

SLOW_START_S = 8.0
BUILT_TO_FAIL = "this module is built to fail at start"
PROTOCOLS = frozenset({"http", "https", "file", "ftp", "jar"})
JAR = re.compile(r"(?P<name>.+?)-(?P<version>\d.*)\.jar")
PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")

NOT_A_JAR = failure(("java.util.zip.ZipException", "zip END header not found"))
EMPTY_JAR = failure(("java.util.zip.ZipException", "zip file is empty"))
CONNECTION_REFUSED = failure(("java.net.ConnectException", "Connection refused"))


@dataclass(frozen=True, slots=True)
class Artefact:
    """A jar: the manifest's name and version (a request's are only checked for presence) and its behaviour.

    `context_path` is that of the manifest, None without a web server. `start_s` None: as long as the base
    takes for any module. `silent`: the server accepts and says nothing until it hangs up.
    """

    name: str
    version: str
    context_path: str | None = None
    start_s: float | None = None
    download_s: float = 0.0
    failure: Failure | None = None
    silent: bool = False


@dataclass(slots=True)
class Catalogue:
    """The artefacts that exist. What is not listed is told from the URL: `…/cart-2.0.0.jar` is cart:2.0.0.

    Unlisted versions that end in `-broken` fail at start, `-slow` take 8 s; modules named in `no_web` have no
    context path, the others their own name.
    """

    listed: dict[str, Artefact | Failure] = field(default_factory=dict)
    no_web: frozenset[str] = frozenset({"greeter"})
    down: dict[str, Failure] = field(default_factory=dict)
    """Hosts (as in the URL, with port) that fail in this way."""
    silent: set[str] = field(default_factory=set)
    """Hosts (as in the URL, with port) that accept and never answer."""

    def list(self, url: str, artefact: Artefact | Failure) -> None:
        """Say what is behind a URL."""
        self.listed[url] = artefact

    def fetch(self, url: str) -> Artefact | Failure:
        """What a base finds under a URL, or how the download fails."""
        try:
            host = urlsplit(url).netloc
        except ValueError as error:
            return failure(("java.net.MalformedURLException", str(error)))
        # A host that is down serves nothing, whatever is listed under it.
        if host in self.down:
            return self.down[host]
        if host in self.silent:
            return Artefact("", "", silent=True)
        return self.listed[url] if url in self.listed else self._rule(url)

    def _rule(self, url: str) -> Artefact | Failure:
        protocol = PROTOCOL.match(url)
        if protocol is None:
            return failure(("java.net.MalformedURLException", f"no protocol: {url}"))
        if protocol[1].lower() not in PROTOCOLS:
            return failure(("java.net.MalformedURLException", f"unknown protocol: {protocol[1].lower()}"))
        parts = urlsplit(url)
        # RFC 2606: names under .invalid never resolve.
        if (parts.hostname or "").endswith(".invalid"):
            return failure(("java.net.UnknownHostException", parts.hostname))
        path = unquote(parts.path)
        jar = JAR.fullmatch(path.rpartition("/")[2])
        if jar is None:
            missing = f"{path} (No such file or directory)" if parts.scheme == "file" else url
            return failure(("java.io.FileNotFoundException", missing))
        return self._told(jar["name"], jar["version"])

    def _told(self, name: str, version: str) -> Artefact:
        return Artefact(
            name,
            version,
            context_path=None if name in self.no_web else name,
            start_s=SLOW_START_S if version.endswith("-slow") else None,
            failure=start_failure(BUILT_TO_FAIL) if version.endswith("-broken") else None,
        )


def effective_path(artefact: Artefact, args: Iterable[str]) -> str | None:
    """The context path a module takes on the base's web server, after its arguments; None: no web server.

    >>> effective_path(Artefact("cart", "2.0.0", "cart"), ["--server.servlet.context-path=/cart-v2"])
    'cart-v2'
    >>> effective_path(Artefact("cart", "2.0.0", "cart"), ["--spring.main.web-application-type=none"])
    """
    path = artefact.context_path
    for argument in args:
        key, _, value = argument.partition("=")
        if key == "--spring.main.web-application-type" and value.lower() == "none":
            return None
        if key == "--server.servlet.context-path" and path is not None:
            path = value.strip("/")
    return path
