"""Java's way of saying what went wrong: exception chains, their stack traces as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tranche_fleet.edition import Edition

ARKLET = "com.alipay.sofa.koupleless.arklet.core"
RUNTIME_EXCEPTION = f"{ARKLET}.common.exception.ArkletRuntimeException"
VALIDATION_EXCEPTION = f"{ARKLET}.common.exception.CommandValidationException"
HANDLERS = f"{ARKLET}.command.builtin.handler"
META = f"{ARKLET}.command.meta.AbstractCommandHandler"
PROCESS = f"{ARKLET}.command.CommandServiceImpl"
INVOCATION = "java.lang.reflect.InvocationTargetException"
BEAN_CREATION = "org.springframework.beans.factory.BeanCreationException"
CONTEXT = "org.springframework.context.ApplicationContextException"


@dataclass(frozen=True, slots=True)
class Thrown:
    """One exception: its class and message."""

    kind: str
    message: str | None = None

    def __str__(self) -> str:
        return self.kind if self.message is None else f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack trace. A line of -2 is a native method."""

    owner: str
    method: str
    line: int
    jdk: bool = False

    @property
    def file(self) -> str:
        return self.owner.rpartition(".")[2].partition("$")[0] + ".java"

    def text(self, *, module: bool = False) -> str:
        where = "Native Method" if self.line == -2 else f"{self.file}:{self.line}"
        return f"\tat {'java.base/' if module and self.jdk else ''}{self.owner}.{self.method}({where})"

    def document(self) -> dict[str, Any]:
        own = {"moduleName": "java.base", "moduleVersion": "17.0.15"} if self.jdk else {}
        return {
            "className": self.owner,
            "fileName": self.file,
            "lineNumber": self.line,
            "methodName": self.method,
            **own,
            "nativeMethod": self.line == -2,
        }


REFLECTION = (
    Frame("jdk.internal.reflect.NativeMethodAccessorImpl", "invoke0", -2, jdk=True),
    Frame("jdk.internal.reflect.NativeMethodAccessorImpl", "invoke", 77, jdk=True),
    Frame("jdk.internal.reflect.DelegatingMethodAccessorImpl", "invoke", 43, jdk=True),
)
WEB_CONTEXT = "org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext"
FRAMES = {
    INVOCATION: REFLECTION,
    CONTEXT: (
        Frame(WEB_CONTEXT, "onRefresh", 165),
        Frame("org.springframework.context.support.AbstractApplicationContext", "refresh", 618),
        Frame(WEB_CONTEXT, "refresh", 146),
    ),
    "java.lang.IllegalArgumentException": (
        Frame("org.apache.catalina.core.ContainerBase", "addChildInternal", 584),
        Frame("org.apache.catalina.core.ContainerBase", "addChild", 571),
        Frame("org.apache.catalina.core.StandardHost", "addChild", 654),
    ),
    "java.io.FileNotFoundException": (
        Frame("java.io.FileInputStream", "open0", -2, jdk=True),
        Frame("java.io.FileInputStream", "open", 216, jdk=True),
        Frame("java.io.FileInputStream", "<init>", 157, jdk=True),
    ),
}
"""Where the recorded exceptions were thrown; of others a simulated base does not say."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a handler threw: the chain of causes, outermost first."""

    causes: tuple[Thrown, ...]

    @property
    def message(self) -> str:
        """The words arklet puts into its answer and its records."""
        return str(self.causes[0])

    @property
    def root(self) -> Thrown:
        """The cause a person wants to know."""
        return self.causes[-1]


def failure(*causes: tuple[str, str | None]) -> Failure:
    """A failure from (class, message) pairs, outermost first."""
    return Failure(tuple(Thrown(kind, message) for kind, message in causes))


def start_failure(words: str) -> Failure:
    """A module whose Spring context does not come up."""
    return failure(
        (INVOCATION, None),
        (BEAN_CREATION, f"Error creating bean with name 'bizApp': {words}"),
        ("java.lang.IllegalStateException", words),
    )


def context_path_taken(path: str) -> Failure:
    """A second web module on one context path (design 5.2)."""
    return failure(
        (INVOCATION, None),
        (CONTEXT, "Unable to start web server"),
        ("java.lang.IllegalArgumentException", f"Child name [{path}] is not unique"),
    )


def wrong_state() -> Failure:
    """Uninstalling a biz that is still starting."""
    return failure(
        ("java.lang.IllegalArgumentException", "BizState must be ACTIVATED, DEACTIVATED or BROKEN.")
    )


def trace(head: Thrown, frames: Iterable[Frame], causes: Iterable[Thrown] = ()) -> str:
    """A stack trace as arklet prints it."""
    lines = [str(head), *(frame.text() for frame in frames), *(f"Caused by: {cause}" for cause in causes)]
    return "\n".join(lines) + "\n"


def handler_frames(edition: Edition, command: str) -> tuple[Frame, ...]:
    """The innermost frames when the handler of a command threw."""
    line, bridge = (77, edition.install_bridge_line) if command == "installBiz" else (54, 39)
    owner = f"{HANDLERS}.{command[0].upper()}{command[1:]}Handler"
    return (
        Frame(owner, "handle", line),
        Frame(owner, "handle", bridge),
        Frame(PROCESS, "process", edition.process_line),
    )


def handler_trace(edition: Edition, command: str, why: Failure) -> str:
    """The stack trace in the answer to a synchronous command."""
    return trace(Thrown(RUNTIME_EXCEPTION, why.message), handler_frames(edition, command), why.causes)


def broken_record(why: Failure) -> str:
    """What the state record of a broken biz says."""
    frames = (frame.text(module=True) for frame in FRAMES.get(why.causes[0].kind, ()))
    return "\n".join([str(why.causes[0]), *frames, *(f"Caused by: {c}" for c in why.causes[1:])]) + "\n"


def throwable(edition: Edition, command: str, why: Failure) -> dict[str, Any]:
    """The exception in the record of an asynchronous command, as fastjson writes it."""
    frames = handler_frames(edition, command)[:2]
    async_frame = Frame(PROCESS, "lambda$process$0", edition.process_async_line)
    return {
        "@type": RUNTIME_EXCEPTION,
        "cause": _cause(why.causes, "$.data.throwable.cause"),
        "localizedMessage": why.message,
        "message": why.message,
        "stackTrace": [frame.document() for frame in (*frames, async_frame)],
    }


def _cause(causes: tuple[Thrown, ...], path: str) -> dict[str, Any]:
    first, rest = causes[0], causes[1:]
    document: dict[str, Any] = {"@type": first.kind}
    if rest:
        document["cause"] = _cause(rest, f"{path}.cause")
    if first.message is not None:
        document["localizedMessage"] = document["message"] = first.message
    if first.kind in {CONTEXT, BEAN_CREATION}:
        # Spring's own exceptions carry getters for the innermost cause.
        innermost = path + ".cause" * len(rest)
        document["mostSpecificCause"] = document["rootCause"] = {"$ref": innermost}
    document["stackTrace"] = [frame.document() for frame in FRAMES.get(first.kind, ())]
    if first.kind == INVOCATION and rest:
        document["targetException"] = {"$ref": f"{path}.cause"}
    return document
