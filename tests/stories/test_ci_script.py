"""examples/ci-release.sh: releases, confirms what a check finds good, takes back what fails, by exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import judge
from tests.installation import Installation, installation, manifest
from tranche_fleet.faults import Fault, Kind

pytestmark = pytest.mark.nats

SCRIPT = Path(__file__).parents[2] / "examples" / "ci-release.sh"
GATES = {"batchCount": 2, "useBeta": True, "needConfirm": True}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(tmp_path, "shop/web-base:4:5") as here:
        await here.start()
        command = tmp_path / "tranche"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tranche_cli "$@"\n')
        command.chmod(0o755)
        yield here


async def release(
    here: Installation, version: str, *, url: str = "", check: str = "", **wish: Any
) -> tuple[int, str]:
    """Run the script on a wish for that version: its exit code, and all it said."""
    file = here.folder / "cart.json"
    file.write_text(json.dumps(manifest("cart", version, replicas=4, **wish)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRANCHE_")}
    environment |= {"TRANCHE_NATS_URL": url or here.nats.url, "TIMEOUT": "40", "CI_PIPELINE_ID": "77"}
    environment |= {"PATH": f"{here.folder}:{environment['PATH']}", **({"CHECK": check} if check else {})}
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", str(SCRIPT), str(file)), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=environment
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def serving(here: Installation) -> dict[str, int]:
    return judge.versions_now(await here.timelines("web-base"), "cart", time.time())


async def test_a_good_version_is_released_confirmed_by_its_check_and_released_once(
    shop: Installation,
) -> None:
    assert (await release(shop, "1.0.0"))[0] == 0

    waits, said = await release(shop, "2.0.0", **GATES)
    assert (waits, "tranche confirm shop/cart --batch 1" in said) == (3, True), said
    assert await serving(shop) == {"1.0.0": 3, "2.0.0": 1}

    code, said = await release(shop, "2.0.0", check="test -n ok", **GATES)
    assert code == 0, said
    assert await serving(shop) == {"2.0.0": 4}
    again, said = await release(shop, "2.0.0", **GATES)
    assert again == 0, said


async def test_what_fails_and_what_its_check_finds_bad_is_taken_back(shop: Installation) -> None:
    assert (await release(shop, "1.0.0"))[0] == 0

    code, said = await release(shop, "2.0.0", check="exit 9", **GATES)
    assert (code, "the check failed" in said) == (4, True), said
    assert await serving(shop) == {"1.0.0": 4}

    await shop.fleet.arm(
        Fault(Kind.INSTALL_FAILS, times=1, module="cart", words="no such class"), "web-base-1"
    )
    code, said = await release(shop, "3.0.0")
    assert (code, "no such class" in said) == (4, True), said


async def test_a_bad_manifest_changes_nothing_and_nobody_there_is_6(shop: Installation) -> None:
    code, said = await release(shop, "1.0.0", batchCount=0)
    assert (code, "batchCount" in said) == (1, True), said

    code, said = await release(shop, "1.0.0", url="nats://127.0.0.1:1")
    assert code == 6, said
