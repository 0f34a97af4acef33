"""Whatever a file of manifests or pods holds: read, or refused with its place and what was expected, and soon."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.installation import manifest
from tests.properties.bad_input import GARBAGE, broken, examples, mutated, one_line, tellable
from tests.properties.bad_stage import BASE, stage
from tranche.contract.answer import RefusedAnswer
from tranche.contract.manifest import Rejected, parse_manifest
from tranche.contract.names import NameKind, is_name
from tranche.contract.spec import Spec
from tranche.errors import Refused
from tranche_cli.documents import Document, parse
from tranche_executor.arklet.address import Address, read_address
from tranche_executor.core.pod import Pod, PodKey
from tranche_executor.pods.inventory import read_inventory

SHORT_S = 20.0
"""Seconds of the processor that reading one file may take at most."""
MANIFEST = manifest("cart", "1.0.0", replicas=3, batchCount=2, maxUnavailable="50%", module={"args": ["-x"]})
INVENTORY = {
    "pools": [
        {
            "namespace": "shop",
            "base": BASE,
            "labels": {"koupleless.io/max-module-count": "5"},
            "pods": [
                {
                    "name": "web-1",
                    "address": "web-1:1238",
                    "labels": {"a": "b"},
                    "ready": True,
                    "uid": "uid-web-1",
                },
                {"name": "web-2", "address": "web-2:1238", "uid": "uid-web-2"},
                {"name": "web-9", "address": "[fd00::7]:1238"},
            ],
        }
    ]
}
MARKS = st.sampled_from(
    [
        "\t",
        "\x00",
        "\x85",
        "\ufeff",
        "&a ",
        "*a",
        "<<: *a",
        "? ",
        "| ",
        "> ",
        "- ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        '"\\ud800"',
        '"\\U0010ffff"',
        "'",
        "{",
        "]",
        "#",
        "!!bool ",
        "!!int ",
        "!!float ",
        "!!timestamp ",
        "!!binary ",
        "!!set ",
        "!!omap ",
        "!!python/object:os.system ",
        "!x ",
        "0x",
        "1_0",
        "1:30:00",
        ".inf",
        ".nan",
        "2026-01-31",
        "~",
        "=",
        "@",
        "`",
        "\r",
        "\u2028",
        "!<%1B> ",
        "a: &a [*a]\n",
        "a: &a {<<: *a}\n",
        "1e999",
        "9" * 5000,
    ]
)


def texts(good: Any) -> st.SearchStrategy[bytes]:
    """Files that go wrong: fields, then letters, then bytes."""
    as_yaml = mutated(good).map(_dumped)
    return broken(mutated(good)) | GARBAGE | scribbled(st.just(_dumped(good)) | as_yaml)


def _dumped(document: Any) -> str:
    try:
        return yaml.safe_dump(document, allow_unicode=True)
    except (yaml.YAMLError, ValueError, RecursionError):
        return json.dumps(document)


@st.composite
def scribbled(draw: st.DrawFn, written: st.SearchStrategy[str]) -> bytes:
    text = draw(written)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(MARKS) + text[at + draw(st.integers(0, 3)) :]
    if draw(st.integers(0, 9)) == 0:
        text = f"{text}\n---\n{text}"
    data = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        return text.encode(draw(st.sampled_from(["utf-16", "utf-8-sig", "latin-1"])), "replace")
    return data


@examples(200)
@given(texts(MANIFEST))
def test_a_file_holds_manifests_or_is_told_why_not(data: bytes) -> None:
    for found in parse(data, "x.yaml"):
        if not isinstance(found, Document):
            one_line(str(found), longest=500)
            continue
        parsed = parse_manifest(found.manifest)
        if isinstance(parsed, Rejected):
            tellable(RefusedAnswer(errors=parsed.errors))
        else:
            assert Spec.decode(parsed.spec.encode()) == parsed.spec


@examples(300)
@given(texts(INVENTORY))
def test_an_inventory_lists_pods_or_every_reason_why_not(data: bytes) -> None:
    pods = inventory(data)
    for key, pod in pods.items():
        assert is_name(NameKind.NAMESPACE, key.namespace)
        assert is_name(NameKind.BASE, key.base)
        assert is_name(NameKind.POD, key.pod)
        assert isinstance(read_address(pod.address), Address)


def inventory(data: bytes) -> dict[PodKey, Pod]:
    """As the file's reader reads it; nothing where it refuses."""
    try:
        return read_inventory(data.decode(), "pods.yaml")
    except UnicodeDecodeError:
        return {}
    except Refused as error:
        lines = str(error).split("\n")
        assert len(lines) <= 21
        for line in lines:
            one_line(line, longest=700)
        return {}


@pytest.mark.parametrize(
    "scalar",
    [
        "!!bool maybe",
        '!!int ""',
        "!!int x",
        '!!float ""',
        "!!timestamp soon",
        "!!timestamp 2026-99-99",
        "!!binary x",
    ],
)
def test_a_scalar_that_is_not_what_its_tag_says_is_refused_with_its_place(scalar: str) -> None:
    (found,) = parse(f"spec:\n  replicas: {scalar}\n".encode(), "x.yaml")
    assert "line 2, column 13: " in str(found)
    with pytest.raises(Refused, match=r"line 1, column 8"):
        read_inventory(f"pools: {scalar}\n", "pods.yaml")


def test_merge_keys_copy_so_much_and_no_more() -> None:
    (found,) = parse(merged(150, 150).encode(), "x.yaml")
    assert "merge keys copy more than 20000 keys" in str(found)
    with pytest.raises(Refused, match="merge keys copy more than 1000000 keys"):
        read_inventory(merged(1000, 1001), "pods.yaml")
    (found,) = parse(merged(90, 90).encode(), "x.yaml")
    assert isinstance(found, Document)


def merged(keys: int, times: int) -> str:
    return f"a: &a {{{', '.join(f'k{n}: 1' for n in range(keys))}}}\nb:\n" + "  - {<<: *a}\n" * times


def lists(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join([*lines, f"pools: *a{depth - 1}", f"spec: *a{depth - 1}"])


def maps(depth: int) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}" for n in range(1, depth)]
    return "\n".join([*lines, f"pools: [*a{depth - 1}]", f"metadata: *a{depth - 1}"])


def merges(depth: int) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, depth)]
    return "\n".join([*lines, f"pools: [*a{depth - 1}]"])


BOMBS = {
    "lists of lists": lists(30),
    "maps of maps": maps(60),
    "merges of merges": merges(60),
    "many merges of one": merged(1000, 1001),
    "a pool merged into itself": "pools:\n- &p\n  <<: *p\n  pods: []\n",
    "a list in itself": "pools: &p [*p, *p, *p]\nspec: &s {spec: *s}\n",
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 50_000 + "x",
    "anchors": "".join(f"a{n}: &a{n} x\n" for n in range(20_000)),
    "a long word": "x" * 3_000_000,
    "a long number": "a: 1" + "0" * 300_000,
    "a long sexagesimal": "a: 1" + ":59" * 20_000,
    "many documents": "---\na: 1\n" * 5000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_unfolds_without_end_is_refused_soon(bomb: str) -> None:
    data, began = BOMBS[bomb].encode(), time.process_time()
    for found in parse(data, "x.yaml"):
        if isinstance(found, Document):
            parse_manifest(found.manifest)
        else:
            one_line(str(found), longest=500)
    assert not inventory(data)
    assert time.process_time() - began < SHORT_S


@examples(2, each=20)
@given(st.lists(texts(INVENTORY), min_size=20, max_size=20))
def test_an_executor_keeps_its_last_good_inventory(files: list[bytes]) -> None:
    asyncio.run(_rewritten(files))


async def _rewritten(files: list[bytes]) -> None:
    async with stage() as here:
        await here.apply("shop", "cart", "1.0.0", replicas=2)
        await here.healthy("shop", "cart", "1.0.0")
        for data in files:
            here.inventory.write_bytes(data)
            await here.pass_by(1)
        here.leave()
        await here.pass_by(1)
        await here.apply("shop", "cart", "2.0.0", replicas=2)
        await here.healthy("shop", "cart", "2.0.0", within_s=300)
