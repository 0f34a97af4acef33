"""Where documents are kept: one value per deployment, changed by CAS; and who owns a module on a pool."""

from __future__ import annotations

from tranche.bus import cas
from tranche.bus.cas import Held
from tranche.bus.port import Bus
from tranche.contract import subjects
from tranche.contract.message import Message
from tranche.errors import Conflict, Refused, Unavailable
from tranche.runtime import Runtime
from tranche_planner.core.document import Document

_STREAM = subjects.bucket_stream(subjects.DOCUMENTS)
_OWNERS = subjects.bucket_stream(subjects.OWNERS)


class Unreadable(Unavailable):
    """What is kept cannot be understood here: nothing is done with it, another planner may."""


class Owner(Message):
    """Whose a module on a pool is. It ends when that deployment's generation was deleted, without a write."""

    namespace: str
    name: str
    generation: int
    nonce: str = ""


class Store:
    """Documents and owners on the bus."""

    def __init__(self, bus: Bus, runtime: Runtime) -> None:
        self._bus = bus
        self._runtime = runtime

    async def load(self, namespace: str, name: str) -> Held[Document] | None:
        """The document now. Raises Unreadable where it cannot be understood: a newer release may."""
        try:
            return await cas.read(self._bus, Document, _STREAM, _key(namespace, name), home=_home)
        except Refused as error:
            raise Unreadable(str(error)) from error

    async def save(self, document: Document, *, expect: int) -> Held[Document]:
        """Raises Conflict when it changed since it was loaded, Refused when it is too large."""
        subject = _key(document.namespace, document.name)
        return await cas.swap(self._bus, self._runtime, _STREAM, subject, document, expect=expect)

    async def names(self, namespace: str | None = None) -> list[tuple[str, str]]:
        """Namespace and name of all documents, in order."""
        below = subjects.key(subjects.DOCUMENTS, *([namespace] if namespace else []))
        found = await self._bus.subjects(_STREAM, f"{below}.>")
        return sorted((parts[0], parts[1]) for parts in subjects.read_keys(found) if len(parts) == 2)

    async def own(self, document: Document) -> Owner | None:
        """Take the module on its pool for this new document; None, or the owner that has it.

        Raises Conflict when others keep trying as well.
        """
        subject = _owner_key(document)
        ours = Owner(namespace=document.namespace, name=document.name, generation=document.generation)
        for _ in range(10):
            held = await cas.read(self._bus, Owner, _OWNERS, subject)
            if held is not None and await self._other(held.value, document):
                return held.value
            try:
                # Written also where it is ours already: whoever finds our old deletion must lose to this.
                expect = held.sequence if held else 0
                await cas.swap(self._bus, self._runtime, _OWNERS, subject, ours, expect=expect)
            except Conflict:
                continue
            return None
        raise Conflict(f"{subject}: too many want to own it")

    async def owner(self, document: Document) -> Owner | None:
        """Who else has the module on its pool now; None: nobody."""
        held = await cas.read(self._bus, Owner, _OWNERS, _owner_key(document))
        return held.value if held is not None and await self._other(held.value, document) else None

    async def _other(self, owner: Owner, document: Document) -> bool:
        return owner.name != document.name and not await self._over(owner)

    async def _over(self, owner: Owner) -> bool:
        """Whether the owner was deleted since it became the owner. One without a document is about to save it."""
        held = await self.load(owner.namespace, owner.name)
        if held is None or held.value.generation < owner.generation:
            return False
        return held.value.deleted or held.value.generation > owner.generation


def _home(document: Document) -> str:
    """Raises ValueError where the document makes no sense in itself."""
    if fault := document.fault:
        raise ValueError(fault)
    return _key(document.namespace, document.name)


def _key(namespace: str, name: str) -> str:
    return subjects.key(subjects.DOCUMENTS, namespace, name)


def _owner_key(document: Document) -> str:
    spec = document.spec
    return subjects.key(subjects.OWNERS, document.namespace, spec.base, spec.module.name)
