"""Names: which ones are allowed, how ``namespace/name`` is read, and how a name becomes a subject token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from tranche.contract.given import quoted
from tranche.errors import Refused

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_WHOLLY_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPE = re.compile(r"=([0-9A-F]{2})")


class NameKind(StrEnum):
    """What a name names; the value is the word users read."""

    NAMESPACE = "namespace"
    NAME = "name"
    BASE = "base"
    POD = "pod"
    MODULE = "module name"


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    longest: int
    sentence: str


_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_WIDE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_WIDE_SENTENCE = "letters, digits, '-', '_' and '.', a letter or digit at both ends"

# Namespace and name are Kubernetes' own (DNS-1123), so what runs without Kubernetes can move there. Bases
# and pods are named by heartbeats and inventories too (identities, addresses, "TO_BE_IMPLEMENTED": design
# 5.2), so those take what DNS-1123 takes plus capitals and '_'. A module's name ends a pod label: 63.
_RULES = {
    NameKind.NAMESPACE: _Rule(
        re.compile(_LABEL), 63, "lower-case letters, digits and '-', a letter or digit at both ends"
    ),
    NameKind.NAME: _Rule(
        re.compile(rf"{_LABEL}(\.{_LABEL})*"),
        253,
        "lower-case letters, digits, '-' and '.', a letter or digit at both ends and beside each '.'",
    ),
    NameKind.BASE: _Rule(_WIDE, 253, _WIDE_SENTENCE),
    NameKind.POD: _Rule(_WIDE, 253, _WIDE_SENTENCE),
    NameKind.MODULE: _Rule(_WIDE, 63, _WIDE_SENTENCE),
}


def rule(kind: NameKind) -> str:
    """The rule for names of this kind, as a sentence for people.

    >>> rule(NameKind.NAMESPACE)
    "1 to 63 characters: lower-case letters, digits and '-', a letter or digit at both ends"
    """
    return f"1 to {_RULES[kind].longest} characters: {_RULES[kind].sentence}"


def is_name(kind: NameKind, text: str) -> bool:
    """Whether the text may name such a thing.

    >>> is_name(NameKind.NAME, "cart.v2"), is_name(NameKind.NAME, "Cart"), is_name(NameKind.BASE, "Cart")
    (True, False, True)
    """
    allowed = _RULES[kind]
    return len(text) <= allowed.longest and allowed.pattern.fullmatch(text) is not None


def split(text: str, default_namespace: str) -> tuple[str, str]:
    """Namespace and name of ``namespace/name``, or of ``name`` in the default namespace.

    Raises Refused with a sentence for people when either is no name.

    >>> split("shop/cart", "default"), split("cart", "default")
    (('shop', 'cart'), ('default', 'cart'))
    """
    before, slash, after = text.partition("/")
    namespace, name = (before, after) if slash else (default_namespace, before)
    for kind, part in ((NameKind.NAMESPACE, namespace), (NameKind.NAME, name)):
        if not is_name(kind, part):
            raise Refused(f"{part!a} is no {kind}: {rule(kind)} (in {text!a}; write namespace/name)")
    return namespace, name


@lru_cache(maxsize=10_000)
def token(name: str) -> str:
    """The name as one subject token and one part of a key (design 3): ``=XX`` per byte of other characters.

    Raises ValueError for the empty name, which no token can carry, and for text that has no UTF-8.

    >>> token("web.0"), token("größe")
    ('web=2E0', 'gr=C3=B6=C3=9Fe')
    """
    if _WHOLLY_PLAIN.fullmatch(name):
        return name
    if not name:
        raise ValueError("an empty name is no subject token")
    return "".join(chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in name.encode())


def untoken(token_: str) -> str:
    """The name behind a token. Raises ValueError where ``token`` would not have written it so: one name has
    one spelling, so two subjects never mean the same thing.

    >>> untoken("web=2E0")
    'web.0'
    """
    if _WHOLLY_PLAIN.fullmatch(token_):
        return token_
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), token_)
    try:
        name = raw.encode("latin-1").decode()
    except UnicodeError:
        name = ""
    if not name or token(name) != token_:
        raise ValueError(f"{quoted(token_)} is no name's token")
    return name
