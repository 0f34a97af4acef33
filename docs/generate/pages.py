"""Every generated page: where it stands, and what is on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from docs.generate.fields import fields_page
from docs.generate.notes import add_notes
from docs.generate.reasons import reasons_page
from docs.generate.settings import settings_page
from docs.generate.verbs import verbs_page
from tranche.asyncapi import describe
from tranche.bus.spread import Lease
from tranche.contract import subjects
from tranche.contract.message import Message
from tranche_planner.core.document import Document
from tranche_planner.store import Owner

ROOT = Path(__file__).parents[2]

KEPT: Mapping[str, type[Message]] = {
    subjects.DOCUMENTS: Document,
    subjects.OWNERS: Owner,
    subjects.LEASES: Lease,
}
"""Values in buckets that are one service's own."""


def pages() -> dict[str, str]:
    """By path below the project's folder."""
    return {
        "docs/asyncapi.yaml": asyncapi_page(),
        "docs/reference/fields.md": fields_page(),
        "docs/reference/verbs.md": verbs_page(),
        "docs/reference/reasons.md": reasons_page(),
        "docs/reference/settings.md": settings_page(),
    }


def asyncapi_page() -> str:
    description = describe(kept=KEPT)
    add_notes(description)
    body = yaml.dump(description, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=116)
    return f"# Generated from the messages by `make docs`; do not edit.\n{body}"


class _Plain(yaml.SafeDumper):
    """Writes everything out: anchors would hide what is the same."""

    def ignore_aliases(self, data: object) -> bool:
        return True
