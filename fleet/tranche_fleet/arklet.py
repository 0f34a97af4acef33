"""One base's arklet as a pure machine: commands and time go in, answers and a timeline come out.

No IO, no clock, no dice: the HTTP face and a deterministic simulation drive the same machine. It follows the
recorded transcripts (design 5.2): a request id works once for any asynchronous command, the lock is per
name:version and leaks when an asynchronous command is refused, the manifest wins over the request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tranche_fleet.biz import Biz, State, milliseconds
from tranche_fleet.catalogue import CONNECTION_REFUSED, Artefact, Catalogue, effective_path
from tranche_fleet.edition import COMMANDS, Edition
from tranche_fleet.failures import Failure, broken_record, context_path_taken, handler_trace, wrong_state
from tranche_fleet.faults import CHANGES, Faults, Kind
from tranche_fleet.health import indicators, plugins
from tranche_fleet.operation import Batch, Call, Document, Record, Stage, Status, Work
from tranche_fleet.registry import Registry
from tranche_fleet.timeline import GONE, ZOMBIE, Command, Timeline
from tranche_fleet.validation import blank, invalid, is_async, text

ELAPSED_SPACE = 16384
SUCCESS = "SUCCESS"
FAILED = "FAILED"
WORD = {
    "installBiz": "install",
    "uninstallBiz": "uninstall",
    "switchBiz": "switch",
    "batchInstallBiz": "install",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How one base is set up. The flags are those of a JVM (design 5.2)."""

    install_s: float = 0.05
    """What a module takes to start, where its artefact does not say."""
    uninstall_s: float = 0.01
    keep_failed: bool = False
    """`-Dsofa.ark.auto.uninstall.when.failed.enable=false`: a failed start stays, broken."""
    activate_new: bool = False
    """`-Dactivate.new.module=true`: the module installed last is active."""
    activate_multi: bool = False
    """`-Dsofa.ark.activate.multi.biz.version.enable=true`: all versions are active."""
    base_name: str = "base"
    base_version: str = "1.0.0"


@dataclass(frozen=True, slots=True)
class Success:
    data: Document


@dataclass(frozen=True, slots=True)
class Refusal:
    """The command was understood and not done: the inner code says why."""

    code: str
    message: str
    space: bool = False
    """`elapsedSpace` is told."""


Outcome = Success | Refusal | Failure


class Arklet:
    """The state of one arklet from its start to its death; a restart is a new one."""

    def __init__(
        self,
        edition: Edition,
        catalogue: Catalogue,
        settings: Settings,
        *,
        identity: str,
        timeline: Timeline,
        faults: Faults,
        started_at: float,
    ) -> None:
        self.edition = edition
        self.settings = settings
        self.registry = Registry()
        self.timeline = timeline
        self._catalogue = catalogue
        self.identity = identity
        self._faults = faults
        self._started_at = started_at
        self._locks: dict[str, str] = {}
        self._ids: set[str] = set()
        self._records: dict[str, Record] = {}
        self._threads = 0
        self._works: list[Work] = []
        self._losses: list[tuple[float, Biz]] = []
        self._master = Biz(settings.base_name, settings.base_version, "/", None, started_at, State.ACTIVATED)
        self._queries: dict[str, Callable[[Document, float], Document]] = {
            "help": self._help,
            "queryAllBiz": self._query_all,
            "queryBizOps": self._query_ops,
            "health": self._health,
        }
        self._steps: dict[str, Callable[[Work, float], None]] = {
            "installBiz": self._download,
            "batchInstallBiz": self._download,
            "uninstallBiz": self._stop,
            "switchBiz": self._switch,
        }

    # --- driven by whoever has a clock ---

    def handle(self, command: str, body: Document | None, now: float) -> Call:
        """Take a command; its answer is in the call at once, or after a later `advance`."""
        self.advance(now)
        call = Call(command)
        if command not in self.edition.commands:
            call.answer = {"code": "CMD_NOT_FOUND", "message": "please follow the doc"}
        elif (wrong := invalid(self.edition, command, body)) is not None:
            self._note(command, body or {}, now, "invalid")
            call.answer = self._error(wrong.message, wrong.trace)
        elif command in self._queries:
            call.answer = self._queries[command](body or {}, now)
        elif command == "batchInstallBiz":
            self._batch(call, body or {}, now)
        else:
            self._change(call, body or {}, now)
        self.advance(now)
        return call

    def due(self) -> float | None:
        """When something happens by itself next; None: never."""
        times = [work.ends_at for work in self._works] + [at for at, _ in self._losses]
        soonest = min(times, default=math.inf)
        return None if math.isinf(soonest) else soonest

    def advance(self, now: float) -> None:
        """Do everything that is due, each at its own time."""
        while (at := self.due()) is not None and at <= now:
            lost = [loss for loss in self._losses if loss[0] == at]
            if lost:
                self._losses.remove(lost[0])
                self._vanish(lost[0][1], at)
                continue
            work = next(one for one in self._works if one.ends_at == at)
            STEPS[work.stage](self, work, at)

    def hang_up(self, now: float) -> None:
        """The silent artefact hosts close their connections: downloads that hung on them fail."""
        self.advance(now)
        for work in [
            one for one in self._works if one.stage is Stage.DOWNLOADING and math.isinf(one.ends_at)
        ]:
            self._finish(work, CONNECTION_REFUSED, now)

    def die(self, now: float) -> None:
        """The process is gone: with it all modules, ids, records and locks."""
        self.advance(now)
        for work in self._works:
            if work.entry is not None and work.entry.started_at is not None:
                work.entry.ended_at = now
                work.entry.outcome = "the base died"
        for biz in (*self.registry.listed(), *self.registry.zombies()):
            self.timeline.change(now, biz.name, biz.version, GONE)

    @property
    def busy(self) -> bool:
        """Whether a changing command is being carried out."""
        return bool(self._works)

    # --- answers ---

    def _answer(self, code: str, *, data: Any = None, message: str | None = None) -> Document:
        fault = self._faults.peek(Kind.IDENTITY)
        identity = (fault.words if fault else self.identity) if self.edition.shows_identity else None
        whole = {"baseIdentity": identity, "code": code, "data": data, "message": message}
        return {key: value for key, value in whole.items() if value is not None}

    def say_failed(self, message: str) -> Document:
        """HTTP 200 that says no."""
        return self._answer(FAILED, message=message)

    def _error(self, message: str, trace: str) -> Document:
        return {
            "code": "CMD_PROCESS_INTERNAL_ERROR",
            "errorStackTrace": trace,
            "message": f"Internal Error: {message}",
        }

    def _outcome(self, command: str, outcome: Outcome) -> Document:
        match outcome:
            case Success(data):
                return self._answer(SUCCESS, data=data)
            case Refusal(code, message, space):
                told: Document = {"code": code, "message": message}
                if space:
                    told["elapsedSpace"] = ELAPSED_SPACE
                return self._answer(FAILED, data=told, message=f"{WORD[command]} biz not success!")
            case Failure():
                return self._error(outcome.message, handler_trace(self.edition, command, outcome))

    # --- queries ---

    def _help(self, body: Document, now: float) -> Document:
        return self._answer(
            SUCCESS, data=[{"desc": COMMANDS[one], "id": one} for one in self.edition.commands]
        )

    def _query_all(self, body: Document, now: float) -> Document:
        return self._answer(SUCCESS, data=[biz.summary(self.edition) for biz in self.registry.listed()])

    def _query_ops(self, body: Document, now: float) -> Document:
        record = self._records.get(text(body["requestId"]) or "")
        if record is None:
            return self._answer(FAILED, message="Not found the corresponding ops record.")
        return self._answer(SUCCESS, data=record.document(self.edition))

    def _health(self, body: Document, now: float) -> Document:
        kind = text(body.get("type")) or ""
        figures = indicators(self.edition, now - self._started_at)
        data: Document = {}
        if kind in {"", "system"}:
            metrics = body.get("metrics") or list(figures)
            if any(metric not in figures for metric in metrics):
                return self._answer(FAILED, message="indicator not registered")
            data |= {metric: figures[metric] for metric in metrics}
        if kind == "":
            data["masterBizInfo"] = self._master.health(self.edition)
        if kind in {"", "plugin"}:
            data["pluginListInfo"] = plugins(self.edition)
        if kind in {"", "biz"}:
            told = self._health_of(text(body.get("bizName")), text(body.get("bizVersion")))
            if told is None:
                return self._answer(FAILED, message="can not find biz")
            data |= told
        return self._answer(SUCCESS, data={"healthData": data})

    def _health_of(self, name: str | None, version: str | None) -> Document | None:
        everything = [*self.registry.listed(), self._master]
        if not self.edition.health_of_one or not name:
            return {"bizListInfo": [biz.health(self.edition) for biz in everything]}
        found = [biz for biz in everything if biz.name == name and version in (None, "", biz.version)]
        if not found:
            return None
        if version:
            return {"bizInfo": found[0].health(self.edition)}
        return {"bizListInfo": [biz.health(self.edition) for biz in found]}

    # --- changing commands ---

    def _note(self, command: str, body: Document, now: float, outcome: str | None = None) -> Command | None:
        if command not in CHANGES:
            return None
        entry = Command(
            at=now,
            command=command,
            module=text(body.get("bizName")) or "",
            version=text(body.get("bizVersion")) or "",
            request_id=text(body.get("requestId")),
            outcome=outcome,
        )
        self.timeline.commands.append(entry)
        return entry

    def _change(self, call: Call, body: Document, now: float) -> None:
        name, version = self._requested(call.command, body)
        work = Work(call.command, name, version, body, now, now, entry=self._note(call.command, body, now))
        if is_async(body):
            self._submit(work, call, now)
            return
        work.call = call
        if (holder := self._locks.get(work.key)) is not None:
            self._close(work, "conflict")
            call.answer = self._answer(
                FAILED,
                message=f"FAILED:{work.key} {work.command} conflict, "
                f"exist unfinished command({holder}) for this biz",
            )
            return
        self._works.append(work)
        self._begin(work, now)

    def _requested(self, command: str, body: Document) -> tuple[str, str]:
        """The identity a command is about; an installation that names none means that of the jar."""
        name, version = text(body.get("bizName")) or "", text(body.get("bizVersion")) or ""
        if command == "installBiz" and blank(name):
            found = self._catalogue.fetch(text(body.get("bizUrl")) or "")
            if isinstance(found, Artefact):
                return found.name, found.version
        return name, version

    def _submit(self, work: Work, call: Call, now: float) -> None:
        """An asynchronous command: its id is spent whatever becomes of it."""
        request_id = text(work.body["requestId"]) or ""
        if request_id in self._ids:
            self._close(work, "id used")
            call.answer = self._answer(
                FAILED, message=f"The request corresponding to the requestId({request_id}) has been executed."
            )
            return
        self._ids.add(request_id)
        work.record = Record(request_id, work.command, self._meta(work), now)
        if self._faults.take(Kind.FORGET_RECORD, command=work.command, module=work.name) is None:
            self._records[request_id] = work.record
        self._works.append(work)
        slow = self._faults.take(Kind.SLOW_POOL, command=work.command, module=work.name)
        if slow is not None:
            work.ends_at = now + slow.seconds
        else:
            self._begin(work, now)
        # The answer shows the record while its thread already runs: any status may be seen in it.
        call.answer = self._answer(SUCCESS, data=work.record.document(self.edition))

    def _meta(self, work: Work) -> Document:
        body = work.body
        meta: Document = {
            "args": body.get("args"),
            "async": True,
            "bizName": text(body.get("bizName")),
            "bizUrl": text(body.get("bizUrl")),
            "bizVersion": text(body.get("bizVersion")),
            "requestId": text(body.get("requestId")),
        }
        if self.edition.install_strategy and work.command == "installBiz":
            meta["installStrategy"] = text(body.get("installStrategy")) or "installOnly"
        return {key: value for key, value in meta.items() if value is not None}

    def _begin(self, work: Work, at: float) -> None:
        """A thread takes the work up."""
        record = work.record
        if record is not None:
            self._threads += 1
            record.thread = f"ARKLET-ark-biz-ops-0-T{self._threads}"
            if work.key in self._locks:
                record.message = "command conflict, exist unfinished command for this biz"
                record.ended_at = at
                # The refused thread lets go of a lock it never had (design 5.2).
                del self._locks[work.key]
                self._works.remove(work)
                self._close(work, "conflict")
                return
            record.status = Status.EXECUTING
        self._locks[work.key] = work.command
        work.begun_at = at
        if work.entry is not None:
            work.entry.started_at = at
        self._steps[work.command](work, at)

    def _close(self, work: Work, outcome: str, at: float | None = None) -> None:
        if work.entry is not None:
            work.entry.outcome = outcome
            work.entry.ended_at = at

    def _finish(self, work: Work, outcome: Outcome, at: float) -> None:
        self._works.remove(work)
        if work.batch is not None:
            self._close(work, said(outcome), at)
            self._batch_part(work.batch, work, outcome)
            return
        self._locks.pop(work.key, None)
        self._close(work, said(outcome), at)
        if work.call is not None:
            work.call.answer = self._outcome(work.command, outcome)
        record = work.record
        if record is None:
            return
        record.ended_at = at
        record.status = Status.SUCCEEDED if isinstance(outcome, Success) else Status.FAILED
        if isinstance(outcome, Failure):
            record.message, record.failure = outcome.message, outcome
        elif isinstance(outcome, Refusal):
            # The inner code is lost here (design 5.2): why, only the list of modules tells.
            record.message = f"{WORD[work.command]} biz not success!"

    # --- installing ---

    def _download(self, work: Work, at: float) -> None:
        if self.edition.install_strategy and work.body.get("installStrategy") == "uninstallThenInstall":
            # Before the download: a dead URL takes the old versions down too.
            for biz in self.registry.versions(work.name):
                if biz.state is State.RESOLVED:
                    self._finish(work, wrong_state(), at)
                    return
                self._vanish(biz, at)
        fault = self._faults.take(Kind.INSTALL_FAILS, command=work.command, module=work.name)
        if fault is not None and fault.spoils_download:
            self._finish(work, fault.failure, at)
            return
        work.doom = fault.failure if fault is not None else None
        found = self._catalogue.fetch(text(work.body.get("bizUrl")) or "")
        if isinstance(found, Failure):
            self._finish(work, found, at)
            return
        work.artefact = found
        work.stage = Stage.DOWNLOADING
        work.ends_at = math.inf if found.silent else at + found.download_s

    def _unpack(self, work: Work, at: float) -> None:
        """The jar is here: its manifest says what is installed."""
        jar = work.artefact
        if jar is None or self.registry.get(jar.name, jar.version) is not None:
            identity = work.key if jar is None else f"{jar.name}:{jar.version}"
            refusal = Refusal("REPEAT_BIZ", f"Biz: {identity} has been installed or registered.", space=True)
            self._finish(work, refusal, at)
            return
        path = effective_path(jar, work.body.get("args") or ())
        taken = path is not None and self.registry.holds_path(path)
        work.doom = context_path_taken(path or "") if taken else work.doom or jar.failure
        biz = Biz(jar.name, jar.version, jar.context_path or "/", None if taken else path, work.begun_at)
        biz.folder = f"{work.name}-{work.version}"
        work.biz = biz
        self.registry.add(biz)
        self._enter(biz, State.RESOLVED, at, "Created")
        work.stage = Stage.STARTING
        work.ends_at = at + (self.settings.install_s if jar.start_s is None else jar.start_s)

    def _started(self, work: Work, at: float) -> None:
        biz = work.biz
        if biz is None:
            return
        if work.doom is not None:
            self._fail_start(biz, work.doom, at)
            self._finish(work, work.doom, at)
            return
        self._activate(biz, at)
        fault = self._faults.take(Kind.LOSE_MODULE, command=work.command, module=biz.name)
        if fault is not None:
            self._losses.append((at + fault.seconds, biz))
        cost = milliseconds(at) - milliseconds(work.begun_at)
        begun = datetime.fromtimestamp(work.begun_at, UTC)
        clock = f"{begun:%H:%M:%S},{milliseconds(work.begun_at) % 1000:03}"
        data: Document = {
            "bizInfos": [biz.detail(self.edition)],
            "code": SUCCESS,
            "elapsedSpace": ELAPSED_SPACE,
            "message": f"Install Biz: {biz.identity} success, cost: {cost} ms, started at: {clock}",
        }
        self._finish(work, Success(data), at)

    def _fail_start(self, biz: Biz, why: Failure, at: float) -> None:
        biz.path = None
        if self.settings.keep_failed and not biz.zombie:
            self._enter(biz, State.BROKEN, at, "Install Failed", broken_record(why))
        else:
            self._vanish(biz, at)

    def _activate(self, biz: Biz, at: float) -> None:
        """A second version is there but inactive, unless the base was told otherwise."""
        old = self.registry.active(biz.name)
        if biz.zombie:
            biz.enter(State.ACTIVATED, at, "Started")
            self.timeline.change(at, biz.name, biz.version, ZOMBIE)
        elif old is None or self.settings.activate_multi:
            self._enter(biz, State.ACTIVATED, at, "Started")
        elif self.settings.activate_new:
            self._enter(old, State.DEACTIVATED, at, "Switched", f"switch to new biz {biz.identity}")
            self._enter(biz, State.ACTIVATED, at, "Started", f"switch from old biz: {old.identity}")
        else:
            self._enter(biz, State.DEACTIVATED, at, "Started", "start but is deactivated")

    def _enter(self, biz: Biz, state: State, at: float, reason: str, message: str = "") -> None:
        biz.enter(state, at, reason, message)
        self.timeline.change(at, biz.name, biz.version, state.value)

    def _vanish(self, biz: Biz, at: float) -> None:
        """Off the base; a second time: nothing."""
        if self.registry.get(biz.name, biz.version) is biz:
            self.registry.remove(biz)
            self.timeline.change(at, biz.name, biz.version, GONE)

    # --- batches, uninstalling, switching ---

    def _batch(self, call: Call, body: Document, now: float) -> None:
        parts = [part for part in body["bizList"] if isinstance(part, dict)]
        batch = Batch(call, waiting=len(parts))
        if not parts:
            self._batch_done(batch)
        # They start side by side. Recorded is that one which fails holds its context path against the rest.
        parts.sort(key=lambda part: not self._fails(text(part.get("bizUrl")) or ""))
        for part in parts:
            name, version = self._requested("installBiz", part)
            entry = self._note("batchInstallBiz", part, now)
            work = Work("batchInstallBiz", name, version, part, now, now, entry=entry, batch=batch)
            if entry is not None:
                entry.started_at = now
            self._works.append(work)
            self._download(work, now)

    def _fails(self, url: str) -> bool:
        found = self._catalogue.fetch(url)
        return isinstance(found, Failure) or found.failure is not None

    def _batch_part(self, batch: Batch, work: Work, outcome: Outcome) -> None:
        match outcome:
            case Success(data):
                told = {key: value for key, value in data.items() if key != "elapsedSpace"}
            case Refusal(code, message, _):
                told = {"code": code, "message": message}
            case Failure():
                message = outcome.causes[0].message or "null"
                told = {"code": FAILED, "message": f"internal exception: {message}"}
        batch.told[text(work.body.get("bizUrl")) or ""] = told
        batch.waiting -= 1
        if batch.waiting == 0:
            self._batch_done(batch)

    def _batch_done(self, batch: Batch) -> None:
        well = all(one["code"] == SUCCESS for one in batch.told.values())
        data = {
            "bizUrlToResponse": batch.told,
            "code": SUCCESS if well else FAILED,
            "elapsedSpace": ELAPSED_SPACE,
            "message": f"batch install {'success' if well else 'failed'}",
        }
        if well:
            batch.call.answer = self._answer(SUCCESS, data=data)
        else:
            batch.call.answer = self._answer(FAILED, data=data, message="install biz not success!")

    def _stop(self, work: Work, at: float) -> None:
        biz = self.registry.get(work.name, work.version)
        if (work.name, work.version) == (self._master.name, self._master.version):
            self._finish(work, Refusal(FAILED, "Master biz must not be uninstalled."), at)
        elif biz is None:
            self._finish(work, Refusal("NOT_FOUND_BIZ", f"Uninstall biz: {work.key} not found."), at)
        elif biz.state is State.RESOLVED:
            if self.edition.loses_starting_biz:
                self.registry.lose(biz)
                self.timeline.change(at, biz.name, biz.version, ZOMBIE)
            self._finish(work, wrong_state(), at)
        else:
            # Out of service at once, off the list at the end.
            work.biz = biz
            if biz.state is State.ACTIVATED:
                biz.state = State.DEACTIVATED
                self.timeline.change(at, biz.name, biz.version, State.DEACTIVATED.value)
            work.stage = Stage.STOPPING
            work.ends_at = at + self.settings.uninstall_s

    def _stopped(self, work: Work, at: float) -> None:
        if work.biz is not None:
            self._vanish(work.biz, at)
        self._finish(work, Success({"code": SUCCESS, "message": f"Uninstall biz: {work.key} success."}), at)

    def _switch(self, work: Work, at: float) -> None:
        biz = self.registry.get(work.name, work.version)
        if biz is None:
            self._finish(work, Refusal("NOT_FOUND_BIZ", f"Switch biz: {work.key} not found."), at)
            return
        if biz.state not in {State.ACTIVATED, State.DEACTIVATED}:
            message = f"Switch Biz: {work.key}'s state must not be {biz.state.value}."
            self._finish(work, Refusal("ILLEGAL_STATE_BIZ", message), at)
            return
        if biz.state is State.DEACTIVATED:
            old = self.registry.active(biz.name)
            if old is not None:
                self._enter(old, State.DEACTIVATED, at, "Switched", f"switch to new version {biz.identity}")
            message = f"switch from old version: {old.identity}" if old is not None else ""
            self._enter(biz, State.ACTIVATED, at, "Switched", message)
        self._finish(work, Success({"code": SUCCESS, "message": f"Switch biz: {work.key} is activated."}), at)


STEPS: Mapping[Stage, Callable[[Arklet, Work, float], None]] = {
    Stage.QUEUED: Arklet._begin,
    Stage.DOWNLOADING: Arklet._unpack,
    Stage.STARTING: Arklet._started,
    Stage.STOPPING: Arklet._stopped,
}
"""What happens when a stage of a work is over."""


def said(outcome: Outcome) -> str:
    """An outcome in a word or two, for the timeline."""
    match outcome:
        case Success():
            return SUCCESS
        case Refusal(code, _, _):
            return code
        case Failure():
            return str(outcome.root)
