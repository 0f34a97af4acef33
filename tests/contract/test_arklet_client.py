"""The client of arklet, on simulated bases of both recorded versions and on a real one: one suite."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.real.bases import shared_bases
from tranche.runtime import SystemClock, wait_until
from tranche_executor.arklet.client import ArkletClient, http_client
from tranche_executor.arklet.failure import BaseRefused, Cause, Failure
from tranche_executor.arklet.operation import Operation, OperationState
from tranche_executor.arklet.wire import Biz, BizState
from tranche_fleet.fleet import Fleet

CLOCK = SystemClock()


@dataclass
class Ground:
    """A base to speak to. ``jars`` is where its modules come from, with a slash."""

    address: str
    jars: str
    client: ArkletClient
    keeps_changes: bool
    """Its state records tell one installation from the next (arklet 2.1.11)."""

    def jar(self, module: str) -> str:
        return f"{self.jars}{module}.jar"

    async def install(self, module: str, *args: str) -> Operation:
        """Install ``cart-1.0.0`` and the like, to the end."""
        name, _, version = module.partition("-")
        return await self.finish(
            self.client.install(self.address, name, version, self.jar(module), args, fresh())
        )

    async def uninstall(self, name: str, version: str) -> Operation:
        return await self.finish(self.client.uninstall(self.address, name, version, fresh()))

    async def finish(self, begun: Awaitable[Operation]) -> Operation:
        """The record once the operation is over, however it ended and wherever that was told."""
        try:
            operation = await begun
        except BaseRefused as refused:
            return Operation("", OperationState.FAILED, refused.failure)

        async def over() -> Operation | None:
            told = await self.client.operation(self.address, operation.request_id)
            return told if told.over else None

        return operation if operation.over else await wait_until(over, CLOCK, timeout_s=20, every_s=0.02)

    async def failure(self, begun: Awaitable[Operation]) -> Failure:
        failure = (await self.finish(begun)).failure
        assert failure is not None
        return failure

    async def states(self) -> dict[tuple[str, str], BizState]:
        return {(biz.name, biz.version): biz.state for biz in (await self.client.query(self.address)).bizzes}

    async def biz(self, name: str, version: str) -> Biz:
        biz = (await self.client.query(self.address)).find(name, version)
        assert biz is not None
        return biz


_numbers = itertools.count()


def fresh() -> str:
    """A request id nobody used before: real bases remember those of earlier tests."""
    return f"suite-{next(_numbers)}"


@pytest.fixture
async def client() -> AsyncIterator[ArkletClient]:
    async with http_client(CLOCK) as client:
        yield client


@pytest.fixture(params=["2.1.3", "2.1.11", pytest.param("real", marks=pytest.mark.real)])
async def ground(request: pytest.FixtureRequest, client: ArkletClient) -> AsyncIterator[Ground]:
    if request.param == "real":
        bases = shared_bases(request.config)
        await asyncio.to_thread(bases.clear)
        jars = f"{bases.assets.directory.as_uri()}/"
        yield Ground(bases[0].address, jars, client, keeps_changes=False)
        return
    async with Fleet() as fleet:
        base = await fleet.add(version=request.param)
        yield Ground(base.address, "file:///modules/", client, keeps_changes=request.param == "2.1.11")


async def test_an_empty_base_runs_nothing(ground: Ground) -> None:
    assert (await ground.client.query(ground.address)).bizzes == ()


async def test_a_module_is_installed_and_seen(ground: Ground) -> None:
    operation = await ground.install("cart-1.0.0")

    assert operation.state is OperationState.SUCCEEDED
    assert (operation.module, operation.version) == ("cart", "1.0.0")
    biz = await ground.biz("cart", "1.0.0")
    assert (biz.state, biz.web_context_path) == (BizState.ACTIVATED, "cart")
    assert (biz.changed_at is not None) == ground.keeps_changes


async def test_a_module_is_removed(ground: Ground) -> None:
    await ground.install("cart-1.0.0")

    operation = await ground.uninstall("cart", "1.0.0")

    assert operation.state is OperationState.SUCCEEDED
    assert await ground.states() == {}


async def test_removing_what_is_not_there_fails_and_changes_nothing(ground: Ground) -> None:
    await ground.install("cart-1.0.0")

    # The record keeps no inner code: only the list of modules tells that there was nothing to remove.
    assert (await ground.uninstall("cart", "9.9.9")).state is OperationState.FAILED
    assert await ground.states() == {("cart", "1.0.0"): BizState.ACTIVATED}


async def test_two_versions_beside_each_other_and_a_switch(ground: Ground) -> None:
    await ground.install("greeter-1.0.0")
    await ground.install("greeter-2.0.0")
    assert (await ground.biz("greeter", "2.0.0")).state is BizState.DEACTIVATED

    await ground.client.switch(ground.address, "greeter", "2.0.0")

    assert await ground.states() == {
        ("greeter", "1.0.0"): BizState.DEACTIVATED,
        ("greeter", "2.0.0"): BizState.ACTIVATED,
    }


async def test_switching_to_what_is_not_there_is_refused(ground: Ground) -> None:
    with pytest.raises(BaseRefused, match=r"cart:9\.9\.9 not found") as refused:
        await ground.client.switch(ground.address, "cart", "9.9.9")
    assert refused.value.failure.cause is Cause.NOT_FOUND


async def test_a_module_that_fails_at_start_tells_its_own_words(ground: Ground) -> None:
    operation = await ground.install("cart-3.0.0-broken")

    assert operation.state is OperationState.FAILED
    assert operation.failure == Failure(
        Cause.MODULE, False, "java.lang.IllegalStateException: this module is built to fail at start"
    )
    assert await ground.states() == {}


async def test_a_jar_that_is_not_there(ground: Ground) -> None:
    begun = ground.client.install(ground.address, "cart", "1.0.0", ground.jar("absent"), (), fresh())

    failure = await ground.failure(begun)

    assert (failure.cause, failure.passing) == (Cause.ARTEFACT, False)
    assert "FileNotFoundException" in failure.message
    assert "absent.jar" in failure.message


async def test_a_jar_whose_host_is_unknown_may_come_later(ground: Ground) -> None:
    url = "http://no-such-host.invalid/x-1.0.0.jar"

    failure = await ground.failure(ground.client.install(ground.address, "x", "1.0.0", url, (), fresh()))

    assert (failure.cause, failure.passing) == (Cause.ARTEFACT, True)
    assert failure.message == "java.net.UnknownHostException: no-such-host.invalid"


async def test_a_url_no_base_understands(ground: Ground) -> None:
    begun = ground.client.install(ground.address, "x", "1.0.0", "oci://registry/x:1", (), fresh())
    failure = await ground.failure(begun)
    assert failure == Failure(Cause.ARTEFACT, False, "java.net.MalformedURLException: unknown protocol: oci")


async def test_the_jar_decides_name_and_version(ground: Ground) -> None:
    url = ground.jar("cart-1.0.0")

    operation = await ground.finish(ground.client.install(ground.address, "cart", "7.7.7", url, (), fresh()))

    # Success, yet what was asked for is not there: look, do not believe.
    assert operation.state is OperationState.SUCCEEDED
    assert await ground.states() == {("cart", "1.0.0"): BizState.ACTIVATED}


async def test_installing_again_what_is_there_fails_and_leaves_it(ground: Ground) -> None:
    await ground.install("cart-1.0.0")

    again = await ground.install("cart-1.0.0")

    assert again.failure is not None
    assert again.failure.message == "install biz not success!"
    assert await ground.states() == {("cart", "1.0.0"): BizState.ACTIVATED}


async def test_two_web_modules_cannot_share_a_context_path(ground: Ground) -> None:
    await ground.install("cart-1.0.0")

    failure = (await ground.install("cart-2.0.0")).failure

    assert failure is not None
    assert (failure.cause, failure.passing) == (Cause.CONTEXT_PATH, False)
    assert failure.message == "java.lang.IllegalArgumentException: Child name [cart] is not unique"
    assert "uninstall_then_install" in failure.advice
    assert await ground.states() == {("cart", "1.0.0"): BizState.ACTIVATED}


async def test_a_path_with_the_version_in_it_lets_both_stand(ground: Ground) -> None:
    versioned = "--server.servlet.context-path=/cart-{version}"
    await ground.install("cart-1.0.0", versioned)

    await ground.install("cart-2.0.0", versioned)

    assert set(await ground.states()) == {("cart", "1.0.0"), ("cart", "2.0.0")}


async def test_of_twenty_simultaneous_installs_with_one_id_one_runs(ground: Ground) -> None:
    request_id, url = fresh(), ground.jar("cart-1.0.0")

    outcomes = await asyncio.gather(
        *(ground.client.install(ground.address, "cart", "1.0.0", url, (), request_id) for _ in range(20)),
        return_exceptions=True,
    )

    refused = [outcome.failure.cause for outcome in outcomes if isinstance(outcome, BaseRefused)]
    begun = [outcome for outcome in outcomes if isinstance(outcome, Operation)]
    assert (refused, len(begun)) == ([Cause.SPENT] * 19, 1)
    assert (await ground.finish(_answer(begun[0]))).state is OperationState.SUCCEEDED
    assert await ground.states() == {("cart", "1.0.0"): BizState.ACTIVATED}


async def test_an_install_under_a_burnt_id_never_runs(ground: Ground) -> None:
    request_id, url = fresh(), ground.jar("cart-1.0.0")

    assert await ground.client.burn(ground.address, request_id)
    with pytest.raises(BaseRefused, match="has been executed") as refused:
        await ground.client.install(ground.address, "cart", "1.0.0", url, (), request_id)

    assert refused.value.failure.cause is Cause.SPENT
    record = await ground.finish(ground.client.operation(ground.address, request_id))
    assert (record.over, record.burnt) == (True, True)
    assert await ground.states() == {}


async def test_burning_tells_whether_the_id_was_known(ground: Ground) -> None:
    used, unused = (await ground.install("cart-1.0.0")).request_id, fresh()

    assert not await ground.client.burn(ground.address, used)
    assert await ground.client.burn(ground.address, unused)
    assert not await ground.client.burn(ground.address, unused)

    assert not (await ground.client.operation(ground.address, used)).burnt
    assert await ground.states() == {("cart", "1.0.0"): BizState.ACTIVATED}


async def test_an_id_the_base_never_saw_has_no_record(ground: Ground) -> None:
    operation = await ground.client.operation(ground.address, fresh())
    assert (operation.state, operation.over, operation.failure) == (OperationState.UNKNOWN, False, None)


async def test_while_a_module_starts_another_call_for_it_is_busy(ground: Ground) -> None:
    url = ground.jar("cart-4.0.0-slow")
    first = await ground.client.install(ground.address, "cart", "4.0.0-slow", url, (), fresh())
    await _wait_for(lambda: ground.states(), {("cart", "4.0.0-slow"): BizState.RESOLVED})

    begun = ground.client.install(ground.address, "cart", "4.0.0-slow", url, (), fresh())
    failure = await ground.failure(begun)

    assert (failure.cause, failure.passing) == (Cause.BUSY, True)
    assert not (await ground.client.operation(ground.address, first.request_id)).over


async def test_a_nameless_module_is_refused_by_validation(ground: Ground) -> None:
    with pytest.raises(BaseRefused, match="both blank or both not blank") as refused:
        await ground.client.install(ground.address, "", "1.0.0", ground.jar("cart-1.0.0"), (), fresh())
    assert refused.value.failure.cause is Cause.VALIDATION


async def _answer(operation: Operation) -> Operation:
    return operation


async def _wait_for(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    async def is_so() -> bool | None:
        return True if await ask() == expected else None

    await wait_until(is_so, CLOCK, timeout_s=10, every_s=0.02)
