"""A plugin of pytest that writes down how each test ended, and where our modules were imported from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
_found: dict[str, dict[str, Any]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is not None and not report.skipped:
        error = call.excinfo.value
        words = f"{report.when}: {type(error).__name__}: {error}"[:2000]
        asserted = report.when == "call" and _asserts(error)
        _found[item.nodeid] = {"node": item.nodeid, "error": words, "by_assertion": asserted}
    elif report.when == "call":
        ended = "skipped" if report.skipped else ""
        _found.setdefault(item.nodeid, {"node": item.nodeid, "error": ended, "by_assertion": False})
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        words = f"collection: {report.longreprtext}"[:2000]
        _found[report.nodeid] = {"node": report.nodeid, "error": words, "by_assertion": False}


def pytest_sessionfinish() -> None:
    modules = {
        name: file
        for name, module in list(sys.modules.items())
        if name.partition(".")[0].startswith("tranche") and (file := getattr(module, "__file__", None))
    }
    told = {"found": list(_found.values()), "modules": modules}
    Path(os.environ["TRANCHE_PLANTED_REPORT"]).write_text(json.dumps(told))


def _asserts(error: BaseException) -> bool:
    """Whether a test says no, and not the product that it tests."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_asserts, error.exceptions))
    if isinstance(error, pytest.fail.Exception):
        return True
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised_in = Path(traceback.tb_frame.f_code.co_filename) if traceback is not None else Path()
    return isinstance(error, AssertionError) and raised_in.is_relative_to(TESTS)
