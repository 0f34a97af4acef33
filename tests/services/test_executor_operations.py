"""What the executor does on a base for one claim, and how the record tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.executor_stage import content, ran, stage
from tranche.bus.nats import NatsBus
from tranche.contract.record import Serving
from tranche_fleet.arklet import Settings
from tranche_fleet.catalogue import CONNECTION_REFUSED, Artefact
from tranche_fleet.faults import Fault, Kind

pytestmark = pytest.mark.nats


async def test_install_replace_and_remove(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.known("web-base-1")
        pod = here.fleet["web-base-1"]

        installed = await here.bring("web-base-1")
        entry = installed.modules["cart"]
        assert (entry.version, entry.revision, entry.state) == ("1.0.0", 1, "available")
        assert (entry.generation, entry.batch, entry.token, entry.tries) == (3, 1, 1, 0)
        assert installed.operation is not None
        assert (installed.operation.state, installed.operation.open) == ("done", ())

        replaced = await here.bring("web-base-1", "replace", 2, costs=True)
        assert replaced.modules["cart"].version == "2.0.0"
        assert ran(pod) == ["install cart:1.0.0", "uninstall cart:1.0.0", "install cart:2.0.0"]

        removed = await here.bring("web-base-1", "remove")
        assert removed.modules == {}
        assert pod.modules() == {}
        await here.untasked()


async def test_every_release_of_arklet_is_served(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path, version="2.1.3") as here:
        await here.start()
        assert (await here.bring("web-base-1")).modules["cart"].state == "available"
        assert (await here.bring("web-base-1", "replace", 2)).modules["cart"].version == "2.0.0"


async def test_beside_each_other_nothing_is_down(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.contents = {
            1: content("1.0.0", 1, "greeter"),
            2: content("2.0.0", 2, "greeter"),
        }
        await here.start()
        await here.bring("web-base-1", module="greeter")

        done = await here.bring("web-base-1", "replace", 2, module="greeter", beside=True)

        assert (done.modules["greeter"].version, done.modules["greeter"].serving) == ("2.0.0", None)
        pod = here.fleet["web-base-1"]
        assert ran(pod) == [
            "install greeter:1.0.0",
            "install greeter:2.0.0",
            "switch greeter:2.0.0",
            "uninstall greeter:1.0.0",
        ]
        # From the first moment on which it served until now, somebody served.
        moments = [change.at for change in pod.timeline.changes if change.state == "activated"]
        assert all(pod.timeline.serves("greeter", at) for at in moments)


async def test_one_context_path_is_refused_in_words_and_the_old_one_serves(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.bring("web-base-1")

        failed = await here.bring("web-base-1", "replace", 2, beside=True)

        entry = failed.modules["cart"]
        assert (entry.version, entry.revision, entry.state) == ("2.0.0", 2, "failed")
        assert entry.serving == Serving(version="1.0.0", revision=1)
        assert (entry.reason, entry.tries, entry.passing) == ("InstallFailed", 1, False)
        assert "uninstall_then_install" in entry.message
        assert here.fleet["web-base-1"].serves("cart") == "1.0.0"


async def test_the_same_version_with_other_content_is_installed_again(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.contents[2] = content("1.0.0", 2, restarts=1)
        await here.start()
        await here.bring("web-base-1")

        done = await here.bring("web-base-1", "replace", 2)

        assert done.modules["cart"].revision == 2
        assert ran(here.fleet["web-base-1"]) == [
            "install cart:1.0.0",
            "uninstall cart:1.0.0",
            "install cart:1.0.0",
        ]


async def test_what_is_there_already_is_not_installed_again(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.bring("web-base-1")
        done = await here.bring("web-base-1")
        assert done.operation is not None
        assert done.operation.state == "done"
        assert ran(here.fleet["web-base-1"]) == ["install cart:1.0.0"]


@pytest.mark.parametrize("keep_failed", [False, True])
async def test_a_module_that_fails_at_start_is_told_in_its_own_words(
    bus: NatsBus, tmp_path: Path, keep_failed: bool
) -> None:
    async with stage(bus, tmp_path, settings=Settings(keep_failed=keep_failed)) as here:
        here.contents[3] = content("3.0.0-broken", 3)
        await here.start()

        for tries in (1, 2):
            failed = await here.bring("web-base-1", revision=3)
            entry = failed.modules["cart"]
            assert (entry.state, entry.tries, entry.passing) == ("failed", tries, False)
            assert "this module is built to fail at start" in entry.message
            assert entry.serving is None

        mended = await here.bring("web-base-1")
        assert mended.modules["cart"].state == "available"
        assert here.fleet["web-base-1"].modules().keys() == {"cart"}


async def test_an_artefact_host_that_is_down_can_pass(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.fleet.catalogue.down["modules.example"] = CONNECTION_REFUSED
        await here.start()
        failed = await here.bring("web-base-1")
        assert failed.modules["cart"].passing
        here.fleet.catalogue.down.clear()
        done = await here.bring("web-base-1")
        assert (done.modules["cart"].state, done.modules["cart"].tries) == ("available", 0)


@pytest.mark.parametrize("stranger", ["orders", "cart"])
async def test_a_jar_that_is_another_module_is_told_and_taken_away(
    bus: NatsBus, tmp_path: Path, stranger: str
) -> None:
    async with stage(bus, tmp_path) as here:
        here.fleet.catalogue.list("http://modules.example/wrong.jar", Artefact(stranger, "9.0.0", stranger))
        here.contents[1] = content("1.0.0", 1, url="http://modules.example/wrong.jar")
        await here.start()

        failed = await here.bring("web-base-1")

        entry = failed.modules["cart"]
        assert f"the jar says it is {stranger}:9.0.0" in entry.message
        assert (entry.state, entry.passing) == ("failed", False)
        assert here.fleet["web-base-1"].modules() == {}
        assert failed.modules.keys() == {"cart"}


async def test_a_url_that_is_not_allowed_disturbs_nothing(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.contents[2] = content("2.0.0", 2, url="http://elsewhere.example/cart-2.0.0.jar")
        await here.start(url_allow=("http://modules.example/",))
        await here.bring("web-base-1")

        failed = await here.bring("web-base-1", "replace", 2)

        entry = failed.modules["cart"]
        assert (entry.state, entry.passing) == ("failed", False)
        assert entry.serving == Serving(version="1.0.0", revision=1)
        assert "TRANCHE_URL_ALLOW" in entry.message
        assert here.fleet["web-base-1"].serves("cart") == "1.0.0"


async def test_another_digest_disturbs_nothing(bus: NatsBus, tmp_path: Path) -> None:
    jar = tmp_path / "cart-2.0.0.jar"
    jar.write_bytes(b"other bytes")
    async with stage(bus, tmp_path) as here:
        here.contents[2] = content("2.0.0", 2, url=jar.as_uri(), sha256="0" * 64)
        await here.start()
        await here.bring("web-base-1")

        failed = await here.bring("web-base-1", "replace", 2)

        entry = failed.modules["cart"]
        assert (entry.state, entry.passing) == ("failed", False)
        assert "sha256" in entry.message
        assert here.fleet["web-base-1"].serves("cart") == "1.0.0"


async def test_taking_over_is_looking_and_noting(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start(observing=False)
        await here.bring("web-base-1")
        here.contents[5] = content("1.0.0", 5)
        done = await here.bring("web-base-1", "observe", 5)
        assert (done.modules["cart"].revision, done.modules["cart"].state) == (5, "available")
        assert ran(here.fleet["web-base-1"]) == ["install cart:1.0.0"]


async def test_what_is_looked_at_again_is_available_for_as_long_as_before(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start(observing=False)
        before = await here.bring("web-base-1")
        again = await here.bring("web-base-1", "observe", 1)

        assert again.modules["cart"].since == before.modules["cart"].since
        assert again.observed_at > before.observed_at
        assert again.modules["cart"].token == 2


async def test_the_version_is_put_into_arguments(bus: NatsBus, tmp_path: Path) -> None:
    """Two web modules stand beside each other only on paths of their own."""
    async with stage(bus, tmp_path) as here:
        path = "--server.servlet.context-path=/cart-{version}"
        here.contents = {number: one.but(args=(path,)) for number, one in here.contents.items()}
        await here.start()
        await here.bring("web-base-1")
        done = await here.bring("web-base-1", "replace", 2, beside=True)
        entry = done.modules["cart"]
        assert (entry.version, entry.state, entry.serving) == ("2.0.0", "available", None)


async def test_going_back_to_what_serves_beside_a_failure_disturbs_nothing(
    bus: NatsBus, tmp_path: Path
) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start(observing=False)
        await here.bring("web-base-1")
        failed = await here.bring("web-base-1", "replace", 2, beside=True)
        assert failed.modules["cart"].state == "failed"
        before = ran(here.fleet["web-base-1"])

        back = await here.bring("web-base-1", "observe", 1)

        entry = back.modules["cart"]
        assert (entry.version, entry.revision, entry.state, entry.serving) == ("1.0.0", 1, "available", None)
        assert ran(here.fleet["web-base-1"]) == before


async def test_a_withdrawn_claim_ends_unchanged(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        await here.start()
        await here.known("web-base-1")
        record = await here.bring("web-base-1", withdrawn=True)
        assert record.operation is not None
        assert record.operation.state == "unchanged"
        assert record.modules == {}
        assert ran(here.fleet["web-base-1"]) == []


async def test_two_versions_of_others_are_left_alone(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.contents = {1: content("1.0.0", 1), 2: content("2.0.0", 2, "greeter")}
        await here.start()
        await here.bring("web-base-1", module="greeter", revision=2)
        done = await here.bring("web-base-1")
        assert {name: entry.version for name, entry in done.modules.items()} == {
            "cart": "1.0.0",
            "greeter": "2.0.0",
        }


async def test_a_refused_install_is_failed_and_can_pass(bus: NatsBus, tmp_path: Path) -> None:
    async with stage(bus, tmp_path) as here:
        here.fleet["web-base-1"].arm(Fault(Kind.SAY_FAILED, command="installBiz", words="not now"))
        await here.start()
        failed = await here.bring("web-base-1")
        assert (failed.modules["cart"].state, failed.modules["cart"].passing) == ("failed", True)
        assert "not now" in failed.modules["cart"].message
