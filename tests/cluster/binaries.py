"""Where the programs of a Kubernetes control plane are, or what to do to have them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BESIDE = ROOT.parent / "shared" / "tools" / "envtest"
NEEDED = ("etcd", "kube-apiserver", "kubectl")
CONTROLLER_MANAGER = "kube-controller-manager"
HELP = (
    "a Kubernetes control plane is missing: have setup-envtest fetch one,\n"
    "    go run sigs.k8s.io/controller-runtime/tools/setup-envtest@latest use 1.34 -p path\n"
    "and set KUBEBUILDER_ASSETS to the directory it prints: etcd, kube-apiserver and kubectl are there.\n"
    "kube-controller-manager, for the tests that want one, comes from https://dl.k8s.io, beside the others.\n"
    "See docs/how-to/real-cluster.md"
)


@dataclass(frozen=True)
class Binaries:
    """The directory with the programs. Not every one has kube-controller-manager: setup-envtest leaves it out."""

    directory: Path

    @property
    def has_controllers(self) -> bool:
        return (self.directory / CONTROLLER_MANAGER).is_file()

    def __getitem__(self, program: str) -> str:
        return str(self.directory / program)


@dataclass(frozen=True)
class Missing:
    """What is not there. ``fatal``: where somebody says it is there, it must not be passed over."""

    reason: str
    fatal: bool


@cache
def find_binaries() -> Binaries | Missing:
    """The programs on this machine, or how to get them."""
    return look_for(os.environ, BESIDE)


def look_for(environment: Mapping[str, str], beside: Path) -> Binaries | Missing:
    """Where KUBEBUILDER_ASSETS says, the ecosystem's own variable; else as the tool beside the project unpacks
    them."""
    named = environment.get("KUBEBUILDER_ASSETS")
    if named is None:
        named = _unpacked(beside) if beside.is_file() else None
        return Binaries(Path(named)) if named else Missing(HELP, fatal=False)
    missing = [program for program in NEEDED if not (Path(named) / program).is_file()]
    if missing:
        said = f"KUBEBUILDER_ASSETS is {named}, and {', '.join(missing)} cannot be found there;\n{HELP}"
        return Missing(said, fatal=True)
    return Binaries(Path(named))


def _unpacked(tool: Path) -> str | None:
    """What the tool prints; it refuses machines its programs are not for."""
    told = subprocess.run([str(tool)], capture_output=True, text=True, timeout=120, check=False)
    return told.stdout.strip() if told.returncode == 0 else None
