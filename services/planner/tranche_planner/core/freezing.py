"""Freezes: which one covers a namespace, and what it means for a document (design 1.3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tranche.contract.explanation import Freeze
from tranche_planner.core.document import Document, Frozen, Mark
from tranche_planner.core.plans import held_level
from tranche_planner.core.words import signed


def covering(freezes: Iterable[Freeze], now: datetime) -> Freeze | None:
    """Of the freezes that concern a namespace the one that lasts longest; None where none is in force."""
    inforce = [one for one in freezes if one.until is None or one.until > now]
    endless = [one for one in inforce if one.until is None]
    if endless:
        return min(endless, key=lambda one: (one.since, one.namespace))
    return max(inforce, key=lambda one: (one.until or now, one.namespace), default=None)


def under(document: Document, freeze: Freeze | None, mark: Mark, now: datetime) -> Document:
    """The document under the freeze that covers it now. ``mark``: how new that knowledge is; what was saved by
    somebody who knew newer freezes stays."""
    frozen = document.frozen
    if frozen is not None and frozen.until is not None and now >= frozen.until:
        document, frozen = _thawed(document, "the freeze is over"), None
    if document.deleted or document.freeze_mark.supersedes(mark) or _same(frozen, freeze):
        return document
    if freeze is None:
        return _thawed(document, "the freeze was lifted").but(freeze_mark=mark)
    held_at = frozen.held_at if frozen else held_level(document)
    document = document.but(
        freeze_mark=mark,
        frozen=Frozen(
            since=freeze.since,
            until=freeze.until,
            scope=freeze.namespace,
            by=freeze.by,
            reason=freeze.reason,
            held_at=held_at,
            first_plan=frozen.first_plan if frozen else 0,
        ),
    )
    return document.told("Frozen", f"a freeze covers it{signed(freeze.by, freeze.reason)}")


def _thawed(document: Document, words: str) -> Document:
    return document.but(frozen=None).told("Resumed", words)


def _same(frozen: Frozen | None, freeze: Freeze | None) -> bool:
    if frozen is None or freeze is None:
        return frozen is None and freeze is None
    return (frozen.scope, frozen.since, frozen.until, frozen.by, frozen.reason) == (
        freeze.namespace,
        freeze.since,
        freeze.until,
        freeze.by,
        freeze.reason,
    )
