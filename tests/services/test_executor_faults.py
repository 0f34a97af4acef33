"""Bases that are silent, lie, forget or restart: nothing runs twice, nothing is left open, all ends right."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.services.executor_stage import Stage, content, ran, stage
from tranche.bus.nats import NatsBus
from tranche.contract import subjects
from tranche.contract.record import PodRecord
from tranche.runtime import system_runtime, wait_until
from tranche_fleet.arklet import Settings
from tranche_fleet.faults import Fault, Kind

pytestmark = pytest.mark.nats


def state(record: PodRecord) -> str:
    return record.operation.state if record.operation is not None else ""


async def test_a_base_that_is_silent_before_anything_was_sent_is_unreachable(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.known("web-base-1")
        here.fleet["web-base-1"].kill_listener()

        record = await here.bring("web-base-1")

        assert (state(record), record.ready, record.reason) == ("unchanged", False, "PodUnreachable")
        assert record.modules == {}
        here.fleet["web-base-1"].revive_listener()
        await here.known("web-base-1")


async def test_another_base_behind_the_same_address_is_left_alone_until_it_was_looked_at(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        executor = await here.start(observing=False)
        await here.bring("web-base-1")
        pod = here.fleet["web-base-1"]
        before = ran(pod)
        pod.arm(Fault(Kind.IDENTITY, words="10.9.9.9", times=None))

        record = await here.bring("web-base-1", "replace", 2)

        assert (state(record), record.ready) == ("unchanged", False)
        assert "another base answers" in record.message
        assert "10.9.9.9" in record.message
        assert ran(pod) == before
        await executor.stop()
        await here.start("executor-2")
        seen = await here.known("web-base-1")
        assert seen.base_identity == "10.9.9.9"
        done = await here.bring("web-base-1", "replace", 2)
        assert state(done) == "done"


async def test_a_base_that_falls_silent_in_between_is_stuck_until_it_answers(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.bring("web-base-1")
        pod = here.fleet["web-base-1"]
        # It takes the order to uninstall, and nothing after it.
        pod.arm(Fault(Kind.DEFER, command="uninstallBiz", seconds=0.1))
        token = await here.claim("web-base-1", "replace", 2)

        async def taken() -> bool | None:
            return any(one.command == "uninstallBiz" for one in pod.timeline.commands) or None

        await wait_until(taken, system_runtime().clock, timeout_s=10, every_s=0.005)
        pod.kill_listener()

        stuck = await here.seen("web-base-1", lambda record: state(record) == "stuck", timeout_s=15)
        assert stuck.operation is not None
        assert "it goes on when the base answers" in stuck.operation.message
        assert (stuck.ready, stuck.reason) == (False, "PodUnreachable")

        pod.revive_listener()
        done = await here.over("web-base-1", token, timeout_s=15)
        assert (state(done), done.ready, done.modules["cart"].version) == ("done", True, "2.0.0")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.MUTE, command="installBiz"),
        Fault(Kind.DEFER, command="installBiz", seconds=0.3),
        Fault(Kind.DEFER, command="installBiz", seconds=1.5),
        Fault(Kind.SLOW_POOL, seconds=0.5, command="installBiz"),
        Fault(Kind.FORGET_RECORD, command="installBiz"),
        Fault(Kind.RESTART, command="installBiz", seconds=0.3),
        Fault(Kind.RESTART, command="installBiz", seconds=0.3, words="after"),
        Fault(Kind.HANG, command="queryAllBiz", times=2),
        Fault(Kind.HANG, command="queryBizOps", times=2),
        Fault(Kind.LATE, command="installBiz", seconds=0.8),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.command}-{fault.seconds}",
)
async def test_whatever_happens_to_an_order_it_is_carried_out_once(
    bus: NatsBus, tmp_path: Path, fault: Fault
) -> None:
    async with stage(bus, tmp_path, settings=Settings(install_s=0.2)) as here:
        await here.start()
        await here.known("web-base-1")
        pod = here.fleet["web-base-1"]
        pod.arm(fault)

        record = await _bring(here)

        assert state(record) == "done"
        assert record.modules["cart"].state == "available"
        await asyncio.sleep(max(0.0, fault.seconds))  # what was put off comes now, if ever
        assert pod.serves("cart") == "1.0.0"
        assert pod.timeline.overlaps() == []
        installed = [change for change in pod.timeline.changes if change.state == "activated"]
        assert len(installed) == 1


async def _bring(here: Stage, **changes: Any) -> PodRecord:
    return await here.over("web-base-1", await here.claim("web-base-1", **changes), timeout_s=20)


async def test_an_operation_that_does_not_end_is_stuck_and_ends_when_it_does(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path, settings=Settings(install_s=3.0)) as here:
        await here.start(install_timeout_s=0.5)
        await here.known("web-base-1")
        token = await here.claim("web-base-1")

        stuck = await here.seen("web-base-1", lambda record: state(record) == "stuck")
        assert stuck.operation is not None
        assert "restart the base" in stuck.operation.message

        done = await here.over("web-base-1", token, timeout_s=15)
        assert state(done) == "done"
        assert ran(here.fleet["web-base-1"]) == ["install cart:1.0.0"]


async def test_a_silent_artefact_host_is_stuck_until_the_base_is_restarted(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        here.fleet.catalogue.silent.add("modules.example")
        await here.start(install_timeout_s=0.5)
        token = await here.claim("web-base-1")
        await here.seen("web-base-1", lambda record: state(record) == "stuck")
        here.fleet.catalogue.silent.clear()
        here.fleet["web-base-1"].restart(down_s=0.3)
        done = await here.over("web-base-1", token, timeout_s=15)
        assert done.modules["cart"].state == "available"


async def test_another_executor_takes_over_where_one_died(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, settings=Settings(install_s=1.0)) as here:
        first = await here.start("executor-1")
        await here.known("web-base-1")
        token = await here.claim("web-base-1")
        await here.seen("web-base-1", lambda record: bool(record.operation and record.operation.open))
        await here.start("executor-2")

        await first.crash()
        done = await here.over("web-base-1", token, timeout_s=20)

        assert done.operation is not None
        assert (done.operation.state, done.operation.holder) == ("done", "executor-2")
        assert ran(here.fleet["web-base-1"]) == ["install cart:1.0.0"]
        await here.untasked()


@pytest.mark.parametrize("step", ["uninstall:1.0.0", "install:1.0.0"])
async def test_a_restart_taken_over_in_the_middle_does_each_step_once(
    bus: NatsBus, tmp_path: Path, step: str
) -> None:
    async with stage(bus, tmp_path, settings=Settings(install_s=0.8, uninstall_s=0.8)) as here:
        here.contents[2] = content("1.0.0", 2, restarts=1)
        first = await here.start("executor-1")
        await here.bring("web-base-1")
        token = await here.claim("web-base-1", "replace", 2)
        await here.seen("web-base-1", lambda record: bool(record.operation and record.operation.step == step))
        await here.start("executor-2")

        await first.crash()
        done = await here.over("web-base-1", token, timeout_s=20)

        assert (done.modules["cart"].revision, done.modules["cart"].state) == (2, "available")
        again = ["uninstall cart:1.0.0", "install cart:1.0.0"]
        assert ran(here.fleet["web-base-1"]) == ["install cart:1.0.0", *again]


async def test_an_executor_that_is_stopped_hands_back_what_it_cannot_end(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path, settings=Settings(install_s=7.0)) as here:
        first = await here.start("executor-1")
        await here.known("web-base-1")
        token = await here.claim("web-base-1")
        await here.seen("web-base-1", lambda record: bool(record.operation and record.operation.open))
        async with asyncio.timeout(8):
            await first.stop()
        assert state(await here.known("web-base-1")) == "started"
        await here.start("executor-2")
        done = await here.over("web-base-1", token)
        assert state(done) == "done"
        assert ran(here.fleet["web-base-1"]) == ["install cart:1.0.0"]


async def test_many_pods_and_two_executors(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, pods=20) as here:
        await here.start("executor-1", parallel=4)
        await here.start("executor-2", parallel=4)
        tokens = {pod.name: await here.claim(pod.name) for pod in list(here.fleet)}
        for name, token in tokens.items():
            await here.over(name, token)
        assert [ran(pod) for pod in here.fleet] == [["install cart:1.0.0"]] * 20
        await here.untasked()


async def test_a_task_without_a_claim_is_dropped(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.tell("web-base-1")
        await here.untasked()
        token = await here.claim("web-base-1")
        await here.over("web-base-1", token)
        await here.tell("web-base-1")  # over already
        await here.untasked()
        assert ran(here.fleet["web-base-1"]) == ["install cart:1.0.0"]


async def test_an_uninstall_that_is_refused_is_told(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.bring("web-base-1")
        here.fleet["web-base-1"].arm(Fault(Kind.SAY_FAILED, command="uninstallBiz", words="no way"))
        failed = await here.bring("web-base-1", "remove")
        entry = failed.modules["cart"]
        assert (entry.state, entry.reason, entry.version) == ("failed", "UninstallFailed", "1.0.0")
        assert entry.serving is not None
        assert "no way" in entry.message
        removed = await here.bring("web-base-1", "remove")
        assert removed.modules == {}


async def test_a_switch_that_is_not_answered_is_sent_again(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.contents = {1: content("1.0.0", 1, "greeter"), 2: content("2.0.0", 2, "greeter")}
        await here.start()
        await here.bring("web-base-1", module="greeter")
        here.fleet["web-base-1"].arm(Fault(Kind.DEFER, command="switchBiz", seconds=5.0))
        done = await here.bring("web-base-1", "replace", 2, module="greeter", beside=True)
        assert done.modules["greeter"].version == "2.0.0"
        assert here.fleet["web-base-1"].serves("greeter") == "2.0.0"


async def test_after_lost_history_a_silent_pod_stays_claimed_until_it_answers(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.known("web-base-1")
        here.fleet["web-base-1"].kill_listener()
        token = await here.claim("web-base-1", "observe", 0)
        await here.seen("web-base-1", lambda record: state(record) == "stuck")
        here.fleet["web-base-1"].revive_listener()
        assert state(await here.over("web-base-1", token)) == "done"


async def test_a_task_that_names_no_pod_is_kept_with_its_reason(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await bus.publish("tranche.tasks.shop.=ZZ.web-base-1", b"\xff")
        await here.start()
        await here.untasked()
        kept = await bus.last(subjects.REJECTED, subjects.rejected())
        assert kept is not None
        told = json.loads(kept.data)
        assert (told["accepted"], told["subject"]) == (False, "tranche.tasks.shop.=ZZ.web-base-1")
        assert "=ZZ" in told["errors"][0]["message"]


async def test_a_ledger_that_cannot_be_read_stops_nobody_else(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await bus.publish(subjects.key(subjects.POOLS, "shop", "other"), b"{}")
        await bus.publish(subjects.task("shop", "other", "other-1"), b"{}")
        done = await here.bring("web-base-1")
        assert state(done) == "done"
