"""A fresh private key with which an apiserver signs the tokens of service accounts."""

from __future__ import annotations

import base64
import secrets
from textwrap import wrap

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256 (FIPS 186-5)."""
_BEFORE = bytes.fromhex("30310201010420")
_AFTER = bytes.fromhex("a00a06082a8648ce3d030107")


def signing_key() -> str:
    """An EC private key of P-256 as PEM (RFC 5915): the number and the curve; whoever reads it reckons the
    public point. Written by hand because neither openssl nor a package that makes keys need be here."""
    number = 1 + secrets.randbelow(_ORDER - 1)
    body = base64.b64encode(_BEFORE + number.to_bytes(32, "big") + _AFTER).decode()
    return "\n".join(["-----BEGIN EC PRIVATE KEY-----", *wrap(body, 64), "-----END EC PRIVATE KEY-----", ""])
