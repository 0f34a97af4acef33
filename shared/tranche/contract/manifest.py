"""From a document somebody wrote to a wish we carry out, or to every reason why not (design 1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tranche.contract.answer import FieldError
from tranche.contract.bounds import too_much
from tranche.contract.fields import (
    CONTAINERS,
    FIELDS,
    KIND,
    LEAVES,
    PLACES,
    SKIPPED,
    Field,
    Path,
    children,
)
from tranche.contract.given import quoted, shown
from tranche.contract.module_url import url_problem
from tranche.contract.spec import Spec
from tranche.contract.suggestions import meant
from tranche.contract.values import Wrong
from tranche.contract.wish import conflicts, spec_of, warnings_of

MOST_ERRORS = 100
_NAMESPACE = LEAVES["metadata", "namespace"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A valid wish, and what its author should know about it."""

    spec: Spec
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """All that is wrong with a document."""

    errors: tuple[FieldError, ...]


def parse_manifest(
    document: object,
    *,
    namespace: str | None = None,
    name: str | None = None,
    url_allow: Sequence[str] = (),
) -> Accepted | Rejected:
    """Reads a ModuleDeployment, as JSON or YAML loads it.

    ``namespace`` and ``name`` are the subject's; a manifest may leave out its namespace, never contradict.
    ``url_allow`` are the prefixes modules may come from; none: any sane URL. A field that is null counts as
    left out, as in Kubernetes.
    """
    excess = too_much(document)
    if excess:
        return Rejected((FieldError(field="", message=excess),))
    draft = _Draft()
    _walk(document, (), draft)
    _require(draft)
    _check_subject(draft, namespace, name)
    _check_url(draft, url_allow)
    for path, message in conflicts(draft.known, draft.wrong):
        draft.refuse(path, message)
    if draft.errors:
        return Rejected(draft.report())
    return Accepted(spec_of(draft.known), warnings_of(draft.known))


@dataclass(slots=True)
class _Draft:
    """What was read so far."""

    known: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    closed: list[Path] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    unsaid: int = 0

    @property
    def full(self) -> bool:
        return len(self.errors) >= MOST_ERRORS

    def refuse(self, path: str, message: str) -> None:
        if self.full:
            self.unsaid += 1
        else:
            self.errors.append(FieldError(field=path, message=message))

    def report(self) -> tuple[FieldError, ...]:
        more = FieldError(
            field="", message=f"and {self.unsaid} more errors; these are the first {MOST_ERRORS}"
        )
        return (*self.errors, more) if self.unsaid else tuple(self.errors)


def _walk(value: object, path: Path, draft: _Draft) -> None:
    if value is None and path:
        return
    if not isinstance(value, dict):
        draft.closed.append(path)
        draft.refuse(spelled(path), f"got {shown(value)}; expected {_container(path)}")
        return
    for key, inner in value.items():
        _visit(key, inner, path, draft)


def _visit(key: object, value: object, path: Path, draft: _Draft) -> None:
    if not isinstance(key, str):
        place = f"{spelled(path)}[{shown(key)}]"
        draft.refuse(place, f"got the key {shown(key)}; expected a name as text; {_known_here(path)}")
        return
    here = (*path, key)
    if here in SKIPPED:
        return
    if here in LEAVES:
        _read(LEAVES[here], spelled(here), value, draft)
    elif here in CONTAINERS:
        _walk(value, here, draft)
    elif draft.full:
        draft.unsaid += 1
    else:
        draft.refuse(spelled(here), _unknown(key, value, path))


def _read(field_: Field, path: str, value: object, draft: _Draft) -> None:
    if value is None:
        return
    meaning = field_.read(value)
    if isinstance(meaning, Wrong):
        draft.wrong.add(field_.meaning)
        draft.refuse(path, f"got {meaning.given or shown(value)}; expected {meaning.expected}")
    elif field_.meaning in draft.known and draft.known[field_.meaning] != meaning:
        other = draft.paths[field_.meaning]
        draft.refuse(path, f"got {shown(value)}; expected the same as {other}: both mean one field, give one")
    else:
        draft.known[field_.meaning] = meaning
        draft.paths.setdefault(field_.meaning, path)


def _require(draft: _Draft) -> None:
    for field_ in FIELDS:
        path = tuple(field_.path.split("."))
        inside_wrong = any(path[: len(closed)] == closed for closed in draft.closed)
        if field_.required and not inside_wrong and field_.meaning not in draft.known.keys() | draft.wrong:
            expected = field_.read(None)
            words = expected.expected if isinstance(expected, Wrong) else "a value"
            draft.refuse(field_.path, f"got nothing; expected {words}: it is required")


def _check_subject(draft: _Draft, namespace: str | None, name: str | None) -> None:
    for meaning, path, subject in (
        ("namespace", "metadata.namespace", namespace),
        ("name", "metadata.name", name),
    ):
        given = draft.known.get(meaning)
        if subject is not None and given is not None and given != subject:
            draft.refuse(path, f"got {quoted(given)}; expected {quoted(subject)}, as the subject says")
    if "namespace" not in draft.known.keys() | draft.wrong:
        # A subject can carry any text, a wish only a namespace.
        _read(_NAMESPACE, _NAMESPACE.path, "default" if namespace is None else namespace, draft)


def _check_url(draft: _Draft, url_allow: Sequence[str]) -> None:
    if "url" not in draft.known:
        return
    url = draft.known["url"]
    if problem := url_problem(url, url_allow):
        draft.refuse(draft.paths["url"], f"got {quoted(url)}; expected {problem}")


def _unknown(key: str, value: object, path: Path) -> str:
    suggestion = meant(key, here=children(path), elsewhere=PLACES)
    hint = f"did you mean {suggestion}?" if suggestion else _known_here(path)
    return f"got an unknown field with {shown(value)}; {hint}"


def _known_here(path: Path) -> str:
    return f"known here: {', '.join(children(path))}"


def _container(path: Path) -> str:
    names = ", ".join(children(path))
    return f"an object with {names}" if path else f"a {KIND} manifest, an object with {names}"


def spelled(path: Path) -> str:
    """A path as people write it; names that would not read as one are put in brackets.

    >>> spelled(("spec", "replicas")), spelled(("spec", "a.b"))
    ('spec.replicas', 'spec["a.b"]')
    """
    text = ""
    for part in path:
        plain = part.isascii() and part.replace("_", "").replace("-", "").isalnum() and len(part) <= 80
        text += (f".{part}" if text else part) if plain else f"[{quoted(part)}]"
    return text
