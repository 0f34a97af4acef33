"""One pod's base, seen from an operation: what it says, or that it is silent, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from tranche.contract.content import Content
from tranche.errors import Unavailable, Unknown
from tranche_executor.arklet.client import ArkletClient
from tranche_executor.arklet.failure import BaseRefused, Cause, Failure
from tranche_executor.arklet.operation import Operation, OperationState
from tranche_executor.core.fence import Told
from tranche_executor.core.observation import Seen, Silence
from tranche_executor.core.step import Change, Install, Switch, Uninstall


@dataclass(frozen=True, slots=True)
class Sent:
    """It reached the base, or may have: what is known of its id."""

    told: Told


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely nothing reached the base."""

    message: str


class Base:
    """The base at an address."""

    def __init__(self, client: ArkletClient, address: str) -> None:
        self._client = client
        self._address = address

    async def look(self) -> Seen:
        """All modules on it."""
        try:
            return await self._client.query(self._address)
        except (Unavailable, Unknown, BaseRefused) as error:
            return Silence(str(error))

    async def ask(self, id_: str, before: Told) -> Told | Silence:
        """What it remembers of a request id."""
        try:
            operation = await self._client.operation(self._address, id_)
        except (Unavailable, Unknown, BaseRefused) as error:
            return Silence(str(error))
        return Told(operation, spent=before.spent)

    async def burn(self, id_: str, before: Told) -> Told | Silence:
        """Spend a request id on nothing."""
        try:
            burnt = await self._client.burn(self._address, id_)
        except Unknown:
            return Told()  # it may be burnt: ask again
        except (Unavailable, BaseRefused) as error:
            return Silence(str(error))
        # Known before although there was no record: asked once more, it may have come in between.
        return Told(burnt=True) if burnt else Told(None if not before.spent else before.operation, spent=True)

    async def send(self, change: Change, content: Content | None, id_: str) -> Sent | NotSent:
        """Send a changing call."""
        try:
            operation = await self._send(change, content, id_)
        except Unavailable as error:
            return NotSent(str(error))
        except Unknown:
            return Sent(Told())
        except BaseRefused as refused:
            if refused.failure.cause is Cause.SPENT:
                return Sent(Told(spent=True))
            return Sent(Told(_failed(id_, refused.failure)))
        return Sent(Told(operation))

    async def _send(self, change: Change, content: Content | None, id_: str) -> Operation:
        match change:
            case Install(module, version):
                url, args = (content.url, content.args) if content is not None else ("", ())
                return await self._client.install(self._address, module, version, url, args, id_)
            case Uninstall(module, version):
                return await self._client.uninstall(self._address, module, version, id_)
            case Switch(module, version):
                await self._client.switch(self._address, module, version)
                return Operation(id_, OperationState.SUCCEEDED)
            case _:
                assert_never(change)


def _failed(id_: str, failure: Failure) -> Operation:
    return Operation(id_, OperationState.FAILED, failure)
