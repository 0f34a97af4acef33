"""What is wrong with an inventory is told with file, field, value and expectation, all at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tranche.errors import Refused
from tranche.runtime import system_runtime
from tranche.settings import BadSetting, load
from tranche_executor.core.pod import PodKey
from tranche_executor.pods.inventory import read_inventory
from tranche_executor.pods.source import Sources
from tranche_executor.pods.static import StaticPods
from tranche_executor.settings import ExecutorSettings

GOOD = """
pools:
  - namespace: shop
    base: web-base
    labels: {koupleless.io/max-module-count: "5"}
    pods:
      - {name: web-base-1, address: 127.0.0.11:1238, labels: {a: b}, ready: false, uid: one}
      - {name: web-base-2, address: 127.0.0.12:1238}
"""


def test_an_inventory() -> None:
    pods = read_inventory(GOOD, "pods.yaml")
    first, second = pods.values()
    assert (first.uid, first.ready, dict(first.labels)) == ("one", False, {"a": "b"})
    assert (second.uid, second.ready) == ("web-base-2@127.0.0.12:1238", True)
    assert second.base_labels == {"koupleless.io/max-module-count": "5"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the document is missing"),
        ("pools: {}", "pools is an empty object: expected a list"),
        ("pools: [", "not YAML"),
        (GOOD.replace("base: web-base\n", "bass: web-base\n"), "pools[0].bass: unknown field"),
        (
            GOOD.replace("namespace: shop", "namespace: SHOP"),
            "pools[0].namespace is 'SHOP': expected 1 to 63",
        ),
        (
            GOOD.replace("127.0.0.12:1238", "127.0.0.12"),
            "pods[1].address is '127.0.0.12': expected host:port",
        ),
        (GOOD.replace("127.0.0.12:1238", "127.0.0.11:1238"), "each only once; pools[0].pods[0] has it too"),
        (GOOD.replace("web-base-2", "web-base-1"), "pods[1].name is 'web-base-1': expected each only once"),
        (GOOD.replace("ready: false", "ready: 'no'"), "pods[0].ready is 'no': expected true or false"),
        (
            GOOD.replace('"5"', "5"),
            "labels.koupleless.io/max-module-count is 5: expected text; write it in quotes",
        ),
        (GOOD.replace("uid: one", "uid: 1"), "pods[0].uid is 1: expected 1 to 253"),
        (GOOD.replace("127.0.0.12:1238", "169.254.169.254:80"), "expected a host that is not a link-local"),
    ],
)
def test_what_is_wrong_with_it(text: str, told: str) -> None:
    with pytest.raises(Refused) as error:
        read_inventory(text, "pods.yaml")
    assert str(error.value).startswith("pods.yaml: ")
    assert told in str(error.value)


async def test_the_file_is_followed_and_a_bad_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "pods.yaml"
    path.write_text(GOOD)
    runtime = system_runtime()
    sources = Sources([StaticPods(path, runtime.clock)], runtime)
    bell = asyncio.Event()
    sources.ring(bell)
    key = PodKey("shop", "web-base", "web-base-2")
    following = asyncio.ensure_future(sources.run())
    try:
        path.write_text("pools: [{}]")
        assert await sources.look(key) is not None
        assert not bell.is_set()
        path.write_text(GOOD.rpartition("      - ")[0])
        async with asyncio.timeout(3):
            await bell.wait()
        assert key not in sources.pods()
    finally:
        following.cancel()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "TRANCHE_PODS"),
        (["--pods", "kubernetes:shop"], "'kubernetes:shop' is no source of pods"),
        (["--pods", "kubernetes,kubernetes"], "kubernetes is named twice"),
        (
            ["--pods", "kubernetes", "--kubernetes-namespaces", "shop,Not_One"],
            "setting TRANCHE_KUBERNETES_NAMESPACES",
        ),
        (["--pods", "kubernetes", "--arklet-port", "0"], "setting TRANCHE_ARKLET_PORT"),
        (["--pods", "heartbeat:many"], "heartbeat:PORT with a port of 1 to 65535"),
        (["--pods", "heartbeat:70000"], "heartbeat:PORT with a port of 1 to 65535"),
        (["--pods", "heartbeat:1,heartbeat:2"], "heartbeat is named twice"),
        (["--pods", "heartbeat:1", "--heartbeat-silence", "0"], "TRANCHE_HEARTBEAT_SILENCE"),
        (["--pods", "pods.yaml"], "is no source of pods; expected static:FILE"),
        (["--pods", "static:a", "--executor-parallel", "0"], "TRANCHE_EXECUTOR_PARALLEL"),
        (["--pods", "static:a", "--url-allow", "modules.example"], "TRANCHE_URL_ALLOW"),
    ],
)
def test_bad_settings(flags: list[str], told: str) -> None:
    with pytest.raises(BadSetting, match=told):
        load(ExecutorSettings, flags, program="tranche-executor")


def test_settings() -> None:
    flags = ["--pods", "static:a, static:b", "--install-timeout", "5", "--url-allow", "http://m.example/"]
    settings = load(ExecutorSettings, flags, program="tranche-executor")
    assert settings.pods == ("static:a", "static:b")
    assert (settings.executor_parallel, settings.install_timeout, settings.observe_interval) == (64, 5, 30)
