"""What differs between the two arklet releases that were recorded: nothing else branches on a version."""

from __future__ import annotations

from dataclasses import dataclass

COMMANDS = {
    "health": "get all health info",
    "batchInstallBiz": "install one ark biz",
    "queryAllBiz": "query all ark biz(including master biz)",
    "help": "list all supported commands",
    "uninstallBiz": "uninstall one ark biz",
    "switchBiz": "switch one ark biz",
    "installBiz": "install one ark biz",
    "queryBizOps": "query ark biz ops",
}
"""Every command with the words `help` has for it, in the order it lists them."""


@dataclass(frozen=True, slots=True)
class Edition:
    """One release of arklet, as its transcripts show it (design 5.1, 5.2)."""

    koupleless: str
    sofa_ark: str
    upper_case_states: bool
    """States are spelled ACTIVATED instead of activated."""
    state_records: bool
    """`bizStateRecords` say what happened; before, they were empty objects."""
    shows_identity: bool
    """`baseIdentity` is in answers that are not errors."""
    install_strategy: bool
    """`installStrategy: uninstallThenInstall` is honoured, and the strategy is echoed in records."""
    heartbeats: bool
    """It tells an endpoint of itself (from 2.1.4 or later)."""
    health_of_one: bool
    """`health` of type biz looks at bizName and bizVersion."""
    loses_starting_biz: bool
    """An uninstall that slips into a running install drops the module from the list: nobody can remove it."""
    commands: tuple[str, ...]
    process_line: int
    """Where CommandServiceImpl calls a handler; the lines below are the handlers', for stack traces."""
    process_async_line: int
    validate_line: int
    install_bridge_line: int
    install_validation: dict[str, tuple[tuple[str, int], ...]]
    """Frames of InstallBizHandler beneath each of its validations, innermost first."""


EDITIONS = {
    "2.1.3": Edition(
        koupleless="2.1.3",
        sofa_ark="3.1.4",
        upper_case_states=True,
        state_records=False,
        shows_identity=False,
        install_strategy=False,
        heartbeats=False,
        health_of_one=False,
        loses_starting_biz=True,
        commands=tuple(name for name in COMMANDS if name != "batchInstallBiz"),
        process_line=176,
        process_async_line=141,
        validate_line=114,
        install_bridge_line=55,
        install_validation={
            "async": (("validate", 107), ("validate", 55)),
            "null": (("validate", 107), ("validate", 55)),
            "url": (("validate", 109), ("validate", 55)),
            "both": (("validate", 130), ("validate", 55)),
        },
    ),
    "2.1.11": Edition(
        koupleless="2.1.11",
        sofa_ark="3.1.9",
        upper_case_states=False,
        state_records=True,
        shows_identity=True,
        install_strategy=True,
        heartbeats=True,
        health_of_one=True,
        loses_starting_biz=False,
        commands=tuple(COMMANDS),
        process_line=180,
        process_async_line=145,
        validate_line=118,
        install_bridge_line=56,
        install_validation={
            "async": (("validateInput", 108), ("validate", 104)),
            "null": (("validateInput", 108), ("validate", 104), ("validate", 56)),
            "url": (("validateInput", 110), ("validate", 104)),
            "both": (("validateInput", 131), ("validate", 104), ("validate", 56)),
        },
    ),
}
"""The releases a simulated base can be, by version."""
