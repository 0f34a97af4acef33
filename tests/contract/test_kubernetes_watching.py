"""The list that is kept up to date, against every way in which an API server is known to fail at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.contract.scripted_apiserver import (
    Script,
    Scripted,
    event,
    events,
    item,
    listing,
    refusal,
    scripted_cluster,
)
from tranche.errors import Conflict, Forbidden, Refused, Unavailable, Unknown
from tranche.kubernetes.cache import ObjectKey
from tranche.kubernetes.watching import Pace, Watch
from tranche.runtime import SystemClock, system_runtime, wait_until

PATH = "/api/v1/namespaces/shop/pods"
PACE = Pace(silence_s=5.0, pause_s=(0.01, 0.05), stale_s=60.0)
A, B = ObjectKey("shop", "a"), ObjectKey("shop", "b")


@dataclass
class Seen:
    """A running watch and what it told."""

    server: Scripted
    watch: Watch[dict[str, str]]
    told: list[set[ObjectKey]] = field(default_factory=list)

    async def until(self, **wanted: str) -> None:
        """Until exactly these objects are known, by name and the value of label ``v``."""

        def known() -> dict[str, str]:
            return {key.name: labels.get("v", "") for key, labels in self.watch.items().items()}

        await self._until(lambda: known() == wanted, lambda: f"known is {known()}, expected {wanted}")

    async def asked(self, *kinds: str) -> None:
        """Until these were asked, in this order."""
        await self._until(
            lambda: self.server.kinds()[: len(kinds)] == list(kinds),
            lambda: f"asked {self.server.kinds()}, expected {kinds}",
        )

    async def _until(self, condition: Callable[[], bool], told: Callable[[], str]) -> None:
        async def met() -> bool | None:
            return condition() or None

        try:
            await wait_until(met, SystemClock(), timeout_s=10, every_s=0.005)
        except TimeoutError:
            raise AssertionError(told()) from None


@asynccontextmanager
async def watching(*, lists: list[Script], watches: list[Script], **pace: Any) -> AsyncIterator[Seen]:
    async with scripted_cluster() as (server, cluster):
        server.lists, server.watches = lists, watches
        seen = Seen(server, Watch(cluster, system_runtime(), PATH, _labels, pace=replace(PACE, **pace)))

        def told(keys: Collection[ObjectKey]) -> None:
            seen.told.append(set(keys))

        seen.watch.told = told
        task = asyncio.ensure_future(seen.watch.run())
        try:
            yield seen
        finally:
            task.cancel()
            await asyncio.wait({task})


def _labels(found: dict[str, Any]) -> dict[str, str] | None:
    return dict(found["metadata"].get("labels") or {})


async def test_what_is_listed_and_then_told_is_known() -> None:
    told = [
        event("ADDED", item("b", 11)),
        event("MODIFIED", item("a", 12, v="2")),
        event("DELETED", item("b", 13)),
    ]
    async with watching(lists=[listing(10, item("a", 5))], watches=[events(*told, then="hang")]) as seen:
        await seen.until(a="2")
        assert seen.told == [{A}, {B}, {A}, {B}]
        assert seen.server.asked[1][2]["resourceVersion"] == "10"
        assert seen.server.asked[1][2]["allowWatchBookmarks"] == "true"
        assert seen.watch.listed.is_set()


async def test_a_long_list_comes_in_pages_and_is_told_once() -> None:
    pages = [listing(10, item("a", 5), more="next"), listing(10, item("b", 6))]
    async with watching(lists=pages, watches=[]) as seen:
        await seen.until(a="", b="")
        assert seen.server.asked[1][2] == {"limit": "500", "continue": "next"}
        assert seen.told == [{A, B}]


async def test_a_page_that_expired_begins_the_list_anew() -> None:
    pages = [listing(10, item("a", 5), more="next"), refusal(410), listing(20, item("b", 15))]
    async with watching(lists=pages, watches=[]) as seen:
        await seen.until(b="")


async def test_a_watch_that_the_server_ends_goes_on_from_the_last_bookmark() -> None:
    first = events(event("ADDED", item("b", 11)), event("BOOKMARK", item("", 40)))
    async with watching(lists=[listing(10)], watches=[first]) as seen:
        await seen.asked("list", "watch", "watch")
        assert seen.server.asked[2][2]["resourceVersion"] == "40"


@pytest.mark.parametrize("how", ["http", "event"])
async def test_a_version_that_is_no_longer_kept_means_to_list_again_and_to_miss_what_vanished(
    how: str,
) -> None:
    gone = event("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version: 10 (99)"})
    watch = refusal(410) if how == "http" else events(gone)
    lists = [listing(10, item("a", 5), item("b", 6)), listing(100, item("a", 5))]
    async with watching(lists=lists, watches=[watch]) as seen:
        await seen.until(a="")
        await seen.asked("list", "watch", "list", "watch")
        assert seen.told == [{A, B}, {B}]
        assert seen.server.asked[3][2]["resourceVersion"] == "100"


@pytest.mark.parametrize("then", ["hang", "tear"])
async def test_a_connection_that_falls_silent_or_breaks_is_replaced_and_nothing_is_missed(then: str) -> None:
    first = events(event("ADDED", item("a", 11)), then=then)
    async with watching(
        lists=[listing(10)],
        watches=[first, events(event("ADDED", item("b", 12)), then="hang")],
        silence_s=0.2,
    ) as seen:
        await seen.until(a="", b="")
        assert seen.server.asked[2][2]["resourceVersion"] == "11"
        assert seen.server.kinds().count("list") == 1


async def test_a_busy_server_is_not_asked_before_the_time_it_named() -> None:
    async with watching(lists=[refusal(429, Retry_After="1"), listing(10, item("a", 5))], watches=[]) as seen:
        await seen.until(a="")
        assert seen.server.asked[1][0] - seen.server.asked[0][0] >= 1.0


async def test_a_server_in_trouble_is_asked_again_at_growing_distances() -> None:
    async with watching(
        lists=[*[refusal(500)] * 5, listing(10, item("a", 5))], watches=[], pause_s=(0.02, 10.0)
    ) as seen:
        await seen.until(a="")
        at = [when for when, _, _ in seen.server.asked[:6]]
        assert at[5] - at[4] > 0.02 * 2**4 * 0.5 > at[1] - at[0] - 0.05


async def test_an_error_in_the_stream_means_to_list_again() -> None:
    trouble = event("ERROR", {"kind": "Status", "code": 500, "message": "etcd is away"})
    async with watching(lists=[listing(10, item("a", 5)), listing(30)], watches=[events(trouble)]) as seen:
        await seen.until()
        await seen.asked("list", "watch", "list", "watch")


async def test_a_list_older_than_what_was_seen_brings_nothing_back() -> None:
    first = events(
        event("DELETED", item("b", 50)), event("MODIFIED", item("a", 51, v="2")), event("ERROR", {})
    )
    stale = listing(20, item("a", 5), item("b", 6))
    async with watching(
        lists=[listing(10, item("a", 5), item("b", 6)), stale, stale, listing(60, item("a", 51, v="2"))],
        watches=[first],
    ) as seen:
        await seen.asked("list", "watch", "list", "list", "list", "watch")
        await seen.until(a="2")
        assert seen.told == [{A, B}, {B}, {A}]


async def test_older_lists_are_believed_in_the_end_as_a_cluster_may_come_back_from_a_backup() -> None:
    stale = listing(20, item("b", 6))
    async with watching(
        lists=[listing(90, item("a", 80)), *[stale] * 50], watches=[refusal(410)], stale_s=0.2
    ) as seen:
        await seen.until(b="")
        await seen.asked("list", "watch", *["list"] * 3)


async def test_an_older_event_of_a_known_object_is_not_believed() -> None:
    told = [event("MODIFIED", item("a", 30, v="3")), event("MODIFIED", item("a", 20, v="2"))]
    told += [event("DELETED", item("a", 25)), event("ADDED", item("b", 31))]
    async with watching(lists=[listing(10, item("a", 5))], watches=[events(*told, then="hang")]) as seen:
        await seen.until(a="3", b="")


async def test_a_deletion_that_was_never_told_shows_in_the_next_list() -> None:
    lists = [listing(10, item("a", 5), item("b", 6)), listing(50, item("a", 5))]
    async with watching(
        lists=lists, watches=[], relist_s=(0.3, 0.4), silence_s=0.1, pause_s=(0.05, 0.1)
    ) as seen:
        await seen.until(a="", b="")
        await seen.until(a="")


async def test_the_same_name_again_is_another_object() -> None:
    told = [event("DELETED", item("a", 11)), event("ADDED", item("a", 12, uid="u2"))]
    async with watching(lists=[listing(10, item("a", 5))], watches=[events(*told, then="hang")]) as seen:
        await seen.until(a="")
        await asyncio.sleep(0.05)
        assert seen.told == [{A}, {A}, {A}]


async def test_what_changes_nothing_we_keep_is_not_told() -> None:
    told = [event("MODIFIED", item("a", 11)), event("ADDED", item("b", 12))]
    async with watching(lists=[listing(10, item("a", 5))], watches=[events(*told, then="hang")]) as seen:
        await seen.until(a="", b="")
        assert seen.told == [{A}, {B}]


@pytest.mark.parametrize("raw", [b"{nonsense\n", b"[]\n", b'{"type": "ADDED"}\n', b"\xff\xfe\n"])
async def test_garbage_in_the_stream_ends_it_and_nothing_else(raw: bytes) -> None:
    second = events(event("ADDED", item("b", 12)), then="hang")
    async with watching(
        lists=[listing(10), *[listing(11)] * 3], watches=[events(raw=raw), second], silence_s=1.0
    ) as seen:
        await seen.until(b="")


@pytest.mark.parametrize(
    ("code", "read", "write"),
    [
        (401, Forbidden, Forbidden),
        (403, Forbidden, Forbidden),
        (409, Conflict, Conflict),
        (422, Refused, Refused),
        (429, Unavailable, Unavailable),
        (500, Unavailable, Unknown),
        (503, Unavailable, Unavailable),
        (504, Unavailable, Unknown),
    ],
)
async def test_what_the_server_answers_says_what_to_do_next(
    code: int, read: type[Exception], write: type[Exception]
) -> None:
    async with scripted_cluster() as (server, cluster):
        server.lists = [refusal(code, "because"), refusal(code, "because")]
        with pytest.raises(read, match="because"):
            await cluster.get(PATH + "/a")
        with pytest.raises(write, match="because"):
            await cluster.patch(PATH + "/a", {"metadata": {}})


async def test_what_is_not_there_is_no_error() -> None:
    async with scripted_cluster() as (server, cluster):
        server.lists = [refusal(404), refusal(404)]
        assert await cluster.get(PATH + "/a") is None
        assert await cluster.patch(PATH + "/a", {}) is None


async def test_a_write_whose_answer_is_lost_may_have_been_done() -> None:
    async with scripted_cluster() as (server, cluster):
        cluster.call_s = 0.1
        server.lists = [events(then="hang"), events(then="tear")]
        with pytest.raises(Unknown):
            await cluster.patch(PATH + "/a", {"metadata": {}})
        with pytest.raises(Unavailable):
            await cluster.get(PATH + "/a")
