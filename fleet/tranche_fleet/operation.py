"""Changing commands under way on a base, and the records arklet keeps of asynchronous ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tranche_fleet.biz import Biz, milliseconds
from tranche_fleet.catalogue import Artefact
from tranche_fleet.edition import Edition
from tranche_fleet.failures import Failure, throwable
from tranche_fleet.timeline import Command

Document = dict[str, Any]


class Status(StrEnum):
    """Of an asynchronous command. After a conflict it stays INITIALIZED for ever."""

    INITIALIZED = "INITIALIZED"
    EXECUTING = "EXECUTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(slots=True)
class Record:
    """What `queryBizOps` tells of one request id. Times are seconds since the epoch."""

    request_id: str
    command: str
    meta: Document
    started_at: float
    status: Status = Status.INITIALIZED
    thread: str | None = None
    ended_at: float | None = None
    message: str | None = None
    failure: Failure | None = None

    def document(self, edition: Edition) -> Document:
        started = milliseconds(self.started_at)
        ended = None if self.ended_at is None else milliseconds(self.ended_at)
        document: Document = {
            "arkBizMeta": self.meta,
            "elapsedTime": 0 if ended is None else ended - started,
            "endTime": ended,
            "endTimestamp": ended or 0,
            "message": self.message,
            "requestId": self.request_id,
            "startTime": started,
            "startTimestamp": started,
            "status": self.status.value,
            "threadName": self.thread,
            "throwable": None if self.failure is None else throwable(edition, self.command, self.failure),
        }
        return {key: value for key, value in document.items() if value is not None}


@dataclass(eq=False, slots=True)
class Call:
    """A command as its caller sees it: `answer` is None until there is one."""

    command: str
    answer: Document | None = None


@dataclass(eq=False, slots=True)
class Batch:
    """The installations of one `batchInstallBiz`: how many are still out, and what was told by URL."""

    call: Call
    waiting: int
    told: dict[str, Document] = field(default_factory=dict)


class Stage(StrEnum):
    """What a piece of work does until `ends_at`."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    STARTING = "starting"
    STOPPING = "stopping"


@dataclass(eq=False, slots=True)
class Work:
    """One changing command being carried out; either a call waits for it or a record keeps it."""

    command: str
    name: str
    version: str
    body: Document
    begun_at: float
    ends_at: float
    stage: Stage = Stage.QUEUED
    call: Call | None = None
    record: Record | None = None
    entry: Command | None = None
    """Its line in the timeline."""
    batch: Batch | None = None
    artefact: Artefact | None = None
    biz: Biz | None = None
    doom: Failure | None = None
    """How the start will end, where it will fail."""

    @property
    def key(self) -> str:
        """What arklet locks: the name and version of the request."""
        return f"{self.name}:{self.version}"
