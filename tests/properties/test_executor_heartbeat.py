"""Whatever is sent as a heartbeat: a pod that may be named and asked, or a refusal of bounded length."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tranche.contract.names import NameKind, is_name
from tranche.errors import Refused
from tranche_executor.arklet.address import Address, read_address
from tranche_executor.core.pod import Pod
from tranche_executor.pods.beat import read_beat

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["shop", "web-base", "10.0.0.7", "TO_BE_IMPLEMENTED", "", "a" * 64, "x/y"])
HOSTS = st.sampled_from(
    ["10.0.0.7", "fd00::7", "localhost", "169.254.169.254", "::ffff:169.254.169.254", "h:1"]
)


@st.composite
def beats(draw: st.DrawFn) -> dict[str, Any]:
    """Nearly right ones: each field may be anything, or missing."""
    fields = {"clusterName": NAMES, "name": NAMES, "identity": NAMES}
    base = {name: draw(known | ANYTHING) for name, known in fields.items() if draw(st.integers(0, 9))}
    beat = {
        "baseMetadata": base if draw(st.integers(0, 9)) else draw(ANYTHING),
        "localIP": draw(HOSTS | ANYTHING),
        "port": draw(st.integers(-1, 70_000) | ANYTHING),
    }
    return {name: value for name, value in beat.items() if draw(st.integers(0, 9))}


def read(body: bytes) -> Pod | Refused:
    try:
        return read_beat(body)
    except Refused as refused:
        return refused


@given(st.binary(max_size=300) | beats().map(lambda beat: json.dumps(beat).encode()))
def test_a_pod_or_a_refusal(body: bytes) -> None:
    pod = read(body)
    if isinstance(pod, Refused):
        assert 0 < len(str(pod)) < 1500
        assert str(pod).isprintable()
        return
    assert is_name(NameKind.NAMESPACE, pod.key.namespace)
    assert is_name(NameKind.BASE, pod.key.base)
    assert is_name(NameKind.POD, pod.key.pod)
    assert isinstance(read_address(pod.address), Address)
    assert pod.uid == f"{pod.key.pod}@{pod.address}"
    assert pod.labels == {}
