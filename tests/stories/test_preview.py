"""What ``plan`` says is what then happens: on random pools and wishes, pod by pod, batch by batch.

Each case is drawn from a seed that its name tells. 20 in the normal run, 200 with ``TRANCHE_STRESS=1``. The bases
are the judges: what they carried out in a batch must be what the preview of that batch named.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from tests.stories.shop_stage import Mall, Shop, mall, wish
from tranche.contract.preview import PreviewBatch
from tranche.contract.status import Status

CASES = 200 if os.environ.get("TRANCHE_STRESS") == "1" else 20

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

Steps = dict[str, tuple[str, str | None, str | None]]
"""By pod: what is done there, from which version, to which."""

APART = {"args": ["--server.servlet.context-path=/cart-{version}"]}
"""Two versions can stand side by side."""


@dataclass(frozen=True)
class Case:
    """A pool, what ran there before, and a wish."""

    bases: int
    limit: int | None
    strangers: frozenset[int]
    cordoned: frozenset[int]
    foreign: frozenset[int]
    before: int | None
    wanted: int
    version: str
    options: dict[str, Any] = field(default_factory=dict)


def drawn(seed: int) -> Case:
    """A case of moderate size, with all that a preview must know about."""
    dice = random.Random(seed)
    bases = dice.randint(2, 7)
    limit = dice.choice((None, None, 2, 3))
    pods = range(1, bases + 1)
    peer = dice.random() < 0.2
    before = dice.choice((None, -1 if peer else dice.randint(0, bases)))
    policy = dice.choice(("uninstall_then_install", "install_then_uninstall", "scaleup_then_scaledown"))
    if peer and policy == "scaleup_then_scaledown":
        policy = "uninstall_then_install"
    batches = dice.randint(1, 4)
    options: dict[str, Any] = {
        "batchCount": batches,
        "useBeta": batches > 1 and dice.random() < 0.4,
        "schedulingPolicy": dice.choice(("scatter", "stacking")),
        "upgradePolicy": policy,
    }
    if (budget := dice.choice((None, 0, 1, 2, "50%"))) is not None:
        options["maxUnavailable"] = budget
    return Case(
        bases,
        limit,
        frozenset(pod for pod in pods if dice.random() < 0.3),
        frozenset(pod for pod in pods if dice.random() < 0.1),
        frozenset(pod for pod in pods if before is None and dice.random() < 0.2),
        before,
        -1 if peer else dice.randint(0, bases),
        dice.choice(("2.0.0", "2.0.0", "2.0.0", "1.0.0")),
        options,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mall]:
    async with mall(tmp_path_factory.mktemp("mall")) as ready:
        yield ready


@pytest.mark.parametrize("seed", range(CASES))
async def test_what_is_previewed_is_what_happens(stage: Mall, seed: int) -> None:
    case = drawn(seed)
    shop = await _given(stage, case)
    manifest = wish(
        shop.namespace, case.version, replicas=case.wanted, needConfirm=True, module=APART, **case.options
    )
    before = await shop.serving()
    began = time.time()

    told = await stage.client.plan(manifest)
    assert await shop.serving() == before, "nothing is changed by asking"
    answer = await stage.client.apply(manifest)
    generation = answer.generation
    assert generation == told.generation, case

    happened, last = await _carried_out(shop, generation, before)
    where = f"seed {seed}: {case}\nbefore: {before}\ntold: {told}\nlast: {last}"
    for number, real in enumerate(happened, 1):
        batch = next((one for one in told.batches if one.index == number), None)
        foreseen = _steps(batch)
        if last.phase == "Blocked" and number == len(happened):
            assert real.items() <= foreseen.items(), f"batch {number}\n{where}"
        else:
            assert real == foreseen, f"batch {number}\n{where}"
    if last.phase == "Blocked":
        assert told.problems, f"it was to be foreseen that it would be blocked\n{where}"
    else:
        assert len(told.batches) == len(happened), where
        assert sum(batch.size for batch in told.batches) >= told.changes, where
        assert told.confirms == max(0, len(happened) - 1), where
    assert await shop.lowest(began) >= told.lowest_available, where


async def _given(stage: Mall, case: Case) -> Shop:
    labels = {} if case.limit is None else {"koupleless.io/max-module-count": str(case.limit)}
    shop = await stage.shop(case.bases, labels=labels)
    for pod in sorted(case.strangers):
        await shop.somebody_installs(shop.pods[pod - 1], "1.0.0", "stranger")
    for pod in sorted(case.foreign):
        await shop.somebody_installs(shop.pods[pod - 1], "0.9.0")
    if case.before is not None:
        await shop.apply("1.0.0", replicas=case.before, module=APART)
        await shop.phase("Healthy", "Blocked", generation=1)
        await asyncio.sleep(0.3)
    for pod in sorted(case.cordoned):
        name = shop.pods[pod - 1]
        await shop.here.fleet.describe(shop.key(name), labels={**labels, "tranche.dev/cordoned": "true"})
    if case.cordoned:
        await shop.known(lambda records: all(records[shop.pods[pod - 1]].cordoned for pod in case.cordoned))
    return shop


async def _carried_out(
    shop: Shop, generation: int | None, before: dict[str, str]
) -> tuple[list[Steps], Status]:
    """What the bases did in each batch, and the status at the end."""
    happened: list[Steps] = []
    batch = 1
    while True:
        status = await shop.seen(lambda status, batch=batch: _rests(status, generation, batch))  # type: ignore[misc]
        if status.phase == "Blocked":
            await asyncio.sleep(0.5)
            status = await shop.client.get(shop.namespace, "cart")
            if not _rests(status, generation, batch):
                continue
        after = await shop.serving()
        if done := _between(before, after):
            happened.append(done)
        before = after
        if status.phase != "Waiting":
            return happened, status
        await shop.verb("confirm", batch=batch)
        batch += 1


def _rests(status: Status, generation: int | None, batch: int) -> bool:
    """Nothing happens until somebody acts."""
    if status.observed_generation != generation or status.moving:
        return False
    waits = status.phase == "Waiting" and status.batch.current == batch
    return waits or status.phase in ("Healthy", "Degraded", "Blocked", "Aborted")


def _between(before: dict[str, str], after: dict[str, str]) -> Steps:
    """The steps that lead from one state of the bases to another."""
    steps: Steps = {}
    for pod in before.keys() | after.keys():
        was, now = before.get(pod), after.get(pod)
        if was != now:
            kind = "install" if was is None else "remove" if now is None else "replace"
            steps[pod] = (kind, was, now)
    return steps


def _steps(batch: PreviewBatch | None) -> Steps:
    """What a batch leads to on each pod; one that is emptied and filled again in it is replaced in the end."""
    ends: dict[str, tuple[str | None, str | None]] = {}
    kinds: dict[str, str] = {}
    for step in batch.pods if batch else ():
        was = ends[step.pod][0] if step.pod in ends else step.from_
        kinds[step.pod] = "replace" if step.pod in ends else step.step
        ends[step.pod] = (was, step.to)
    return {pod: (kinds[pod], *ends[pod]) for pod in ends}
