"""What a base says of itself every twelve seconds: who it is and where; nothing else is believed (design 5.2)."""

from __future__ import annotations

import json

from tranche.contract.names import NameKind, is_name, rule
from tranche.errors import Refused
from tranche_executor.arklet.address import read_address
from tranche_executor.core.pod import HEARTBEAT, Pod, PodKey

_SHOWN = 60


def read_beat(body: bytes) -> Pod:
    """The pod a heartbeat is of. Raises Refused naming field, value and what was expected of each fault.

    >>> read_beat(b'{"baseMetadata": {"clusterName": "shop", "name": "web", "identity": "web-1"},'
    ...           b' "localIP": "10.0.0.7", "port": 1238}').uid
    'web-1@10.0.0.7:1238'
    """
    try:
        beat = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON") from error
    problems: list[str] = []
    top = _object("the heartbeat", beat, problems)
    base = _object("baseMetadata", top.get("baseMetadata"), problems) if isinstance(beat, dict) else {}
    if problems:
        raise Refused("; ".join(problems))
    key = PodKey(
        _name("baseMetadata.clusterName", base.get("clusterName"), NameKind.NAMESPACE, problems),
        _name("baseMetadata.name", base.get("name"), NameKind.BASE, problems),
        _name("baseMetadata.identity", base.get("identity"), NameKind.POD, problems),
    )
    address = _address(top.get("localIP"), top.get("port"), problems)
    if problems:
        raise Refused("; ".join(problems))
    return Pod(key, f"{key.pod}@{address}", address, source=HEARTBEAT)


def _object(path: str, given: object, problems: list[str]) -> dict[str, object]:
    if isinstance(given, dict):
        return given
    problems.append(_wrong(path, given, "an object"))
    return {}


def _name(path: str, given: object, kind: NameKind, problems: list[str]) -> str:
    if isinstance(given, str) and is_name(kind, given):
        return given
    problems.append(_wrong(path, given, rule(kind)))
    return ""


def _address(host: object, port: object, problems: list[str]) -> str:
    if not isinstance(host, str):
        problems.append(_wrong("localIP", host, "an address as text"))
        return ""
    if not isinstance(port, int) or isinstance(port, bool):
        problems.append(_wrong("port", port, "a number of 1 to 65535"))
        return ""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    expected = read_address(address)
    if isinstance(expected, str):
        problems.append(_wrong("localIP:port", address, expected))
    return address


def _wrong(path: str, given: object, expected: str) -> str:
    if given is None:
        return f"{path} is missing: expected {expected}"
    shown = ascii(given)
    return f"{path} is {shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + '...'}: expected {expected}"
