"""The name somebody may have meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

_LONGEST = 64


def meant(name: str, *, here: Collection[str], elsewhere: Mapping[str, str]) -> str | None:
    """What to write instead: a field that stands here, or the path of one that stands elsewhere (by name).

    >>> meant("batchCuont", here=["batchCount", "useBeta"], elsewhere={})
    'batchCount'
    >>> meant("useBeta", here=["replicas"], elsewhere={"useBeta": "spec.operationStrategy.useBeta"})
    'spec.operationStrategy.useBeta'
    """
    if len(name) > _LONGEST:
        return None
    if exact := _by_letters(name, here):
        return exact
    if exact := _by_letters(name, elsewhere):
        return elsewhere[exact]
    if near := nearest(name, here):
        return near
    near = nearest(name, elsewhere, cutoff=0.8)
    return elsewhere[near] if near else None


def nearest(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str | None:
    """The known name closest to this one, letter case aside; None where nothing is close."""
    by_letters = {_letters(candidate): candidate for candidate in known}
    close = get_close_matches(_letters(name), by_letters, n=1, cutoff=cutoff)
    return by_letters[close[0]] if close else None


def _by_letters(name: str, known: Collection[str]) -> str | None:
    return next((candidate for candidate in known if _letters(candidate) == _letters(name)), None)


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
