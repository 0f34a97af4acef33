"""One pytest session per core: what each test passes through, then its tests again for each mutant, in a fork.

A mutant within a function is put into the function that is already imported: its code object is replaced. What acts
when a module is imported (defaults, tables, constants) is left to ``fresh``.
"""

from __future__ import annotations

import gc
import os
import time
import types
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.judging import Judged, Trial, allow, judge
from tests.mutation.mutants import Mutant, compiled

EXAMPLES = 40
"""Of each property, the same ones for every mutant."""
LONGEST_S = 60
"""Of the processor, for one test before any mutant. One that takes longer ends the session; the log names it."""
ARGUMENTS = [
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:cov",
    "--capture=sys",
    "--tb=no",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
]


def calm() -> None:
    """Properties try few examples, always the same, and do not shrink what they find."""
    hypothesis.settings.register_profile(
        "mutation",
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


def few_examples(items: Iterable[pytest.Item]) -> None:
    """Also where a test asks for more."""
    for item in items:
        function = getattr(item, "function", None)
        asked = getattr(function, "_hypothesis_internal_use_settings", None)
        if asked is not None and asked.max_examples > EXAMPLES:
            calmer = hypothesis.settings(asked, max_examples=EXAMPLES)
            function._hypothesis_internal_use_settings = calmer  # type: ignore[union-attr]


def failed(item: pytest.Item) -> bool:
    """Run a test once more, alone."""
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


@dataclass
class Sitting:
    """The plugin. ``paths``: the files of the modules; ``judged``: what became of a mutant; ``later``: the mutants
    for ``fresh``, with the tests that may notice them, likely ones first."""

    paths: Mapping[str, Path]
    mutants: Sequence[Mutant]
    jobs: int
    told: Callable[[Mutant, Judged], None]
    failing: list[str] = field(default_factory=list)
    later: list[tuple[Mutant, list[str]]] = field(default_factory=list)
    _items: list[pytest.Item] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)
    _through: dict[str, dict[int, set[int]]] = field(default_factory=dict)
    _kills: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            return False
        self._items = list(session.items)
        few_examples(self._items)
        self._measure()
        live = functions(set(map(str, self.paths.values())))
        _forget_answers()
        gc.collect()
        gc.freeze()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._control()
            judge(self._trials(live), self.jobs, self._judged)
        return True

    def _measure(self) -> None:
        """Every test once without a mutant: how long it takes, and which lines it passes through."""
        os.environ["COVERAGE_CORE"] = "ctrace"
        files = list(map(str, self.paths.values()))
        watch = coverage.Coverage(data_file=None, config_file=False, include=files, messages=False)
        watch.start()
        for number, item in enumerate(self._items):
            watch.switch_context(str(number))
            os.write(2, f"{item.nodeid} ".encode())
            allow(LONGEST_S)
            before = time.process_time()
            if failed(item):
                self.failing.append(item.nodeid)
            self._seconds.append(time.process_time() - before)
            os.write(2, f"{self._seconds[-1]:.3f} s\n".encode())
        allow(0)
        watch.stop()
        for module, path in self.paths.items():
            lines = watch.get_data().contexts_by_lineno(str(path))
            self._through[module] = {at: {int(one) for one in names if one} for at, names in lines.items()}

    def _control(self) -> None:
        """Every test once more in a fork: a test that fails there tells nothing of mutants, and is left out."""

        def again() -> str:
            bad = []
            for number, item in enumerate(self._items):
                allow(10 + 10 * self._seconds[number])
                if failed(item):
                    bad.append(str(number))
            return " ".join(bad)

        def told(_: None, judged: Judged) -> None:
            if judged.verdict == "timeout" or judged.by.startswith("("):
                raise RuntimeError(f"the tests did not come to an end in a fork: {judged}")
            bad.update(map(int, judged.by.split()))

        bad: set[int] = set()
        judge([(None, again)], 1, told)
        self.failing += [self._items[one].nodeid for one in sorted(bad)]
        known = {one for one, item in enumerate(self._items) if item.nodeid in set(self.failing)}
        for lines in self._through.values():
            for tests in lines.values():
                tests -= known

    def _trials(
        self, live: Mapping[tuple[str, str, int], list[types.FunctionType]]
    ) -> Iterator[tuple[Mutant, Trial]]:
        for mutant in self.mutants:
            path = str(self.paths[mutant.module])
            if mutant.function is None:
                self.later.append((mutant, self._names(self._around(mutant.module))))
                continue
            tests = self._tests(mutant)
            if not tests:
                self.told(mutant, Judged("survived", "(no test passes here)"))
                continue
            code = code_of(compiled(mutant, path), *mutant.function)
            swapped = live.get((path, *mutant.function), [])
            if not swapped or any(one.__code__.co_freevars != code.co_freevars for one in swapped):
                self.later.append((mutant, self._names(tests)))
                continue
            yield mutant, self._trial(swapped, code, tests)

    def _trial(self, swapped: list[types.FunctionType], code: types.CodeType, tests: list[int]) -> Trial:
        def trial() -> str:
            for one in swapped:
                one.__code__ = code
            for number in tests:
                allow(2 + 8 * self._seconds[number])
                if failed(self._items[number]):
                    return str(number)
            return ""

        return trial

    def _judged(self, mutant: Mutant, judged: Judged) -> None:
        if judged.by.isdigit():
            for where in (mutant.module, mutant.module + mutant.place):
                self._kills[where][int(judged.by)] += 1
            judged = Judged(judged.verdict, self._items[int(judged.by)].nodeid)
        self.told(mutant, judged)

    def _tests(self, mutant: Mutant) -> list[int]:
        """The tests that pass through the mutant: those that noticed its neighbours first, then the fastest."""
        lines = self._through[mutant.module]
        found = set().union(*(lines.get(line, set()) for line in mutant.lines))
        near, around = self._kills[mutant.module + mutant.place], self._kills[mutant.module]
        return sorted(found, key=lambda one: (-near.get(one, 0), -around.get(one, 0), self._seconds[one]))

    def _around(self, module: str) -> list[int]:
        """All tests: first those that pass through the module itself."""
        here = set().union(*self._through[module].values())
        rest = {one for lines in self._through.values() for tests in lines.values() for one in tests} - here
        return [*sorted(here, key=self._seconds.__getitem__), *sorted(rest, key=self._seconds.__getitem__)]

    def _names(self, tests: Sequence[int]) -> list[str]:
        return [self._items[one].nodeid for one in tests]

    def seconds(self) -> dict[str, float]:
        """How long each test took."""
        return {item.nodeid: took for item, took in zip(self._items, self._seconds, strict=True)}


def functions(files: set[str]) -> dict[tuple[str, str, int], list[types.FunctionType]]:
    """The live functions of these files by file, qualified name and first line."""
    found: dict[tuple[str, str, int], list[types.FunctionType]] = defaultdict(list)
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType) and one.__code__.co_filename in files:
            code = one.__code__
            found[code.co_filename, code.co_qualname, code.co_firstlineno].append(one)
    return found


def code_of(module: types.CodeType, name: str, line: int) -> types.CodeType:
    """The code object of a function within its module's."""
    todo: list[types.CodeType] = [module]
    while todo:
        code = todo.pop()
        if (code.co_qualname, code.co_firstlineno) == (name, line):
            return code
        todo += [one for one in code.co_consts if isinstance(one, types.CodeType)]
    raise LookupError(f"no {name} at line {line} of {module.co_filename}")


def _forget_answers() -> None:
    """Caches hold what the code said before it was changed."""
    for one in gc.get_objects():
        if type(one).__name__ == "_lru_cache_wrapper" and one.__module__.startswith(("tranche", "tests")):
            one.cache_clear()


def sit(files: Sequence[str], marks: str, sitting: Any, temporary: Path) -> int:
    """A pytest session over these files; what its tests write goes into ``temporary``, by process."""
    calm()
    place = f"--basetemp={temporary / str(os.getpid())}"
    temporary.mkdir(parents=True, exist_ok=True)
    return int(pytest.main([*ARGUMENTS, place, "-m", marks, *files], plugins=[sitting]))
