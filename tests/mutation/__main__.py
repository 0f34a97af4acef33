"""``python -m tests.mutation``: whether the tests notice it when a core decides otherwise."""

from __future__ import annotations

import argparse
import os
import sys

from tests.mutation import cores, fresh
from tests.mutation.results import BAR, Result, Row, load, reasons, row, table


def main() -> int:
    """The exit code: 0 where every module is at the bar, 1 where one is below, 2 where the run tells nothing."""
    given = _arguments()
    chosen = given.core or list(cores.CORES)
    modules = _modules(chosen, given.module)
    if given.show:
        return _show(given.show)
    if given.survivors:
        return _survivors(modules)
    os.nice(given.nice)
    from tests.mutation.run import Broken, run

    fresh.prepare()
    rows: list[Row] = []
    left_out: list[str] = []
    known: set[object] = set()
    for core, wanted in modules.items():
        try:
            results, failing = run(core, wanted, given.jobs, again=given.again)
        except Broken as broken:
            print(f"make mutate: {broken}", file=sys.stderr)
            return 2
        rows += [row(module, each) for module, each in results.items()]
        left_out += failing
        known |= {one.key for each in results.values() for one in each if one.reason}
    print(table(rows))
    wrong = [key for key in reasons() if key[0] in {one.module for one in rows} and key not in known]
    for key in wrong:
        print(f"equivalent.toml names what is not there, or is noticed: {key}")
    for name in left_out:
        print(f"left out, for it fails without a mutant: {name}")
    below = [one.module for one in rows if not one.passes]
    if below:
        print(f"below {BAR:.0f} %: {', '.join(below)}; make mutate SURVIVORS=1 lists what no test noticed")
    return 1 if below or wrong or left_out else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "--core", action="append", choices=list(cores.CORES), help="only this core; repeatable"
    )
    parser.add_argument(
        "--module", action="append", default=[], help="only this module, as executor.fence; repeatable"
    )
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    parser.add_argument("--nice", type=int, default=10, help="how far behind other work")
    parser.add_argument(
        "--again", action="store_true", help="only what was not noticed in the last run, or is new"
    )
    parser.add_argument("--survivors", action="store_true", help="list what the last run left; runs nothing")
    parser.add_argument("--show", metavar="ID", help="one mutant of the last run, and who noticed it")
    return parser.parse_args()


def _modules(chosen: list[str], names: list[str]) -> dict[str, list[str]]:
    """The modules to look at by core. Ends the process where a name is unknown."""
    there = {core: list(cores.modules(core)) for core in cores.CORES}
    if not names:
        return {core: there[core] for core in chosen}
    if unknown := set(names) - {one for each in there.values() for one in each}:
        sys.exit(
            f"no module {', '.join(sorted(unknown))}: they are called as executor.fence or planner.batches"
        )
    wanted = {core: [one for one in each if one in names] for core, each in there.items()}
    return {core: each for core, each in wanted.items() if each}


def _survivors(modules: dict[str, list[str]]) -> int:
    for core, wanted in modules.items():
        results = load(core)
        for module in wanted:
            for one in results.get(module, []):
                if one.survived:
                    print(_line(one))
    return 0


def _show(id_: str) -> int:
    for core in cores.CORES:
        for each in load(core).values():
            for one in each:
                if one.id == id_:
                    print(_line(one))
                    print(f"{one.verdict} {one.by or one.reason}")
                    return 0
    sys.exit(f"the last run had no mutant {id_}")


def _line(one: Result) -> str:
    note = f"  {one.by}" if one.by.startswith("(") else ""
    core = one.module.partition(".")[0]
    path = cores.modules(core)[one.module].relative_to(cores.ROOT)
    return f"{one.id}  {path}:{one.line} in {one.place}{note}\n  - {one.before}\n  + {one.after}"


if __name__ == "__main__":
    sys.exit(main())
