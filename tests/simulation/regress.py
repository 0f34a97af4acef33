"""Seeds that once broke a rule: each a small file in ``tests/regress``, played again by every test run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PLACE = Path(__file__).parent.parent / "regress"
_MOST_WORDS = 1000


@dataclass(frozen=True, slots=True)
class Regression:
    """``date``: the day it was found; ``words``: how it was broken then."""

    seed: str
    rule: str
    date: str
    words: str

    def keep(self, place: Path = PLACE) -> Path:
        """Write it down; the file."""
        place.mkdir(exist_ok=True)
        file = place / f"{self.rule}-{self.seed}.json"
        short = asdict(self) | {"words": self.words[:_MOST_WORDS]}
        file.write_text(json.dumps(short, indent=2, ensure_ascii=False) + "\n")
        return file


def kept(place: Path = PLACE) -> Iterator[Regression]:
    """All of them, by name of file."""
    for file in sorted(place.glob("*.json")):
        yield Regression(**json.loads(file.read_text()))
