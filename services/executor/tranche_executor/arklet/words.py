"""Words of a base, made fit for a status line: one line, bounded, nothing a terminal would obey."""

from __future__ import annotations

import unicodedata

LONGEST = 300
"""Characters of a base's message that are kept."""


def tidy(text: str, *, limit: int = LONGEST) -> str:
    """One line without control, format or surrogate characters, of at most ``limit`` characters.

    >>> tidy("start  failed:\\n\\tno \\x1b[31mbean")
    'start failed: no [31mbean'
    >>> tidy("abcdef", limit=4)
    'abc…'
    """
    if not text:
        return ""
    # Cut before cleaning, or a huge message costs a pass over all of it.
    line = " ".join(text[: 4 * limit].split())
    if not line.isprintable():
        line = "".join(char for char in line if unicodedata.category(char)[0] != "C").strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def last_cause(trace: str) -> str:
    """What the last ``Caused by`` of a Java stack trace says, the cause a person wants. Empty: there is none.

    >>> last_cause("a.B: x\\nCaused by: c.D: y\\n\\tat z\\nCaused by: e.F: no bean\\n\\t... 3 more")
    'e.F: no bean'
    """
    _, found, rest = trace.rpartition("Caused by: ")
    return rest.partition("\n")[0] if found else ""


def without_frames(trace: str) -> str:
    """A Java stack trace without its frames: only the lines that say something."""
    return "\n".join(line for line in trace.splitlines() if not line.lstrip().startswith(("at ", "... ")))
