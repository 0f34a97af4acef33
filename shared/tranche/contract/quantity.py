"""Quantities users give: a number of replicas, or a whole percent of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

MOST = 1_000_000
_PERCENT = re.compile(r"(0|[1-9][0-9]?|100)%")
EXPECTED = f'a whole number from 0 to {MOST}, or whole percent as text, "0%" to "100%"'


@dataclass(frozen=True, slots=True)
class Quantity:
    """``Quantity(5)`` is five replicas, ``Quantity(50, percent=True)`` is half of them.

    >>> str(Quantity(5)), str(Quantity(50, percent=True))
    ('5', '50%')
    """

    amount: int
    percent: bool = False

    @classmethod
    def parse(cls, value: object) -> Self | None:
        """Reads the user's spelling: 5 or "50%". None where it is neither (``EXPECTED`` says what is).

        >>> Quantity.parse("50%"), Quantity.parse(5)
        (Quantity(amount=50, percent=True), Quantity(amount=5, percent=False))
        >>> [Quantity.parse(value) for value in ("5", "101%", "2.5%", -1, True, 3.0)]
        [None, None, None, None, None, None]
        """
        if isinstance(value, str):
            match = _PERCENT.fullmatch(value)
            return cls(int(match[1]), percent=True) if match else None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST:
            return cls(value)
        return None

    @property
    def spelled(self) -> int | str:
        """As the user wrote it."""
        return f"{self.amount}%" if self.percent else self.amount

    def __str__(self) -> str:
        return str(self.spelled)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        spelling = core_schema.union_schema(
            [
                core_schema.int_schema(strict=True, ge=0, le=MOST),
                core_schema.str_schema(pattern=f"^{_PERCENT.pattern}$"),
            ]
        )
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls._trusted, spelling),
            python_schema=core_schema.union_schema(
                [
                    core_schema.is_instance_schema(cls),
                    core_schema.no_info_after_validator_function(cls._trusted, spelling),
                ]
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda quantity: quantity.spelled, return_schema=spelling
            ),
        )

    @classmethod
    def _trusted(cls, value: int | str) -> Self:
        parsed = cls.parse(value)
        if parsed is None:
            raise ValueError(f"expected {EXPECTED}")
        return parsed


def resolve_down(quantity: Quantity, of: int) -> int:
    """How many that is, of so many; percent rounds down, a number stays as it is.

    >>> resolve_down(Quantity(50, percent=True), of=3), resolve_down(Quantity(5), of=3)
    (1, 5)
    """
    # Round down: with 50% of 3 at least half must stay up, so only one may go (design 1.1).
    return quantity.amount * of // 100 if quantity.percent else quantity.amount


def max_unavailable(quantity: Quantity | None, wanted: int) -> int:
    """How many of the wanted replicas may be unavailable (design 1.1, 1.4).

    None is the default: a quarter, at least one. What was given is a promise: it rounds down, and 0 is 0.

    >>> [max_unavailable(None, wanted) for wanted in (1, 7, 8, 10)]
    [1, 1, 2, 2]
    >>> [max_unavailable(Quantity(50, percent=True), wanted) for wanted in (1, 7, 10)]
    [0, 3, 5]
    """
    return max(1, wanted * 25 // 100) if quantity is None else resolve_down(quantity, wanted)
