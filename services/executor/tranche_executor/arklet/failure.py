"""Why a base said no: the cause, whether it can pass by itself, and the base's own words (design 1.6, 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tranche.errors import Refused
from tranche_executor.arklet.wire import Declined, text_of
from tranche_executor.arklet.words import last_cause, tidy, without_frames

DEEPEST = 20
"""Causes of causes that are followed."""
LOOKED_AT = 20_000
"""Characters at either end of what a base said that are searched for its cause."""


NO_REASON = "no reason was given"


class Cause(StrEnum):
    """What was at fault."""

    ARTEFACT = "artefact"
    MODULE = "module"
    BUSY = "busy"
    REPEAT = "repeat"
    NOT_FOUND = "not_found"
    VALIDATION = "validation"
    CONTEXT_PATH = "context_path"
    SPENT = "spent"
    """The request id was used before: this operation was not started (design 2.2)."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """A "no" as data. ``passing``: it can pass by itself, so it is worth trying again (design 1.6)."""

    cause: Cause
    passing: bool
    message: str

    @property
    def advice(self) -> str:
        """What to do instead, where that is known."""
        return ADVICE.get(self.cause, "")


ADVICE = {
    Cause.CONTEXT_PATH: (
        "two web modules with one context path cannot stand on one base: use upgradePolicy "
        "uninstall_then_install, or a path of its own in module.args, such as "
        "--server.servlet.context-path=/cart-{version}"
    ),
}


class BaseRefused(Refused):
    """The base understood and said no, or we did before it was asked; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


# The first row that is found in what the base said decides. A module that fails at start may name any
# exception as its own cause, a database's ConnectException too: InvocationTargetException tells it from
# arklet's own, so it comes before all of them. Every repetition is bounded, or megabytes of half a match would
# hold us for hours.
_RULES: tuple[tuple[re.Pattern[str], Cause, bool], ...] = tuple(
    (re.compile(pattern), cause, passing)
    for pattern, cause, passing in (
        (r"Child name \[[^\]]{0,300}\] is not unique", Cause.CONTEXT_PATH, False),
        (r"InvocationTargetException|OutOfMemoryError|must not be broken", Cause.MODULE, False),
        (r"requestId\(.{0,300}\) has been executed", Cause.SPENT, False),
        (r"exist unfinished command|command conflict", Cause.BUSY, True),
        (r"BizState must be |ILLEGAL_STATE_BIZ", Cause.BUSY, True),
        (r"REPEAT_BIZ", Cause.REPEAT, False),
        (r"NOT_FOUND_BIZ", Cause.NOT_FOUND, False),
        (r"CommandValidationException|CMD_NOT_FOUND|Master biz must not", Cause.VALIDATION, False),
        (
            r"ConnectException|UnknownHostException|NoRouteToHost|Socket\w{0,60}Exception",
            Cause.ARTEFACT,
            True,
        ),
        (r"HTTP response code: (408|429|5\d\d)|Premature EOF|EOFException", Cause.ARTEFACT, True),
        (r"FileNotFoundException|MalformedURLException|ZipException", Cause.ARTEFACT, False),
        (r"HTTP response code|SSL\w{0,60}Exception|UnknownServiceException", Cause.ARTEFACT, False),
    )
)


def explain(answer: Declined) -> Failure:
    """Why the base said no.

    >>> explain(Declined("FAILED", inner="REPEAT_BIZ", inner_message="Biz: cart:1.0.0 has been installed"))
    Failure(cause=<Cause.REPEAT: 'repeat'>, passing=False, message='Biz: cart:1.0.0 has been installed')
    """
    said = "\n".join(
        (answer.code, answer.inner, answer.message, answer.inner_message, without_frames(answer.trace))
    )
    words = (
        last_cause(answer.trace) or answer.inner_message or answer.message.removeprefix("Internal Error: ")
    )
    return _judge(said, words or answer.inner or answer.code)


def explain_record(message: str, throwable: object) -> Failure:
    """Why an asynchronous operation failed, from its record. It keeps exceptions, but no inner code.

    >>> explain_record("install biz not success!", None).cause
    <Cause.UNKNOWN: 'unknown'>
    """
    causes = list(_causes(throwable))
    return _judge("\n".join((message, *causes)), causes[-1] if causes else message or NO_REASON)


def _judge(said: str, words: str) -> Failure:
    message = tidy(words)
    if len(said) > 2 * LOOKED_AT:
        said = f"{said[:LOOKED_AT]}\n{said[-LOOKED_AT:]}"
    for pattern, cause, passing in _RULES:
        if pattern.search(said):
            return Failure(cause, passing, message)
    # Nobody knows that it cannot pass, and the tries are few.
    return Failure(Cause.UNKNOWN, True, message)


def _causes(throwable: object) -> list[str]:
    """A throwable and its causes from the outside in, each as ``type: message``."""
    causes: list[str] = []
    while isinstance(throwable, dict) and "@type" in throwable and len(causes) < DEEPEST:
        kind, message = text_of(throwable, "@type"), text_of(throwable, "message")
        causes.append(f"{kind}: {message}" if message else kind)
        throwable = throwable.get("cause")
    return causes
