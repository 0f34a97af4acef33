"""What recorded refusals of real bases mean: cause, whether it can pass, and the words shown to people."""

from __future__ import annotations

import json

import pytest

from tranche_executor.arklet.failure import Cause, explain
from tranche_executor.arklet.operation import Operation, OperationState, read_operation
from tranche_executor.arklet.wire import Declined, Done, read_answer

ARKLET = "com.alipay.sofa.koupleless.arklet.core.common.exception"
FRAME = (
    "\tat com.alipay.sofa.koupleless.arklet.core.command.InstallBizHandler.handle(InstallBizHandler.java:77)"
)


def internal_error(message: str, *causes: str) -> dict[str, object]:
    trace = [f"{ARKLET}.ArkletRuntimeException: {message}", FRAME]
    for cause in causes:
        trace += [f"Caused by: {cause}", FRAME, "\t... 31 more"]
    return {
        "code": "CMD_PROCESS_INTERNAL_ERROR",
        "message": f"Internal Error: {message}",
        "errorStackTrace": "\n".join(trace) + "\n",
    }


def inner(code: str, message: str) -> dict[str, object]:
    return {
        "code": "FAILED",
        "message": "install biz not success!",
        "data": {"code": code, "message": message},
    }


TARGET = "java.lang.reflect.InvocationTargetException"
REFUSED = "java.net.ConnectException: Connection refused"

RECORDED = [
    (inner("REPEAT_BIZ", "Biz: cart:1.0.0 has been installed or registered."), Cause.REPEAT, False),
    (inner("NOT_FOUND_BIZ", "Uninstall biz: cart:2.0.0 not found."), Cause.NOT_FOUND, False),
    (inner("ILLEGAL_STATE_BIZ", "Switch Biz: cart:3's state must not be broken."), Cause.MODULE, False),
    (inner("ILLEGAL_STATE_BIZ", "Switch Biz: cart:3's state must not be resolved."), Cause.BUSY, True),
    (inner("FAILED", "Master biz must not be uninstalled."), Cause.VALIDATION, False),
    ({"code": "CMD_NOT_FOUND", "message": "please follow the doc"}, Cause.VALIDATION, False),
    (
        {"code": "FAILED", "message": "The request corresponding to the requestId(r-1) has been executed."},
        Cause.SPENT,
        False,
    ),
    (
        {
            "code": "FAILED",
            "message": "FAILED:cart:4 installBiz conflict, exist unfinished command(installBiz) for this biz",
        },
        Cause.BUSY,
        True,
    ),
    (internal_error("java.io.FileNotFoundException: /a.jar (No such file)"), Cause.ARTEFACT, False),
    (internal_error(REFUSED, REFUSED), Cause.ARTEFACT, True),
    (internal_error("java.net.UnknownHostException: no-such-host.invalid"), Cause.ARTEFACT, True),
    (internal_error("java.net.SocketTimeoutException: Read timed out"), Cause.ARTEFACT, True),
    (
        internal_error("java.io.IOException: Server returned HTTP response code: 503 for URL: http://m/a"),
        Cause.ARTEFACT,
        True,
    ),
    (
        internal_error("java.io.IOException: Server returned HTTP response code: 403 for URL: http://m/a"),
        Cause.ARTEFACT,
        False,
    ),
    (internal_error("java.net.MalformedURLException: unknown protocol: oci"), Cause.ARTEFACT, False),
    (internal_error("java.util.zip.ZipException: zip END header not found"), Cause.ARTEFACT, False),
    (internal_error(TARGET, TARGET, "java.lang.IllegalStateException: built to fail"), Cause.MODULE, False),
    # A module that cannot reach its own database is not an artefact host that is down.
    (internal_error(TARGET, TARGET, REFUSED), Cause.MODULE, False),
    (
        internal_error(TARGET, TARGET, "java.lang.IllegalArgumentException: Child name [cart] is not unique"),
        Cause.CONTEXT_PATH,
        False,
    ),
    (
        internal_error(
            "java.lang.IllegalArgumentException: BizState must be ACTIVATED, DEACTIVATED or BROKEN.",
        ),
        Cause.BUSY,
        True,
    ),
    (
        {
            "code": "CMD_PROCESS_INTERNAL_ERROR",
            "message": "Internal Error: bizUrl should not be blank",
            "errorStackTrace": f"{ARKLET}.CommandValidationException: bizUrl should not be blank\n{FRAME}",
        },
        Cause.VALIDATION,
        False,
    ),
    ({"code": "FAILED", "message": "something new"}, Cause.UNKNOWN, True),
    ({"code": "FAILED"}, Cause.UNKNOWN, True),
]


@pytest.mark.parametrize(("body", "cause", "passing"), RECORDED)
def test_a_refusal_is_explained(body: dict[str, object], cause: Cause, passing: bool) -> None:
    answer = read_answer(json.dumps(body).encode())
    assert isinstance(answer, Declined)
    failure = explain(answer)
    assert (failure.cause, failure.passing) == (cause, passing)
    assert failure.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            internal_error(TARGET, TARGET, "a.B: no bean 'x'", "java.lang.IllegalStateException: no licence"),
            "java.lang.IllegalStateException: no licence",
        ),
        (internal_error("x: y"), "x: y"),
        (inner("REPEAT_BIZ", "Biz: cart:1.0.0 has been installed"), "Biz: cart:1.0.0 has been installed"),
        ({"code": "FAILED", "message": "a\n\tb\x1b[31m\u202ec\x00"}, "a b[31mc"),
        ({"code": "FAILED", "message": "\ud800 lone"}, "lone"),
        ({"code": "FAILED", "message": "x" * 10_000}, "x" * 299 + "…"),
    ],
)
def test_the_words_are_the_bases_own_and_fit_to_be_shown(body: dict[str, object], words: str) -> None:
    answer = read_answer(json.dumps(body).encode())
    assert isinstance(answer, Declined)
    assert explain(answer).message == words


def record(status: str, **more: object) -> Operation:
    operation = read_operation(Done({"status": status, "requestId": "r-1", **more}), "r-1")
    assert isinstance(operation, Operation)
    return operation


CONFLICT = "command conflict, exist unfinished command for this biz"


@pytest.mark.parametrize(
    ("operation", "over", "cause"),
    [
        (record("INITIALIZED"), False, None),
        (record("EXECUTING"), False, None),
        (record("executing"), False, None),
        (record("SUCCEEDED"), True, None),
        (record("FAILED"), True, Cause.UNKNOWN),
        (record("FAILED", message="uninstall biz not success!"), True, Cause.UNKNOWN),
        # Refused by arklet's lock: the record keeps this state for ever, though nothing will come of it.
        (record("INITIALIZED", message=CONFLICT), True, Cause.BUSY),
        (record("FAILED", message=REFUSED), True, Cause.ARTEFACT),
        (record("FAILED", message=TARGET), True, Cause.MODULE),
    ],
)
def test_a_record_says_whether_it_is_over(operation: Operation, over: bool, cause: Cause | None) -> None:
    assert operation.over is over
    assert (operation.failure.cause if operation.failure else None) == cause


def test_a_record_keeps_the_causes_of_a_failed_start() -> None:
    throwable = {
        "@type": f"{ARKLET}.ArkletRuntimeException",
        "message": TARGET,
        "cause": {
            "@type": TARGET,
            "targetException": {"$ref": "$.data.throwable.cause.cause"},
            "cause": {
                "@type": "org.springframework.context.ApplicationContextException",
                "message": "Unable to start web server",
                "cause": {
                    "@type": "java.lang.IllegalArgumentException",
                    "message": "Child name [cart] is not unique",
                },
                "rootCause": {"$ref": "$.data.throwable.cause.cause.cause"},
            },
        },
    }
    operation = record("FAILED", message=TARGET, throwable=throwable)
    assert operation.failure is not None
    assert operation.failure.cause is Cause.CONTEXT_PATH
    assert operation.failure.message == "java.lang.IllegalArgumentException: Child name [cart] is not unique"
    assert "uninstall_then_install" in operation.failure.advice


def test_no_record_is_not_the_end_of_it() -> None:
    answer = Declined("FAILED", message="Not found the corresponding ops record.")
    assert read_operation(answer, "r-1") == Operation("r-1", OperationState.UNKNOWN)
