"""Reading streams as tables, from their leaders: last values, positions, subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tranche.bus.nats.failures import NO_MESSAGE
from tranche.bus.nats.letters import Letters
from tranche.bus.nats.stored import looked_up, moment
from tranche.bus.port import Stored, StreamState

_NOTHING = frozenset({NO_MESSAGE})
LISTING_TIMEOUT_S = 10.0
"""A page of 100,000 subjects takes the server a while."""


async def last(letters: Letters, stream: str, subject: str) -> Stored | None:
    """The newest message of a subject. STREAM.MSG.GET is answered by leaders only, never by a stale copy."""
    reply = await letters.ask_jetstream(
        f"$JS.API.STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, absent=_NOTHING
    )
    return looked_up(reply["message"]) if reply else None


async def state(letters: Letters, stream: str) -> StreamState:
    """Where the stream stands."""
    reply = await letters.ask_jetstream(f"$JS.API.STREAM.INFO.{stream}") or {}
    told = reply["state"]
    return StreamState(
        first_sequence=told["first_seq"],
        last_sequence=told["last_seq"],
        messages=told["messages"],
        created=moment(reply["created"]),
        at=moment(reply["ts"]),
    )


async def subjects(letters: Letters, stream: str, filter_: str) -> Mapping[str, int]:
    """All subjects with messages, page by page (the server tells at most 100,000 at once)."""
    found: dict[str, int] = {}
    offset, total = 0, 1
    while offset < total:
        reply = await letters.ask_jetstream(
            f"$JS.API.STREAM.INFO.{stream}",
            {"subjects_filter": filter_, "offset": offset},
            timeout_s=LISTING_TIMEOUT_S,
        )
        page = (reply or {})["state"].get("subjects") or {}
        found.update(page)
        if not page:
            break
        offset, total = offset + len(page), int((reply or {}).get("total", 0))
    return found


async def purge(letters: Letters, stream: str, subject: str) -> None:
    """Remove all messages of a subject."""
    await letters.ask_jetstream(f"$JS.API.STREAM.PURGE.{stream}", {"filter": subject})


async def first_after(letters: Letters, stream: str, filters: Sequence[str], position: int) -> int | None:
    """The sequence of the first message after ``position`` that matches, as the leader tells. None: none."""
    found = []
    for filter_ in filters:
        reply = await letters.ask_jetstream(
            f"$JS.API.STREAM.MSG.GET.{stream}",
            {"seq": position + 1, "next_by_subj": filter_},
            absent=_NOTHING,
        )
        if reply:
            found.append(int(reply["message"]["seq"]))
    return min(found, default=None)
