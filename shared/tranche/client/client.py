"""Everything people and scripts ask of Tranche, typed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from tranche.bus.port import Bus
from tranche.client import watching
from tranche.client.asking import Question
from tranche.client.until import Outcome, Until, judge
from tranche.contract import subjects
from tranche.contract.answer import AcceptedAnswer, FieldError, RefusedAnswer, read_answer
from tranche.contract.explanation import Explanation, RevisionHistory
from tranche.contract.message import rfc3339
from tranche.contract.preview import MOST_STEPS, Preview
from tranche.contract.record import PodRecord
from tranche.contract.status import Status
from tranche.errors import Refused, Unavailable, Unknown
from tranche.runtime import Runtime

DEFAULT_NAMESPACE = "default"
ANSWER_TIMEOUT_S = 15.0
"""Longer than the event of a planner that died needs to reach another one."""

T = TypeVar("T")


class Client:
    """Asks the planners and follows rollouts over one connection; made by ``tranche.connect``.

    All methods raise ``Refused`` (with ``errors`` naming the fields where a planner said no), ``Unavailable``
    (NATS is not reachable, or no planner answers) and ``Unknown`` (asked, but no answer came: verbs are
    idempotent, so asking again is safe).
    """

    def __init__(self, bus: Bus, runtime: Runtime, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._bus = bus
        self._runtime = runtime
        self._timeout_s = timeout_s

    @property
    def connected(self) -> bool:
        """Whether the connection is up now; it comes back by itself."""
        return self._bus.connected

    async def apply(self, manifest: Mapping[str, Any], *, namespace: str | None = None) -> AcceptedAnswer:
        """Ask for what a ModuleDeployment manifest says.

        ``namespace`` stands in for one the manifest does not give; a different one is refused.
        """
        place = namespace or _namespace_of(manifest) or DEFAULT_NAMESPACE
        return await self._verb(place, "apply", manifest)

    async def confirm(
        self,
        namespace: str,
        name: str,
        *,
        generation: int | None = None,
        batch: int | None = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> AcceptedAnswer:
        """Let the rollout go on behind a batch; without ``batch`` behind the one that waits."""
        return await self._about(
            namespace, name, "confirm", generation=generation, batch=batch, by=by, reason=reason
        )

    async def pause(
        self, namespace: str, name: str, *, by: str | None = None, reason: str | None = None
    ) -> AcceptedAnswer:
        """Stop new disruptions at once; what is under way finishes."""
        return await self._about(namespace, name, "pause", by=by, reason=reason)

    async def resume(
        self, namespace: str, name: str, *, by: str | None = None, reason: str | None = None
    ) -> AcceptedAnswer:
        """Go on after a pause."""
        return await self._about(namespace, name, "resume", by=by, reason=reason)

    async def abort(
        self, namespace: str, name: str, *, by: str | None = None, reason: str | None = None
    ) -> AcceptedAnswer:
        """Go back to what was stable before this rollout."""
        return await self._about(namespace, name, "abort", by=by, reason=reason)

    async def delete(
        self,
        namespace: str,
        name: str,
        *,
        abandon: bool = False,
        by: str | None = None,
        reason: str | None = None,
    ) -> AcceptedAnswer:
        """Uninstall all replicas and forget the deployment; ``abandon``: pods that do not answer keep theirs."""
        return await self._about(namespace, name, "delete", abandon=abandon or None, by=by, reason=reason)

    async def promote(
        self,
        namespace: str,
        name: str,
        *,
        full: bool = False,
        by: str | None = None,
        reason: str | None = None,
    ) -> AcceptedAnswer:
        """Open the gates of the batch that waits; ``full``: all remaining ones of this rollout."""
        return await self._about(namespace, name, "promote", full=full or None, by=by, reason=reason)

    async def retry(
        self, namespace: str, name: str, *, by: str | None = None, reason: str | None = None
    ) -> AcceptedAnswer:
        """Try failed replicas again, or an aborted wish from the start."""
        return await self._about(namespace, name, "retry", by=by, reason=reason)

    async def restart(
        self, namespace: str, name: str, *, by: str | None = None, reason: str | None = None
    ) -> AcceptedAnswer:
        """Install the same content again on every replica, as a new rollout."""
        return await self._about(namespace, name, "restart", by=by, reason=reason)

    async def undo(
        self,
        namespace: str,
        name: str,
        *,
        revision: int | None = None,
        fast: bool = False,
        by: str | None = None,
        reason: str | None = None,
    ) -> AcceptedAnswer:
        """Roll out an older revision, without one the last stable before; ``fast``: without gates."""
        return await self._about(
            namespace, name, "undo", revision=revision, fast=fast or None, by=by, reason=reason
        )

    async def replace(
        self, namespace: str, name: str, pod: str, *, by: str | None = None, reason: str | None = None
    ) -> AcceptedAnswer:
        """Take the replica off a pod and place it anew."""
        return await self._about(namespace, name, "replace", pod=pod, by=by, reason=reason)

    async def scale(self, namespace: str, name: str, replicas: int) -> AcceptedAnswer:
        """Change the number of replicas alone."""
        return await self._about(namespace, name, "scale", replicas=replicas)

    async def freeze(
        self,
        namespace: str | None = None,
        *,
        until: datetime | None = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> AcceptedAnswer:
        """Disturb nothing new in a namespace, or in all; ``until``: it ends by itself then."""
        body = {"until": rfc3339(until) if until else None, "by": by, "reason": reason}
        given = {key: value for key, value in body.items() if value is not None}
        return await self._verb(namespace or subjects.ALL_NAMESPACES, "freeze", given)

    async def unfreeze(
        self, namespace: str | None = None, *, by: str | None = None, reason: str | None = None
    ) -> AcceptedAnswer:
        """Lift a freeze."""
        given = {key: value for key, value in {"by": by, "reason": reason}.items() if value is not None}
        return await self._verb(namespace or subjects.ALL_NAMESPACES, "unfreeze", given)

    async def plan(self, manifest: Mapping[str, Any], *, namespace: str | None = None) -> Preview:
        """What applying the manifest would lead to, pod by pod; nothing is changed."""
        place = namespace or _namespace_of(manifest) or DEFAULT_NAMESPACE
        return await self._preview(place, manifest)

    async def plan_of(self, namespace: str, name: str) -> Preview:
        """What is still to come of the wish as it stands."""
        return await self._preview(namespace, {"name": name})

    async def explain(self, namespace: str, name: str) -> Explanation:
        """Every gate and every clause of the budget."""
        return await self._read(namespace, "explain", {"name": name}, Explanation.model_validate)

    async def history(self, namespace: str, name: str) -> tuple[RevisionHistory, ...]:
        """The revisions that are kept, oldest first."""
        return await self._items(
            namespace, "history", {"name": name}, RevisionHistory.model_validate, field="revisions"
        )

    async def get(self, namespace: str, name: str) -> Status:
        """The status now, from a planner."""
        return await self._read(namespace, "get", {"name": name}, Status.model_validate)

    async def list(self, namespace: str | None = None) -> tuple[Status, ...]:
        """The statuses of a namespace, or of all."""
        return await self._items(namespace or subjects.ALL_NAMESPACES, "list", {}, Status.model_validate)

    async def pods(self, namespace: str, name: str) -> tuple[PodRecord, ...]:
        """What is known of the pods of a deployment's pool."""
        return await self._items(namespace, "pods", {"name": name}, PodRecord.model_validate)

    def watch(self, namespace: str | None = None, name: str | None = None) -> AsyncIterator[Status]:
        """The last status first, then each new one, for ever; of all deployments where no name is given, of all
        namespaces where none is.

        Goes on after the connection or the server was away, without gaps.
        """
        return watching.live(self._bus, self._runtime.clock, _statuses(namespace, name))

    def events(
        self, namespace: str | None = None, name: str | None = None, *, follow: bool = False
    ) -> AsyncIterator[Status]:
        """Every status the stream still keeps, oldest first; ``follow``: then each new one, for ever."""
        return watching.history(self._bus, self._runtime.clock, _statuses(namespace, name), follow=follow)

    async def wait(
        self,
        namespace: str,
        name: str,
        until: Until,
        *,
        generation: int = 0,
        timeout_s: float | None = None,
    ) -> Outcome:
        """Watch until the rollout is there, needs a person, or has failed.

        ``generation``: what ``apply`` answered, so that the status of an earlier one is not taken for it.
        Raises TimeoutError after ``timeout_s`` seconds.
        """
        async with self._runtime.clock.timeout(timeout_s):
            async for status in self.watch(namespace, name):
                if verdict := judge(status, until, generation=generation):
                    return Outcome(verdict, status)
        raise Unavailable("the stream of statuses has ended")

    async def _about(self, namespace: str, name: str, verb: str, **about: object) -> AcceptedAnswer:
        body = {key: value for key, value in about.items() if value is not None}
        return await self._verb(namespace, verb, {"name": name, **body})

    async def _verb(self, namespace: str, verb: str, body: Mapping[str, Any]) -> AcceptedAnswer:
        data = await self._ask(namespace, verb, body)
        try:
            answer = read_answer(data)
        except ValueError as error:
            raise _nonsense(verb, data) from error
        if isinstance(answer, RefusedAnswer):
            raise _refusal(answer.errors)
        return answer

    async def _read(self, namespace: str, verb: str, body: Mapping[str, Any], parse: Callable[[Any], T]) -> T:
        data = await self._ask(namespace, verb, body)
        try:
            document = json.loads(data)
            if isinstance(document, dict) and document.get("accepted") is False:
                raise _refusal(RefusedAnswer.model_validate(document).errors)
            return parse(document)
        except (ValueError, LookupError, TypeError) as error:
            raise _nonsense(verb, data) from error

    async def _preview(self, namespace: str, body: Mapping[str, Any]) -> Preview:
        """All pages of a preview, each batch whole."""
        # As many as a message holds: each page of a preview costs the scheduler a look at the whole pool.
        body = {**body, "limit": MOST_STEPS}
        whole = await self._read(namespace, "plan", body, Preview.model_validate)
        more = whole.continue_
        while more:
            page = await self._read(namespace, "plan", {**body, "continue": more}, Preview.model_validate)
            if page.continue_ == more:
                raise Unknown("the planner answered plan with the same page twice")
            whole, more = _joined(whole, page), page.continue_
        return whole.but(continue_=None)

    async def _items(
        self,
        namespace: str,
        verb: str,
        body: Mapping[str, Any],
        parse: Callable[[Any], T],
        *,
        field: str = "items",
    ) -> tuple[T, ...]:
        """All pages of an answer that comes in pages."""
        items: tuple[T, ...] = ()
        where: dict[str, Any] = {}
        while True:
            page, more = await self._read(
                namespace,
                verb,
                {**body, **where},
                lambda document: (tuple(map(parse, document[field])), document.get("continue")),
            )
            items += page
            if not more:
                return items
            if where == {"continue": more}:
                raise Unknown(f"the planner answered {verb} with the same page twice")
            where = {"continue": more}

    async def _ask(self, namespace: str, verb: str, body: Mapping[str, Any]) -> bytes:
        try:
            subject = subjects.api(namespace, verb)
            data = json.dumps(body, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError) as error:
            raise Refused(f"this cannot be sent as JSON: {error}") from error
        return await Question(self._bus, self._runtime, subject, data).answer(timeout_s=self._timeout_s)


def _namespace_of(manifest: Mapping[str, Any]) -> str | None:
    metadata = manifest.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    # Anything else is for the planner to refuse, with all other errors of the document.
    return namespace if isinstance(namespace, str) and namespace else None


def _joined(whole: Preview, page: Preview) -> Preview:
    """A preview with the pods of its next page; a batch may go on there."""
    batches = {batch.index: batch for batch in whole.batches}
    for batch in page.batches:
        known = batches.get(batch.index)
        batches[batch.index] = known.but(pods=(*known.pods, *batch.pods)) if known else batch
    return whole.but(batches=tuple(batches[index] for index in sorted(batches)))


def _statuses(namespace: str | None, name: str | None) -> str:
    return subjects.status(namespace, name) if namespace and name else subjects.statuses_of(namespace)


def _refusal(errors: tuple[FieldError, ...]) -> Refused:
    return Refused("\n".join(map(str, errors)) or "refused without a reason", errors)


def _nonsense(verb: str, data: bytes) -> Unknown:
    return Unknown(f"the answer to {verb} cannot be understood: {data[:200].decode(errors='replace')}")
