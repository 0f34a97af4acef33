"""A small HTTP server of jars that counts who fetched what."""

from __future__ import annotations

import functools
import http.server
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class JarServer:
    """Serves a directory on loopback. ``fetched`` counts GETs by file name."""

    def __init__(self, directory: Path) -> None:
        self.fetched: Counter[str] = Counter()
        handler = functools.partial(_Handler, directory=str(directory), fetched=self.fetched)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def root(self) -> str:
        """The prefix of all its URLs, with the slash."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def url(self, jar: str) -> str:
        return self.root + jar

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, fetched: Counter[str], directory: str) -> None:
        self._fetched = fetched
        super().__init__(*args, directory=directory)

    def do_GET(self) -> None:
        self._fetched[self.path.rpartition("/")[2]] += 1
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet: the counter is the log."""
