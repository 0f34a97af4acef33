"""One module on a base ("ark biz"): its states and how arklet writes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tranche_fleet.edition import Edition

WORK_DIR = "/tmp/sofa-ark"
MAIN_CLASS = "demo.biz.BizApp"


class State(StrEnum):
    """Where a biz is in its life. A failed start is broken only on bases that keep such."""

    RESOLVED = "resolved"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class StateRecord:
    """One change of state, at so many milliseconds since the epoch."""

    state: State
    at_ms: int
    reason: str
    message: str = ""


@dataclass(slots=True)
class Biz:
    """A biz and what happened to it. `path` is the context path it holds on the base's web server, if any."""

    name: str
    version: str
    manifest_path: str
    path: str | None
    created_at: float
    state: State = State.RESOLVED
    records: list[StateRecord] = field(default_factory=list)
    folder: str = ""
    """How its work folder begins: the name and version that were asked for, whatever the jar says."""
    zombie: bool = False
    """Dropped from the list while starting (2.1.3): it runs, holds its path and cannot be removed."""

    @property
    def identity(self) -> str:
        return f"{self.name}:{self.version}"

    def enter(self, state: State, at: float, reason: str, message: str = "") -> None:
        """Change the state at so many seconds since the epoch."""
        self.state = state
        self.records.append(StateRecord(state, milliseconds(at), reason, message))

    def summary(self, edition: Edition) -> dict[str, Any]:
        """As in `queryAllBiz`."""
        return {
            "bizName": self.name,
            "bizState": spelled(self.state, edition),
            "bizStateRecords": [_record(record, edition) for record in self.records],
            "bizVersion": self.version,
            "mainClass": MAIN_CLASS,
            "webContextPath": self.manifest_path,
        }

    def health(self, edition: Edition) -> dict[str, Any]:
        """As in `health`."""
        keys = ("bizName", "bizState", "bizVersion", "webContextPath")
        summary = self.summary(edition)
        return {key: summary[key] for key in keys}

    def detail(self, edition: Edition) -> dict[str, Any]:
        """As in the answer to an installation."""
        moment = datetime.fromtimestamp(self.created_at, UTC)
        stamp = f"{moment:%Y%m%d%H%M%S}{milliseconds(self.created_at) % 1000:03}"
        folder = f"{self.folder or f'{self.name}-{self.version}'}-{stamp}-unpack"
        return {
            "attributes": {},
            **{key: [] for key in EMPTY_LISTS},
            "declaredMode": True,
            "priority": 100,
            "bizTempWorkDir": f"{WORK_DIR}/{folder}",
            "bizUrl": f"file:{WORK_DIR}/{folder}/",
            "classPath": [f"file:{WORK_DIR}/{folder}/", f"file:{WORK_DIR}/{folder}/lib"],
            "identity": self.identity,
            **self.summary(edition),
        }


EMPTY_LISTS = (
    "denyImportClasses",
    "denyImportPackageNodes",
    "denyImportPackageStems",
    "denyImportPackages",
    "denyImportResources",
    "denyPrefixImportResourceStems",
    "denySuffixImportResourceStems",
    "injectExportPackages",
    "injectPluginDependencies",
)


def milliseconds(at: float) -> int:
    """Seconds since the epoch as Java's milliseconds."""
    return round(at * 1000)


def spelled(state: State, edition: Edition) -> str:
    """A state in the letter case of the release."""
    return state.value.upper() if edition.upper_case_states else state.value


def _record(record: StateRecord, edition: Edition) -> dict[str, Any]:
    if not edition.state_records:
        return {}
    return {
        "changeTime": record.at_ms,
        "message": record.message,
        "reason": record.reason,
        "state": spelled(record.state, edition),
    }
