"""What a pod's labels should say of its modules, so that Services send requests where they are answered: pure.

Only labels of modules that Tranche has, or had, are touched: those that another controller set for its own modules
stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tranche.contract.record import ModuleEntry, PodRecord
from tranche_executor.core.workload import Workload

PREFIX = "module.koupleless.io/"
COUNT = "koupleless.io/module-instance-count"
SERVES = "true"
LEFT = "tranche.dev/out-of-traffic"
"""An annotation, written anew each time a module leaves: whoever saw the pod before that may not bring it back."""
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")

Labels = Mapping[str, str | None]
"""Labels to write; None: to be removed."""


def label(module: str) -> str | None:
    """The label that says that a module serves; None: no label can have its name.

    >>> label("cart"), label("x" * 64)
    ('module.koupleless.io/cart', None)
    """
    return f"{PREFIX}{module}" if _LABEL.fullmatch(module) else None


def cleared(pod: Workload) -> Labels:
    """What takes a pod out of all traffic of ours: its process is another, is not ready, or ends."""
    return {name: None for name in pod.ours if name.startswith(PREFIX) and name in pod.labels}


def followed(pod: Workload, before: PodRecord | None, record: PodRecord) -> Labels:
    """The labels that are not yet as the record has it; ``before``: what the record was."""
    fit = pod.ready and not pod.terminating
    wanted: dict[str, str | None] = {
        name: None for name in pod.labels if name.startswith(PREFIX) and name in pod.ours
    }
    for known in (before, record):
        for module, entry in known.modules.items() if known is not None else ():
            name = label(module)
            if name is not None and (_is_ours(entry) or name in wanted):
                wanted[name] = SERVES if known is record and entry.serves and fit else None
    wanted[COUNT] = str(len(record.modules))
    return {name: value for name, value in wanted.items() if pod.labels.get(name) != value}


def _is_ours(entry: ModuleEntry) -> bool:
    return entry.revision > 0 or (entry.serving is not None and entry.serving.revision > 0)
