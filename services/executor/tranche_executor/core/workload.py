"""Deployments and pods as Kubernetes has them, and which of them are bases and theirs: pure.

A cluster is full of Deployments that have nothing to do with modules, and whoever answers at a pod's port is taken
for its base: so only what says that it is a base, or that a plan names, is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tranche_executor.core.capacity import SPELLINGS
from tranche_executor.core.pod import KUBERNETES, Pod, PodKey

PORT_NAME = "arklet"
BASE_LABEL = "tranche.dev/base"
PORT_ANNOTATION = "tranche.dev/arklet-port"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of a selector's matchExpressions."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """As Kubernetes judges; an operator we do not know matches nothing."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
            case _:
                return False


@dataclass(frozen=True, slots=True)
class Selector:
    """Which labels a pod must have."""

    labels: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all of it is met; an empty one, which no Deployment has, matches nothing.

        >>> Selector({"app": "web"}).matches({"app": "web", "zone": "a"}), Selector().matches({"app": "web"})
        (True, False)
        """
        if not self.labels and not self.requirements:
            return False
        wanted = all(labels.get(key) == value for key, value in self.labels.items())
        return wanted and all(requirement.met_by(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class Deployment:
    """``labels``: its own, over its template's. ``ports``: names and numbers of its containers' ports."""

    name: str
    selector: Selector
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod as its object tells. ``owner``: kind and name of its controller. ``port``: where it says arklet is.

    ``ours``: its labels that we wrote last.
    """

    namespace: str
    name: str
    uid: str
    ip: str = ""
    ready: bool = False
    terminating: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: tuple[str, str] | None = None
    port: int | None = None
    incarnation: str = ""
    created: str = ""
    ours: frozenset[str] = frozenset()


def is_base(deployment: Deployment, port: int) -> bool:
    """Whether a Deployment says so: by arklet's port, by how many modules its pods take, or plainly.

    >>> is_base(Deployment("web", Selector({"app": "web"}), ports=frozenset({("arklet", 9000)})), 1238)
    True
    """
    if any(name == PORT_NAME or number == port for name, number in deployment.ports):
        return True
    labels = deployment.labels
    return labels.get(BASE_LABEL) == "true" or any(spelling in labels for spelling in SPELLINGS)


def base_of(pod: Workload, bases: Iterable[Deployment]) -> Deployment | None:
    """The base a pod belongs to: whose selector matches, and whose ReplicaSet owns it where anybody does.

    A pod that several could own, and that no owner assigns, is nobody's: its modules would be counted twice.
    """
    found = [base for base in bases if base.selector.matches(pod.labels) and _may_own(base, pod)]
    return found[0] if len(found) == 1 else None


def described(pod: Workload, base: Deployment, port: int) -> Pod:
    """The pod as all sources describe one. Without an address it is known, and not ready."""
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    return Pod(
        key=PodKey(pod.namespace, base.name, pod.name),
        uid=pod.uid,
        address=f"{host}:{pod.port or port}" if pod.ip else "",
        ready=pod.ready and not pod.terminating and bool(pod.ip),
        terminating=pod.terminating,
        labels=pod.labels,
        base_labels=base.labels,
        source=KUBERNETES,
        incarnation=pod.incarnation,
    )


def displaced(pod: Pod) -> Pod:
    """The pod whose address another has by now: it must not be contacted under this one's name."""
    return replace(pod, address="", ready=False)


def _may_own(base: Deployment, pod: Workload) -> bool:
    if pod.owner is None:
        return True
    kind, name = pod.owner
    # A Deployment's ReplicaSets are named after it; we may not read them, and the hash has no dash.
    return kind == "ReplicaSet" and name.rpartition("-")[0] == base.name
