"""How large a document may be before anybody looks into it."""

from __future__ import annotations

MOST_VALUES = 20_000
MOST_CHARACTERS = 512 * 1024
DEEPEST = 32


def too_much(document: object) -> str | None:
    """What is too large about a document, or None. Ends on documents that contain themselves (YAML aliases),
    because every visit to a value counts.

    >>> too_much({"spec": {}})
    >>> too_much("x" * 600_000)
    'got more than 524288 characters of text; expected a manifest of at most as many'
    """
    waiting: list[tuple[object, int]] = [(document, 1)]
    values = characters = 0
    while waiting:
        value, depth = waiting.pop()
        values += 1
        if isinstance(value, str | bytes):
            characters += len(value)
        elif isinstance(value, dict | list | tuple | set | frozenset):
            if depth > DEEPEST:
                return f"got more than {DEEPEST} levels of nesting; expected at most as many"
            if values + len(waiting) + len(value) > MOST_VALUES:
                return f"got more than {MOST_VALUES} values; expected a manifest of at most as many"
            inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            waiting.extend((item, depth + 1) for item in inner)
        if characters > MOST_CHARACTERS:
            return (
                f"got more than {MOST_CHARACTERS} characters of text; expected a manifest of at most as many"
            )
    return None
