"""What a request for a preview asks: a manifest or a name, and which page of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tranche.bus.port import Request
from tranche.contract import subjects
from tranche.contract.answer import RefusedAnswer, refused
from tranche.contract.given import shown
from tranche.contract.manifest import Rejected, parse_manifest
from tranche.contract.names import NameKind, is_name, rule
from tranche_planner.core.wishes import Apply, read_fields, read_json

MANIFEST = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
LIMIT = 500
_PAGE = {"limit": int, "continue": str}


@dataclass(frozen=True, slots=True)
class PlanAsked:
    """``wish`` None: the deployment's own, as it stands."""

    namespace: str
    name: str
    wish: Apply | None
    skip: int
    limit: int


def read_plan(request: Request, url_allow: Sequence[str]) -> PlanAsked | RefusedAnswer:
    """The question in a request for a preview."""
    try:
        namespace, _ = subjects.read_api(request.subject)
    except ValueError as error:
        return refused(f"the subject cannot be read: {error}")
    if namespace == subjects.ALL_NAMESPACES:
        return refused(f"plan is for one deployment: give its namespace instead of {namespace}")
    body = read_json(request.data)
    if isinstance(body, RefusedAnswer):
        return body
    given = dict(body.value) if isinstance(body.value, dict) else None
    if given is None:
        return refused(
            f"got {shown(body.value)}; expected a ModuleDeployment manifest, or an object with a name"
        )
    page = read_fields({key: given.pop(key) for key in _PAGE if key in given}, _PAGE)
    if isinstance(page, RefusedAnswer):
        return page
    where = page.get("continue", "0")
    if not (where.isascii() and where.isdigit() and len(where) < 12):
        return refused(f"got {shown(where)}; expected what the page before answered", field="continue")
    skip, limit = int(where), page.get("limit", LIMIT)
    if MANIFEST.isdisjoint(given):
        fields = read_fields(given, {"name": str})
        if isinstance(fields, RefusedAnswer):
            return fields
        name = fields.get("name")
        if name is None or not is_name(NameKind.NAME, name):
            what = f"a ModuleDeployment manifest, or a deployment's name: {rule(NameKind.NAME)}"
            return refused(f"got {shown(name)}; expected {what}", field="name")
        return PlanAsked(namespace, name, None, skip, limit)
    parsed = parse_manifest(given, namespace=namespace, url_allow=url_allow)
    if isinstance(parsed, Rejected):
        return RefusedAnswer(errors=parsed.errors)
    return PlanAsked(namespace, parsed.spec.name, Apply(parsed.spec, parsed.warnings), skip, limit)
