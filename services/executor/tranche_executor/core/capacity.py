"""How many modules a pod may hold, and whether it takes any, by its labels and its base's (design 1.1, 1.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tranche_executor.core.pod import Pod

SPELLINGS = (
    "koupleless.io/max-module-count",
    "koupleless.alipay.com/max-module-count",
    "serverless.alipay.com/max-module-count",
)
CORDONED = "tranche.dev/cordoned"
_LIMIT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Capacity:
    """``max_modules`` None: unlimited. ``problem``: why the label cannot be read; such a pod takes nothing new."""

    max_modules: int | None = None
    problem: str = ""
    cordoned: bool = False


def capacity(pod: Pod) -> Capacity:
    """The first spelling found counts, on the pod before the base.

    >>> from tranche_executor.core.pod import PodKey
    >>> pod = Pod(PodKey("shop", "web", "web-1"), "u", "h:1", base_labels={SPELLINGS[0]: "5"})
    >>> capacity(pod)
    Capacity(max_modules=5, problem='', cordoned=False)
    """
    cordoned = any(labels.get(CORDONED) == "true" for labels in (pod.labels, pod.base_labels))
    for whose, labels in (("pod", pod.labels), ("base", pod.base_labels)):
        found = _first(labels)
        if found is None:
            continue
        spelling, text = found
        if _LIMIT.fullmatch(text) is None:
            given = text[:40]
            problem = f"label {spelling} of the {whose} is {given!r}: expected a whole number from 0"
            return Capacity(problem=problem, cordoned=cordoned)
        return Capacity(max_modules=int(text), cordoned=cordoned)
    return Capacity(cordoned=cordoned)


def _first(labels: Mapping[str, str]) -> tuple[str, str] | None:
    return next(((spelling, labels[spelling]) for spelling in SPELLINGS if spelling in labels), None)
