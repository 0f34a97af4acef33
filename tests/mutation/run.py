"""A run over one core: its mutants, the session that judges them, and the forks for those at import."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from tests.mutation import cores, fresh
from tests.mutation.judging import Judged, judge
from tests.mutation.mutants import Mutant, compiled, mutants
from tests.mutation.results import KEPT, Key, Result, load, reasons, result, save
from tests.mutation.sitting import Sitting, sit

Told = Callable[[Mutant, Judged], None]


class Broken(Exception):
    """The run says nothing of the mutants: tests fail without any, or the session ended early."""


def run(
    core: str, wanted: Collection[str], jobs: int, *, again: bool
) -> tuple[dict[str, list[Result]], list[str]]:
    """Judge all mutants of the modules; with ``again`` only those that were not noticed the last time.

    Returns the results by module, and the tests left out because they fail without a mutant. Raises Broken.
    """
    paths = {module: path for module, path in cores.modules(core).items() if module in wanted}
    sources = {module: path.read_text("utf8") for module, path in paths.items()}
    all_ = [one for module, source in sources.items() for one in mutants(module, source)]
    journal = KEPT / f"{core}.jsonl"
    noticed = _noticed(core, journal) if again else {}
    KEPT.mkdir(exist_ok=True)
    journal.write_text("".join(_entry(key, judged) for key, judged in noticed.items()), "utf8")
    todo = [one for one in all_ if one.key not in noticed]
    progress = _Progress(core, len(todo))

    def told(mutant: Mutant, judged: Judged) -> None:
        with journal.open("a", encoding="utf8") as lines:
            lines.write(_entry(mutant.key, judged))
        progress.step()

    later, failing, seconds = _in_session(core, paths, todo, jobs, told, progress)
    progress.done = len(todo) - len(later)
    by_id = {one.id: one for one in todo}
    live = {one: by_id[one] for one in later}
    _afresh(core, paths, sources, live, later, seconds, jobs, told)
    progress.end()
    shutil.rmtree(_temporary(core), ignore_errors=True)
    ended = _judged(journal)
    verdicts = {one.id: ended[one.key] for one in all_ if one.key in ended}
    if missing := [one.id for one in all_ if one.id not in verdicts]:
        raise Broken(f"{len(missing)} mutants were not judged: {', '.join(missing[:5])}")
    known = reasons()
    results = {
        module: [result(one, *_words(verdicts[one.id]), known) for one in all_ if one.module == module]
        for module in paths
    }
    save(core, load(core) | results)
    return results, failing


def _temporary(core: str) -> Path:
    """Of its own: pytest tidies up the usual place, which takes long where others have left much there."""
    return KEPT / f"tmp-{core}"


def _words(judged: Judged) -> tuple[str, str]:
    return judged.verdict, judged.by


def _entry(key: Key, judged: Judged) -> str:
    return json.dumps([*key, judged.verdict, judged.by]) + "\n"


def _judged(journal: Path) -> dict[Key, Judged]:
    """What the journal of a run holds, also of one that was cut short."""
    if not journal.exists():
        return {}
    lines = [json.loads(one) for one in journal.read_text("utf8").splitlines()]
    return {
        (module, place, before, after, nth): Judged(*rest)
        for module, place, before, after, nth, *rest in lines
    }


def _noticed(core: str, journal: Path) -> dict[Key, Judged]:
    last = {one.key: Judged(one.verdict, one.by) for each in load(core).values() for one in each}  # type: ignore[arg-type]
    return {key: one for key, one in (last | _judged(journal)).items() if one.verdict != "survived"}


def _in_session(
    core: str, paths: Mapping[str, Path], todo: list[Mutant], jobs: int, told: Told, progress: _Progress
) -> tuple[dict[str, list[str]], list[str], dict[str, float]]:
    """Fork a pytest session, which forks again for each mutant.

    Returns the mutants that are left to be imported anew, with the tests that may notice them; the tests that fail
    without a mutant; and how many seconds each test takes.
    """
    log, found = KEPT / f"{core}.log", KEPT / f"{core}.session.json"
    found.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            _session(core, paths, todo, jobs, told, progress, log, found)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.waitpid(pid, 0)
    if not found.exists():
        raise Broken(f"the session of {core} did not come to an end; {log.relative_to(cores.ROOT)} says why")
    given = json.loads(found.read_text("utf8"))
    found.unlink()
    return given["later"], given["failing"], given["seconds"]


def _session(
    core: str,
    paths: Mapping[str, Path],
    todo: list[Mutant],
    jobs: int,
    told: Told,
    progress: _Progress,
    log: Path,
    found: Path,
) -> None:
    progress.out = os.fdopen(os.dup(2), "w")
    handle = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sitting = Sitting(paths, todo, jobs, told)
    if sit(cores.test_files(core), cores.WITHOUT, sitting, _temporary(core)) not in (0, 1):
        return
    found.write_text(
        json.dumps(
            {
                "later": {mutant.id: tests for mutant, tests in sitting.later},
                "failing": sitting.failing,
                "seconds": sitting.seconds(),
            }
        ),
        "utf8",
    )


def _afresh(
    core: str,
    paths: Mapping[str, Path],
    sources: Mapping[str, str],
    mutants_: Mapping[str, Mutant],
    later: Mapping[str, list[str]],
    seconds: Mapping[str, float],
    jobs: int,
    told: Told,
) -> None:
    def at(module: str, code: Any, tests: list[str]) -> Any:
        name, path = cores.imported_as(core, module), str(paths[module])
        return fresh.trial(name, path, code, tests, seconds, _temporary(core))

    if not later:
        return
    some = next(iter(later))
    module = mutants_[some].module
    plain = compile(sources[module], str(paths[module]), "exec")
    judge([("control", at(module, plain, later[some]))], 1, _survives)
    judge(
        (
            (one, at(one.module, compiled(one, str(paths[one.module])), later[id_]))
            for id_, one in mutants_.items()
        ),
        jobs,
        told,
    )


def _survives(_: object, judged: Judged) -> None:
    if judged.verdict != "survived":
        raise Broken(f"tests fail when the unchanged module is imported anew: {judged.by}")


class _Progress:
    """A line that counts, where somebody looks."""

    def __init__(self, core: str, count: int) -> None:
        self.core, self.count, self.done, self.started = core, count, 0, time.monotonic()
        self.out: Any = sys.stderr

    def step(self) -> None:
        self.done += 1
        if self.done % 100 == 0 or self.done == self.count:
            took = time.monotonic() - self.started
            end = "\r" if self.out.isatty() else "\n"
            print(
                f"{self.core}: {self.done} of {self.count} mutants, {took:.0f} s",
                end=end,
                file=self.out,
                flush=True,
            )

    def end(self) -> None:
        if self.out.isatty():
            print(file=self.out)
