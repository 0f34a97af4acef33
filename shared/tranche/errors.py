"""The errors of Tranche: the class says what the caller does next.

    TrancheError
    ├── Unavailable        again later: nothing was done
    ├── Unknown            look before acting: it may have been done
    ├── Conflict           reload and decide again: somebody else was first
    ├── Full               the subject already holds its message: nothing to do
    ├── Refused            never again as it is: the reason is told to whoever asked
    │   └── Forbidden      the credentials do not allow the subject named in the message
    └── LostHistory        stop: what was acknowledged before is gone

Adapters translate their vendors' errors into these once, at the edge, ``from`` the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tranche.contract.answer import FieldError


class TrancheError(Exception):
    """Base of all errors below."""


class Unavailable(TrancheError):
    """The other side cannot be reached or is not ready: nothing was done, try again later."""


class Unknown(TrancheError):
    """No answer came back: it may or may not have been done. Read back before acting."""


class Conflict(TrancheError):
    """The value changed since it was read: reload and decide again."""


class Full(TrancheError):
    """The subject already holds as many messages as it may: an earlier one is still there."""


class Refused(TrancheError):
    """The other side understood and said no: repeating it changes nothing.

    ``errors``: which fields are at fault, where a planner refused a request.
    """

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class Forbidden(Refused):
    """The credentials in use do not allow this; the message names the subject."""


class LostHistory(TrancheError):
    """The broker has forgotten writes that it had acknowledged."""
