"""The simulation in short: seeds, branches that are what their seeds say, seeds that failed once, and an oracle
that sees each broken rule.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.simulation import reading
from tests.simulation.logs import silence
from tests.simulation.regress import Regression, kept
from tests.simulation.report import FAULTS
from tests.simulation.scenario import draw
from tests.simulation.schedule import Verdict, play, run
from tranche.bus.cas import Held
from tranche.contract.content import Content
from tranche.contract.ledger import Claim
from tranche.contract.message import Message
from tranche.contract.record import PodRecord
from tranche_executor.base import Base, NotSent, Sent
from tranche_executor.core.step import Change, Install
from tranche_executor.operating import Operating
from tranche_planner.core import gates, rollout
from tranche_planner.core.document import Document
from tranche_planner.core.plans import answered
from tranche_planner.core.verification import verified
from tranche_scheduler.core import ledger
from tranche_scheduler.core.situation import Situation

ROOT = Path(__file__).parents[2]
FAMILIES = 3
"""So many in each chunk."""
WAYS = 10


@pytest.fixture
def quiet() -> Iterator[None]:
    """Services without a voice, as long as a test lasts."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    silence()
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def simulate(*arguments: str, hash_seed: str = "0") -> str:
    """In a process of its own: pytest's has threads, and what has threads is not forked."""
    command = (sys.executable, "-m", "tests.simulation", *arguments)
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def digests(told: str) -> dict[str, str]:
    """By seed."""
    return dict(re.findall(r"^([\d.]+) ([0-9a-f]{8})$", told, re.MULTILINE))


@pytest.mark.parametrize("chunk", range(8))
def test_no_schedule_breaks_a_rule(chunk: int) -> None:
    first = 100_000 + chunk * FAMILIES
    told = simulate("--seeds", f"{first}:{first + FAMILIES}", "--branches", str(WAYS), "--workers", "1")
    assert f"{FAMILIES * WAYS} in " in told
    assert re.search(r"^violations +0$", told, re.MULTILINE), told


def test_the_same_seeds_are_the_same_schedules_whatever_order_python_and_the_machine_have() -> None:
    given = ("--seeds", "5000:5006", "--branches", "2")
    one = simulate(*given, "--workers", "1", "--each", hash_seed="1")
    other = simulate(*given, "--workers", "3", "--each", hash_seed="0")
    assert len(digests(one)) == 12
    assert digests(one) == digests(other)
    assert re.findall("^hash.*$", one, re.MULTILINE) == re.findall("^hash.*$", other, re.MULTILINE)
    assert len(set(digests(one).values())) == 12


def test_a_branch_is_what_its_seed_alone_makes_of_it() -> None:
    left = digests(simulate("--seeds", "325:329", "--branches", "4x4", "--each", "--workers", "1"))
    assert len(left) == 64
    alone = [seed for seed in left if "." in seed][:50]
    assert digests(simulate("--each", "--seed", *alone)) == {seed: left[seed] for seed in alone}


def test_branch_0_is_the_way_a_world_was_on(quiet: None) -> None:
    assert run("7").digest == run("7.0").digest == run("7.0.0").digest != run("7.1").digest


def test_what_was_read_once_is_what_its_bytes_say_to_the_end(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    plain = Message.__dict__["decode"].__func__
    read: dict[tuple[type[Message], bytes], Message] = {}

    def remembering(maxsize: int) -> Any:
        def decode(kind: type[Message], data: bytes) -> Message:
            if (kind, data) not in read:
                read[kind, data] = plain(kind, data)
            return read[kind, data]

        return lambda _: decode

    monkeypatch.setattr(reading, "lru_cache", remembering)
    verdicts = [run(seed) for seed in ("6", "5.1")]
    assert len(read) > 300
    for (kind, data), message in read.items():
        assert message == (fresh := plain(kind, data))
        assert message.encode() == fresh.encode()
    assert Message.__dict__["decode"].__func__ is plain
    monkeypatch.undo()
    assert [run(verdict.seed).digest for verdict in verdicts] == [verdict.digest for verdict in verdicts]


def test_what_failed_once_does_not_fail_again(quiet: None) -> None:
    verdicts = [run(regression.seed) for regression in kept()]
    assert [verdict.line for verdict in verdicts if verdict.violations] == []


def test_a_violation_is_told_in_a_line_kept_and_played_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quiet: None
) -> None:
    monkeypatch.setattr(Situation, "affordable", lambda _: True)
    verdict = broken("S1")
    assert re.match(rf"seed {verdict.seed}: S1 at [\d.]+ s: .+ \| base-1 x\d+.* \| .+", verdict.line)
    found = Regression(verdict.seed, "S1", "2026-01-31", verdict.line)
    found.keep(tmp_path)
    assert list(kept(tmp_path)) == [found]
    assert run(found.seed).violations == verdict.violations
    monkeypatch.undo()
    assert not run(found.seed).violations


def test_every_kind_of_fault_has_a_name_of_its_own() -> None:
    assert len(set(FAULTS)) == len(FAULTS) > 40


# --- the oracle sees ---


def broken(rule: str, **conditions: Any) -> Verdict:
    """The first world that breaks this rule, and breaks it first."""
    seen: list[str] = []
    for seed in range(60):
        verdict = play(replace(draw(str(seed)), **conditions))
        if verdict.violations:
            seen.append(verdict.violations[0].rule)
            if seen[-1] == rule:
                return verdict
    raise AssertionError(f"no world broke {rule}; broken were {seen}")


def test_s1_too_many_replicas_are_taken_down(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    monkeypatch.setattr(Situation, "affordable", lambda _: True)
    assert "down because of us" in broken("S1").line or "leaves" in broken("S1").line


def test_s2_a_base_is_disturbed_before_the_record_says_so(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    write = Operating._write

    async def later(self: Operating, record: PodRecord) -> None:
        if record.operation is not None and not record.operation.over:
            self.held = Held(record, self.held.sequence)
        else:
            await write(self, record)

    monkeypatch.setattr(Operating, "_write", later)
    assert "record" in broken("S2").line


def test_s3_a_claim_leaves_before_its_operation_is_over(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    def begun(claim: Claim, record: PodRecord | None) -> bool:
        operation = record.operation if record is not None else None
        return operation is not None and operation.token >= claim.token

    monkeypatch.setattr(ledger, "proven_over", begun)
    assert "without proof" in broken("S3").line


def test_s5_a_batch_begins_before_the_one_before_it_is_verified(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    def under_way(document: Document) -> bool:
        return verified(document) or (answered(document) and document.progress.moving > 0)

    monkeypatch.setattr(rollout, "verified", under_way)
    monkeypatch.setattr(gates, "verified", under_way)
    assert "while batch" in broken("S5", install_s=0.3).line


def test_s6_a_batch_begins_though_nobody_confirmed(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    monkeypatch.setattr(gates, "_shut", lambda *_: iter(()))
    assert "nobody confirmed" in broken("S6").line


def test_s7_a_call_is_sent_before_the_one_before_it_is_over(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    send = Base.send

    async def both(self: Base, change: Change, content: Content | None, id_: str) -> Sent | NotSent:
        answer = await send(self, change, content, id_)
        if isinstance(change, Install):
            operation, attempt = id_.rsplit("-", 1)
            another = f"{operation}-{int(attempt) + 1}"
            await send(self, Install(change.module, "0.0.1"), content, another)
        return answer

    monkeypatch.setattr(Base, "send", both)
    assert "still runs there" in broken("S7", install_s=0.3).line
