"""What is installed: a revision's content, and the number it goes by."""

from __future__ import annotations

from tranche.contract.message import Message


class Content(Message):
    """A numbered revision: module, version, url, sha256, args and restart count (design 1)."""

    revision: int
    module: str
    version: str
    url: str = ""
    sha256: str | None = None
    args: tuple[str, ...] = ()
    restarts: int = 0

    def same_as(self, other: Content | None) -> bool:
        """Whether both install the same thing, whatever numbers they go by.

        >>> a = Content(revision=1, module="cart", version="1.0.0", url="http://m/cart.jar")
        >>> a.same_as(a.but(revision=7)), a.same_as(a.but(restarts=1)), a.same_as(None)
        (True, False, False)
        """
        return other is not None and {**self.__dict__, "revision": other.revision} == other.__dict__
