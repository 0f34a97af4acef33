"""Where Java 17, the Koupleless base and the modules are, or what to do to have them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "tests" / "real" / "koupleless-src" / "target" / "assets"
BASE = "base.jar"
MODULES = (
    "cart-1.0.0.jar",
    "cart-2.0.0.jar",
    "cart-3.0.0-broken.jar",
    "cart-4.0.0-slow.jar",
    "orders-1.0.0.jar",
    "greeter-1.0.0.jar",
    "greeter-2.0.0.jar",
)
ASSETS_HELP = (
    "the Koupleless base and its modules are missing: build them with\n"
    "    mvn -q clean package -f tests/real/koupleless-src\n"
    "(a minute; Maven fetches public artefacts), or set TRANCHE_KOUPLELESS_ASSETS to a directory that has\n"
    "base.jar and cart-1.0.0.jar. See docs/how-to/real-bases.md"
)
JAVA_HELP = (
    "Java 17 is missing: apt-get install openjdk-17-jre-headless (Debian 12, Ubuntu), dnf install\n"
    "java-17-openjdk-headless (Fedora), brew install openjdk@17 (macOS), or set TRANCHE_JAVA to its java.\n"
    "See docs/how-to/real-bases.md"
)


@dataclass(frozen=True)
class Assets:
    """A java of version 17, and the directory with the base and the modules."""

    java: str
    directory: Path

    @property
    def base(self) -> Path:
        return self.directory / BASE

    def file_url(self, jar: str) -> str:
        """The jar as the bases can read it from disk."""
        return (self.directory / jar).as_uri()


@dataclass(frozen=True)
class Missing:
    """What is not there. ``fatal``: a machine that ought to have it (CI=true) must not pass without."""

    reason: str
    fatal: bool


@cache
def find_assets() -> Assets | Missing:
    """All parts on this machine, or the first that is missing, with the way to get it."""
    return look_for(os.environ, javas(os.environ))


def look_for(environment: Mapping[str, str], javas: Iterable[str]) -> Assets | Missing:
    """The jars where the environment names them, else beside the project, else where Maven leaves them."""
    named = environment.get("TRANCHE_KOUPLELESS_ASSETS")
    places = [Path(named)] if named else [ROOT.parent / "shared" / "assets" / "koupleless", BUILT]
    jars = next(filter(_complete, places), None)
    if jars is None:
        return Missing(ASSETS_HELP, fatal=False)
    java = next(filter(_is_java_17, javas), None)
    if java is None:
        return Missing(JAVA_HELP, fatal=environment.get("CI") == "true")
    return Assets(java, jars.resolve())


def javas(environment: Mapping[str, str]) -> list[str]:
    """Where a java may be, the one that was named first."""
    home = environment.get("JAVA_HOME")
    places = (
        environment.get("TRANCHE_JAVA"),
        f"{home}/bin/java" if home else None,
        shutil.which("java"),
        *sorted(str(path) for path in Path("/usr/lib/jvm").glob("*17*/bin/java")),
    )
    return [place for place in places if place]


def _complete(directory: Path) -> bool:
    return all((directory / jar).is_file() for jar in (BASE, *MODULES))


def _is_java_17(java: str) -> bool:
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return 'version "17' in told.stderr
