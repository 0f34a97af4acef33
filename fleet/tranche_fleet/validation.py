"""What arklet refuses before it carries a command out, in its own words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tranche_fleet.edition import Edition
from tranche_fleet.failures import HANDLERS, META, PROCESS, VALIDATION_EXCEPTION, Frame, Thrown, trace

NOT_BLANK = Frame(META, "notBlank", 129)
NOT_NULL = Frame(META, "notNull", 142)
IS_TRUE = Frame(META, "isTrue", 116)
HEALTH_TYPES = (None, "", "system", "biz", "plugin")


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why a command is not carried out: the message and the stack trace of the answer."""

    message: str
    trace: str


def text(value: Any) -> str | None:
    """A field as the string fastjson makes of it.

    >>> text(5), text(["x"]), text(None)
    ('5', '["x"]', None)
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def blank(value: Any) -> bool:
    return not (text(value) or "").strip()


def is_async(body: dict[str, Any]) -> bool:
    return text(body.get("async")) in {"true", "1"}


def invalid(edition: Edition, command: str, body: dict[str, Any] | None) -> Invalid | None:
    """Why this body is refused, None where it is not."""
    check = CHECKS.get(command)
    return check(edition, body) if check else None


def _install(edition: Edition, body: dict[str, Any] | None) -> Invalid | None:
    def frames(which: str) -> list[Frame]:
        steps = edition.install_validation[which]
        return [Frame(f"{HANDLERS}.InstallBizHandler", method, line) for method, line in steps]

    if body is None:
        return _null("InstallBizHandler", "isAsync", edition, frames("null"))
    if is_async(body) and blank(body.get("requestId")):
        return _refused(
            "requestId should not be blank when async is true", [IS_TRUE, *frames("async")], edition
        )
    if blank(body.get("bizUrl")):
        return _refused("bizUrl should not be blank", [NOT_BLANK, *frames("url")], edition)
    if blank(body.get("bizName")) is not blank(body.get("bizVersion")):
        return _refused(
            "bizName and bizVersion should be both blank or both not blank.", frames("both"), edition
        )
    return None


def _named(handler: str) -> Any:
    def check(edition: Edition, body: dict[str, Any] | None) -> Invalid | None:
        def frames(line: int) -> list[Frame]:
            owner = f"{HANDLERS}.{handler}"
            return [Frame(owner, "validate", line), Frame(owner, "validate", 39)]

        if body is None:
            return _null(handler, "getBizName", edition, frames(67))
        if blank(body.get("bizName")):
            return _refused("bizName should not be blank", [NOT_BLANK, *frames(67)], edition)
        if blank(body.get("bizVersion")):
            return _refused("bizVersion should not be blank", [NOT_BLANK, *frames(68)], edition)
        if is_async(body) and blank(body.get("requestId")):
            return _refused(
                "requestId should not be blank when async is true", [IS_TRUE, *frames(69)], edition
            )
        return None

    return check


def _ops(edition: Edition, body: dict[str, Any] | None) -> Invalid | None:
    owner = f"{HANDLERS}.QueryBizOpsHandler"
    frames = [Frame(owner, "validate", 46), Frame(owner, "validate", 39)]
    if body is None:
        return _null("QueryBizOpsHandler", "getRequestId", edition, frames)
    if blank(body.get("requestId")):
        return _refused("requestId is blank", [NOT_BLANK, *frames], edition)
    return None


def _health(edition: Edition, body: dict[str, Any] | None) -> Invalid | None:
    kind = text((body or {}).get("type"))
    if kind in HEALTH_TYPES:
        return None
    owner = f"{HANDLERS}.HealthHandler"
    frames = [IS_TRUE, Frame(owner, "validate", 45), Frame(owner, "validate", 38)]
    return _refused(f"type: {kind} can not be found", frames, edition)


def _batch(edition: Edition, body: dict[str, Any] | None) -> Invalid | None:
    owner = f"{HANDLERS}.BatchInstallBizHandler"
    if body is not None and isinstance(body.get("bizList"), list):
        return None
    return _refused(
        "bizList is null", [NOT_NULL, Frame(owner, "validate", 51), Frame(owner, "validate", 45)], edition
    )


CHECKS = {
    "installBiz": _install,
    "uninstallBiz": _named("UninstallBizHandler"),
    "switchBiz": _named("SwitchBizHandler"),
    "queryBizOps": _ops,
    "health": _health,
    "batchInstallBiz": _batch,
}


def _refused(message: str, frames: list[Frame], edition: Edition) -> Invalid:
    return Invalid(message, trace(Thrown(VALIDATION_EXCEPTION, message), _three(frames, edition)))


def _null(handler: str, getter: str, edition: Edition, frames: list[Frame]) -> Invalid:
    message = f'Cannot invoke "{HANDLERS}.{handler}$Input.{getter}()" because "input" is null'
    return Invalid(message, trace(Thrown("java.lang.NullPointerException", message), _three(frames, edition)))


def _three(frames: list[Frame], edition: Edition) -> list[Frame]:
    return [*frames, Frame(PROCESS, "process", edition.validate_line)][:3]
