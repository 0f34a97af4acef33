"""The harness itself: bases that restart in place, freeze and die, and jars that are counted."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.real.assets import ASSETS_HELP, BASE, JAVA_HELP, MODULES, Missing, look_for
from tests.real.bases import RealBases
from tests.real.jar_server import JarServer
from tests.real.traffic import Traffic
from tranche.errors import Unavailable, Unknown
from tranche.runtime import SystemClock
from tranche_executor.arklet.client import http_client
from tranche_executor.arklet.operation import OperationState


async def test_a_restart_in_place_forgets_modules_and_request_ids(
    real_bases: RealBases, jars: JarServer
) -> None:
    base = real_bases[0]
    install = {"bizName": "cart", "bizVersion": "1.0.0", "bizUrl": jars.url("cart-1.0.0.jar")}
    assert base.command("installBiz", install)["code"] == "SUCCESS"
    assert await base.web("/cart/version") == (200, "cart 1.0.0")
    assert jars.fetched == {"cart-1.0.0.jar": 1}

    async with http_client(SystemClock()) as client:
        assert await client.burn(base.address, "before-the-restart")
        before = base.address
        base.kill()
        with pytest.raises(Unavailable, match="cannot be reached"):
            await client.query(base.address)
        assert await base.web("/cart/version") != (200, "cart 1.0.0")

        await base.restart()

        assert base.address == before
        assert (await client.query(base.address)).bizzes == ()
        told = await client.operation(base.address, "before-the-restart")
        assert told.state is OperationState.UNKNOWN


async def test_traffic_tells_what_users_saw_of_an_upgrade(real_bases: RealBases, jars: JarServer) -> None:
    base = real_bases[0]

    def change(command: str, version: str) -> None:
        jar = jars.url(f"cart-{version}.jar")
        answer = base.command(command, {"bizName": "cart", "bizVersion": version, "bizUrl": jar})
        assert answer["code"] == "SUCCESS"

    change("installBiz", "1.0.0")
    async with Traffic(base, "/cart/version") as traffic:
        await traffic.answered("cart 1.0.0")
        await asyncio.to_thread(change, "uninstallBiz", "1.0.0")
        await asyncio.to_thread(change, "installBiz", "2.0.0")
        await traffic.answered("cart 2.0.0")

    assert traffic.answers == ["cart 1.0.0", "cart 2.0.0"]
    assert set(traffic.statuses) == {200, 404}
    assert 0.05 < traffic.longest_gap_s < 10


async def test_a_frozen_base_takes_connections_and_says_nothing(real_bases: RealBases) -> None:
    base = real_bases[1]
    async with http_client(SystemClock(), timeout_s=1.5) as client:
        base.suspend()
        try:
            with pytest.raises(Unknown, match=r"did not answer queryAllBiz within 1\.5 s"):
                await client.query(base.address)
        finally:
            base.resume()
        assert (await client.query(base.address)).bizzes == ()


def test_each_test_begins_with_empty_bases(real_bases: RealBases) -> None:
    assert [base.modules() for base in real_bases.all] == [{}, {}]
    assert len({base.address for base in real_bases.all}) == 2


def test_a_jar_that_is_not_there_is_counted_too(jars: JarServer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as error:
        urllib.request.urlopen(jars.url("absent.jar"))
    error.value.close()
    assert jars.fetched == {"absent.jar": 1}


def test_missing_jars_are_skipped_with_the_way_to_get_them(tmp_path: Path) -> None:
    environment = {"TRANCHE_KOUPLELESS_ASSETS": str(tmp_path), "CI": "true"}

    assert look_for(environment, ["java"]) == Missing(ASSETS_HELP, fatal=False)
    assert "mvn -q clean package" in ASSETS_HELP


@pytest.mark.parametrize(("environment", "fatal"), [({"CI": "true"}, True), ({}, False)])
def test_a_missing_java_is_fatal_only_in_ci(tmp_path: Path, environment: dict[str, str], fatal: bool) -> None:
    for jar in (BASE, *MODULES):
        (tmp_path / jar).touch()

    found = look_for({"TRANCHE_KOUPLELESS_ASSETS": str(tmp_path), **environment}, ["/nonexistent/java"])

    assert found == Missing(JAVA_HELP, fatal=fatal)
    assert "openjdk-17" in JAVA_HELP
