"""The command as a process, on a real nats-server, asking a planner that the test plays."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli_samples import explanation, healthy, history, preview, preview_batch, record, rolling, status
from tranche.bus.nats import NatsBus
from tranche.bus.port import Endpoint, Request
from tranche.bus.server import NatsServer
from tranche.contract import subjects
from tranche.contract.status import Status
from tranche.streams import STREAMS
from tranche_cli.view.documents import plain

pytestmark = pytest.mark.nats

VERBS = (
    *("apply", "confirm", "pause", "resume", "abort", "delete", "promote", "retry", "restart", "undo"),
    *("replace", "scale", "freeze", "unfreeze", "plan", "explain", "history", "get", "list", "pods"),
)
ACCEPTED = {"accepted": True, "generation": 9, "message": "as you wish", "warnings": []}
MANIFEST = "kind: ModuleDeployment\nmetadata: {name: cart, namespace: shop}\n"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Planner:
    """Answers what the test says, and keeps what was asked."""

    def __init__(self, bus: NatsBus, url: str) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {"get": plain(status())}
        self._bus = bus
        self.url = url

    async def answer(self, request: Request) -> bytes:
        namespace, verb = subjects.read_api(request.subject)
        self.asked.append((verb, {**json.loads(request.data), "_namespace": namespace}))
        answer = self.answers.get(verb, ACCEPTED)
        if isinstance(answer, list):
            answer = answer.pop(0)
        return json.dumps(answer).encode()

    async def say(self, said: Status) -> None:
        await self._bus.publish(subjects.status(said.namespace, said.name), said.encode())

    def body(self, verb: str) -> dict[str, Any]:
        return next(body for asked, body in self.asked if asked == verb)

    async def run(self, *argv: str, stdin: bytes = b"") -> Ran:
        return await tranche(*argv, url=self.url, stdin=stdin)

    @asynccontextmanager
    async def running(self, *argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await start(argv, self.url)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def start(argv: tuple[str, ...], url: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_cli", *argv),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env={**os.environ, "TRANCHE_NATS_URL": url, "COLUMNS": "120"},
    )


async def tranche(*argv: str, url: str, stdin: bytes = b"") -> Ran:
    process = await start(argv, url)
    async with asyncio.timeout(30):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def planner(bus: NatsBus, nats_server: NatsServer) -> AsyncIterator[Planner]:
    await bus.ensure(STREAMS, replicas=1, create=True)
    fake = Planner(bus, nats_server.url)
    endpoints = [Endpoint(verb, subjects.api("*", verb), fake.answer) for verb in VERBS]
    async with bus.serve("tranche-planner", "1.0.0", "a planner played by a test", endpoints):
        yield fake


async def test_apply_prints_the_answer_and_warnings_go_to_stderr(planner: Planner) -> None:
    planner.answers["apply"] = {**ACCEPTED, "warnings": ["50% of 1 is 0"]}

    ran = await planner.run("apply", "-f", "-", stdin=MANIFEST.encode())

    said = "shop/cart: as you wish; next: tranche status shop/cart -w\n"
    assert ran == Ran(0, said, "shop/cart: warning: 50% of 1 is 0\n")
    assert planner.body("apply")["metadata"]["name"] == "cart"


async def test_apply_tells_every_error_of_every_document(planner: Planner, tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(f"{MANIFEST}---\n{MANIFEST}---\n{MANIFEST}")
    refusal = {
        "accepted": False,
        "errors": [{"field": "spec.replicas", "message": "got -2"}, {"field": "", "message": "no"}],
    }
    planner.answers["apply"] = [refusal, ACCEPTED, refusal]

    ran = await planner.run("apply", "-f", str(file))

    assert (ran.code, ran.out) == (1, "shop/cart: as you wish; next: tranche status shop/cart -w\n")
    places = [f"{file}, document {number}" for number in (1, 3)]
    assert ran.err.splitlines() == [
        f"{place}: {words}" for place in places for words in ("spec.replicas: got -2", "no")
    ]


async def test_apply_sends_nothing_when_one_file_is_no_yaml(planner: Planner, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: 1\na: 2\n")

    ran = await planner.run("apply", "-f", "-", "-f", str(bad), stdin=MANIFEST.encode())

    assert ran.code == 1
    assert f'{bad}: line 2, column 1: the key "a" stands twice' in ran.err
    assert "nothing was applied" in ran.err
    assert planner.asked == []


async def test_apply_as_json_is_one_document(planner: Planner) -> None:
    one = await planner.run("apply", "-f", "-", "-o", "json", stdin=MANIFEST.encode())
    two = await planner.run("apply", "-f", "-", "-o", "json", stdin=f"{MANIFEST}---\n{MANIFEST}".encode())

    assert json.loads(one.out) == ACCEPTED
    assert json.loads(two.out) == {"items": [ACCEPTED, ACCEPTED]}


async def test_apply_wait_waits_for_the_generation_it_made(planner: Planner) -> None:
    await planner.say(healthy(generation=8, observedGeneration=8))
    async with planner.running("apply", "-f", "-", "--wait") as process:
        assert process.stdin
        process.stdin.write(MANIFEST.encode())
        process.stdin.close()
        assert process.stdout
        await process.stdout.readline()
        await process.stdout.readline()
        await planner.say(healthy())
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_apply_wait_as_json_is_one_document_too(planner: Planner) -> None:
    await planner.say(healthy())
    await planner.say(healthy(name="orders", phase="Degraded"))
    orders = MANIFEST.replace("cart", "orders")

    ran = await planner.run(
        "apply", "-f", "-", "--wait", "-o", "json", stdin=f"{MANIFEST}---\n{orders}".encode()
    )

    assert [item["phase"] for item in json.loads(ran.out)["items"]] == ["Healthy", "Degraded"]
    assert ran.code == 4, "the worst of all"


@pytest.mark.parametrize(
    ("said", "until", "code"),
    [
        (healthy(), "complete", 0),
        (healthy(), "batch=1", 0),
        (status(), "complete", 3),
        (status(), "waiting", 0),
        (status(), "batch=2", 0),
        (status(), "batch=3", 5),
        (status(phase="Degraded", gates=[]), "complete", 4),
        (status(phase="Aborted", gates=[]), "waiting", 4),
    ],
)
async def test_until_has_an_exit_code_scripts_can_trust(
    planner: Planner, said: Status, until: str, code: int
) -> None:
    planner.answers["get"] = plain(said)
    await planner.say(said)

    ran = await planner.run("status", "shop/cart", "--until", until, "--timeout", "1", "-o", "json")

    assert ran.code == code
    assert json.loads(ran.out)["phase"] == said.phase
    assert (ran.err == "") is (code == 0)


async def test_status_is_a_screen_a_document_or_a_name(planner: Planner) -> None:
    planner.answers["pods"] = {"items": [plain(record())]}

    shown = await planner.run("status", "cart", "-n", "shop")
    document = await planner.run("status", "shop/cart", "-o", "json")
    yaml = await planner.run("status", "shop/cart", "-o", "yaml")
    name = await planner.run("status", "shop/cart", "-o", "name")
    wide = await planner.run("status", "shop/cart", "-o", "wide")

    assert "॥ Waiting: batch 2 of 4 is verified" in shown.out
    assert "\x1b" not in shown.out
    assert json.loads(document.out) == plain(status())
    assert "targetVersion: 2.0.0" in yaml.out
    assert name.out == "shop/cart\n"
    assert "web-1" in wide.out
    assert {ran.code for ran in (shown, document, yaml, name, wide)} == {0}


async def test_watch_prints_a_line_per_change_and_goes_on(planner: Planner) -> None:
    await planner.say(status())
    async with planner.running("status", "shop/cart", "-w") as process:
        assert process.stdout
        first = await process.stdout.readline()
        await planner.say(status(documentRevision=13))
        await planner.say(healthy())
        second = await process.stdout.readline()

        assert b"Waiting" in first
        assert b"Healthy" in second, "what looks the same is not told twice"
        assert process.returncode is None


async def test_watch_as_json_is_a_document_per_line(planner: Planner) -> None:
    planner.answers["get"] = plain(rolling())
    await planner.say(rolling())
    await planner.say(healthy())

    ran = await planner.run("status", "shop/cart", "-w", "-o", "json", "--until", "complete")

    assert [json.loads(text)["phase"] for text in ran.out.splitlines()] == ["Progressing", "Healthy"]
    assert ran.code == 0


async def test_a_wait_that_was_confirmed_a_moment_ago_is_not_told_again(planner: Planner) -> None:
    planner.answers["get"] = plain(rolling(documentRevision=13))
    await planner.say(status(documentRevision=12))

    ran = await planner.run("status", "shop/cart", "--until", "complete", "--timeout", "1")

    assert ran.code == 5, "3 would be the answer to a question that was answered"


async def test_watch_on_a_terminal_is_drawn_over_and_ends_when_it_is_there(planner: Planner) -> None:
    await planner.say(status())
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_cli", "status", "shop/cart", "-w", "--until", "complete"),
        *("--nats-url", planner.url),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=theirs,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(theirs)
    try:
        assert await asyncio.wait_for(process.wait(), 20) == 3, "a person must confirm"
        drawn = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
    assert "Waiting: batch 2 of 4 is verified" in drawn
    assert "\x1b[38" not in drawn, "NO_COLOR"
    assert "\x1b[?25h" in drawn, "the cursor is shown again"


async def test_confirm_sends_the_batch_and_generation_it_saw(planner: Planner) -> None:
    ran = await planner.run("confirm", "shop/cart", "-m", "looks good")

    body = planner.body("confirm")
    assert ran.code == 0
    assert (body["batch"], body["generation"], body["reason"]) == (2, 9, "looks good")
    assert "@" in body["by"]


async def test_confirm_confirms_nothing_that_nobody_saw_waiting(planner: Planner) -> None:
    planner.answers["get"] = plain(
        status(phase="Progressing", gates=[], batch={"current": 3, "count": 4, "state": "Releasing"})
    )

    without = await planner.run("confirm", "shop/cart")
    named = await planner.run("confirm", "shop/cart", "--batch", "2")

    assert without.code == 1
    assert "no batch of shop/cart waits for a person: batch 3 of 4, Progressing" in without.err
    assert named.code == 0
    assert [body["batch"] for verb, body in planner.asked if verb == "confirm"] == [2]


async def test_verbs_say_who_and_why(planner: Planner) -> None:
    for verb in ("pause", "resume", "abort", "delete", "promote", "retry", "restart", "undo"):
        ran = await planner.run(verb, "shop/cart", "-m", "because", "-o", "json")

        assert (ran.code, json.loads(ran.out)) == (0, ACCEPTED)
        assert planner.body(verb)["reason"] == "because"


async def test_delete_wait_ends_when_all_is_gone(planner: Planner) -> None:
    await planner.say(status(phase="Deleted", gates=[], batches=[], pods=[]))

    assert (await planner.run("delete", "shop/cart", "--wait")).code == 0
    assert (await planner.run("abort", "shop/cart", "--wait", "--timeout", "0.3")).code == 5


async def test_options_of_verbs_reach_the_planner(planner: Planner) -> None:
    for argv, expected in {
        ("promote", "shop/cart", "--full"): {"full": True},
        ("undo", "shop/cart", "--to-revision", "3", "--fast"): {"revision": 3, "fast": True},
        ("scale", "shop/cart", "--replicas", "8"): {"replicas": 8},
        ("replace", "shop/cart", "--pod", "web-3"): {"pod": "web-3"},
        ("delete", "shop/cart", "--abandon"): {"abandon": True},
    }.items():
        planner.asked.clear()
        ran = await planner.run(*argv)

        assert ran.code == 0, ran.err
        assert "; next: tranche " in ran.out
        assert planner.body(argv[0]).items() >= {**expected, "name": "cart", "_namespace": "shop"}.items()


async def test_what_makes_a_generation_can_be_waited_for(planner: Planner) -> None:
    await planner.say(healthy())

    for argv in (("undo", "shop/cart"), ("restart", "shop/cart"), ("scale", "shop/cart", "--replicas", "8")):
        assert (await planner.run(*argv, "--wait")).code == 0
    planner.answers["undo"] = {**ACCEPTED, "generation": 10}
    assert (await planner.run("undo", "shop/cart", "--wait", "--timeout", "0.3")).code == 5


async def test_a_freeze_is_of_one_namespace_or_all_and_ends_by_itself(planner: Planner) -> None:
    one = await planner.run("freeze", "-n", "shop", "--for", "2h", "-m", "sale")
    every = await planner.run("freeze", "--all")
    lifted = await planner.run("unfreeze", "--all", "-o", "name")

    bodies = [body for verb, body in planner.asked if verb == "freeze"]
    assert [body["_namespace"] for body in bodies] == ["shop", "_all"]
    ends = datetime.fromisoformat(bodies[0]["until"]) - datetime.now(UTC)
    assert 7100 < ends.total_seconds() < 7201
    assert (bodies[0]["reason"], "until" in bodies[1]) == ("sale", False)
    assert one.out == "shop: as you wish; next: tranche unfreeze -n shop\n"
    assert (every.code, lifted.out) == (0, "_all\n")


async def test_plan_names_the_pods_changes_nothing_and_exits_2(planner: Planner, tmp_path: Path) -> None:
    file = tmp_path / "cart.yaml"
    file.write_text(MANIFEST)
    planner.answers["plan"] = plain(preview())

    people = await planner.run("plan", "-f", str(file))
    wide = await planner.run("plan", "shop/cart", "-o", "wide")
    document = await planner.run("plan", "shop/cart", "-o", "json")
    names = await planner.run("plan", "shop/cart", "-o", "name")
    both = await planner.run("plan", "-f", str(file), "-f", str(file), "-o", "json")

    assert f"tranche apply -f {file}" in " ".join(people.out.split())
    assert "web-1..4" in people.out
    assert [row.split() for row in wide.out.splitlines()][-1] == ["2", "web-5", "install", "-", "2.0.0"]
    assert json.loads(document.out) == plain(preview())
    assert names.out.splitlines() == [f"web-{number}" for number in range(6)]
    assert len(json.loads(both.out)["items"]) == 2
    assert {ran.code for ran in (people, wide, document, names, both)} == {2}
    assert {verb for verb, _ in planner.asked} == {"plan", "get"}


async def test_plan_of_what_is_so_already_exits_0_and_a_refusal_1(planner: Planner, tmp_path: Path) -> None:
    planner.answers["plan"] = plain(preview(generation=9, changes=0, batches=[]))
    same = await planner.run("plan", "-f", "-", stdin=MANIFEST.encode())
    planner.answers["plan"] = plain(preview(generation=10, changes=0, batches=[]))
    gates = await planner.run("plan", "-f", "-", stdin=MANIFEST.encode())
    planner.answers["plan"] = {"accepted": False, "errors": [{"field": "spec.replicas", "message": "got -2"}]}
    bad = await planner.run("plan", "-f", "-", stdin=MANIFEST.encode())

    assert (same.code, gates.code, bad.code) == (0, 2, 1)
    assert "no replica would change" in same.out
    assert bad.err == "standard input: spec.replicas: got -2\n"


async def test_a_plan_in_pages_is_shown_whole(planner: Planner) -> None:
    pages = [preview(**{"continue": "5000"}), preview(batches=[preview_batch(2, ["web-6"])])]
    planner.answers["plan"] = [plain(page) for page in pages]

    ran = await planner.run("plan", "shop/cart", "-o", "name")

    assert ran.out.splitlines() == [f"web-{number}" for number in range(7)]


async def test_explain_answers_on_one_screen(planner: Planner) -> None:
    planner.answers["explain"] = plain(explanation())

    people = await planner.run("explain", "shop/cart")
    document = await planner.run("explain", "shop/cart", "-o", "json")
    shut = await planner.run("explain", "shop/cart", "-o", "name")

    assert "✖ shut" in people.out
    assert "tranche confirm shop/cart --batch 2" in people.out
    assert json.loads(document.out) == plain(explanation())
    assert shut.out == "confirm\n"


async def test_history_tells_how_to_go_back(planner: Planner) -> None:
    page = {"revisions": [plain(one) for one in history()]}
    planner.answers["history"] = [{**page, "continue": "2"}, {"revisions": []}]

    people = await planner.run("history", "shop/cart")
    planner.answers["history"] = page
    document = await planner.run("history", "shop/cart", "-o", "json")

    assert people.out.splitlines()[-1] == "Next  tranche undo shop/cart --to-revision 6"
    assert json.loads(document.out) == page


async def test_waiting_lists_what_waits_for_a_person_in_all_namespaces(planner: Planner) -> None:
    failed = status(name="pay", phase="Degraded", gates=[], next="tranche retry shop/pay", message="2 failed")
    planner.answers["list"] = {"items": [plain(one) for one in (status(), healthy(name="orders"), failed)]}

    people = await planner.run("waiting")
    names = await planner.run("waiting", "-n", "shop", "-o", "name")
    document = await planner.run("waiting", "-o", "json")

    assert [row.split()[0] for row in people.out.splitlines()] == ["NAME", "shop/cart"]
    assert "tranche confirm shop/cart --batch 2" in people.out
    assert people.err == "shop/pay is held by failures: 2 failed; next: tranche retry shop/pay\n"
    assert names.out == "shop/cart\n"
    assert [item["name"] for item in json.loads(document.out)["items"]] == ["cart"]
    assert [body["_namespace"] for verb, body in planner.asked] == ["_all", "shop", "_all"]


async def test_get_is_kept_up_to_date_a_line_per_change(planner: Planner) -> None:
    planner.answers["list"] = {"items": [plain(status())]}
    planner.answers["pods"] = {"items": [plain(record())]}
    async with planner.running("get", "-n", "shop", "-w") as process:
        assert process.stdout
        first = await process.stdout.readline()
        await planner.say(status(documentRevision=13))
        await planner.say(healthy(documentRevision=14))
        second = await process.stdout.readline()
        assert (b"Waiting" in first, b"Healthy" in second) == (True, True)
    async with planner.running("get", "pods", "shop/cart", "-w", "-o", "json") as process:
        assert process.stdout
        assert json.loads(await process.stdout.readline()) == plain(record())
    async with planner.running("get", "batches", "shop/cart", "-w") as process:
        assert process.stdout
        assert b"batch 1/4 beta" in await process.stdout.readline()


async def test_get_has_tables_documents_and_names(planner: Planner) -> None:
    planner.answers["list"] = {"items": [plain(status()), plain(healthy(name="orders"))]}
    planner.answers["pods"] = {"items": [plain(record())]}

    table = await planner.run("get", "deployments", "-n", "shop")
    names = await planner.run("get", "-A", "-o", "name")
    items = await planner.run("get", "deployments", "-o", "json")
    one = await planner.run("get", "deployments", "shop/cart", "-o", "json")
    pods = await planner.run("get", "pods", "shop/cart")
    batches = await planner.run("get", "batches", "shop/cart")
    wrong = await planner.run("get", "shop/cart")

    assert [row.split()[0] for row in table.out.splitlines()] == ["NAME", "cart", "orders"]
    assert names.out == "shop/cart\nshop/orders\n"
    assert len(json.loads(items.out)["items"]) == 2
    assert json.loads(one.out)["name"] == "cart"
    assert "web-1" in pods.out
    assert "1 beta" in batches.out
    assert (wrong.code, "expected deployments, pods or batches" in wrong.err) == (1, True)


async def test_events_tells_all_that_is_kept(planner: Planner) -> None:
    await planner.say(status())
    await planner.say(healthy())

    lines = await planner.run("events", "shop/cart")
    document = await planner.run("events", "-n", "shop", "-o", "json")

    assert ["Waiting" in lines.out.splitlines()[0], "Healthy" in lines.out.splitlines()[1]] == [True, True]
    assert len(json.loads(document.out)["items"]) == 2


async def test_a_reader_that_has_enough_and_a_ctrl_c_leave_no_trace(planner: Planner) -> None:
    await planner.say(status())
    async with planner.running("events", "-n", "shop", "-f") as process:
        assert process.stdout
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            _, err = await process.communicate()
        assert (process.returncode, err) == (130, b"")

    script = f"{sys.executable} -m tranche_cli events -n shop -f --nats-url {planner.url} | head -1"
    piped = await asyncio.create_subprocess_shell(
        script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert piped.stdout
    assert b"Waiting" in await piped.stdout.readline()
    for updated in range(50, 54):
        await planner.say(status(updated=updated))
    async with asyncio.timeout(20):
        assert await piped.communicate() == (b"", b"")


async def test_a_refusal_is_one_sentence_and_exit_1(planner: Planner) -> None:
    planner.answers["get"] = {"accepted": False, "errors": [{"field": "", "message": "there is no shop/x"}]}

    assert await planner.run("status", "shop/x") == Ran(1, "", "tranche: there is no shop/x\n")


async def test_a_bad_name_and_a_bad_option_are_refused(planner: Planner) -> None:
    for argv, words in {
        ("status", "Shop/Cart"): "is no namespace",
        ("status", "shop/cart", "--until", "soon"): "expected complete, waiting or batch=K",
        ("status",): "Missing argument 'NAME'",
        ("status", "shop/cart", "--nats-ca", "/absent"): "TRANCHE_NATS_CA",
        ("scale", "shop/cart"): "Missing option '--replicas'",
        ("plan",): "plan needs -f FILE, or the name",
        ("freeze", "-n", "shop", "--all"): "not both",
        ("freeze", "--for", "soon"): "expected a time such as 90s",
        ("waiting", "-n", "Shop"): "is no namespace",
    }.items():
        ran = await planner.run(*argv)
        assert (ran.code, ran.out) == (1, ""), argv
        assert words in ran.err


async def test_shells_get_their_script_and_their_answers() -> None:
    for shell, words in {
        "bash": "complete -o",
        "zsh": "#compdef tranche",
        "fish": "complete --command",
    }.items():
        ran = await tranche("completion", shell, url="nats://127.0.0.1:1")
        assert (ran.code, words in ran.out) == (0, True)
    asking = {"_TRANCHE_COMPLETE": "complete_bash", "COMP_WORDS": "tranche expl", "COMP_CWORD": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tranche_cli"), stdout=asyncio.subprocess.PIPE, env={**os.environ, **asking}
    )
    out, _ = await process.communicate()

    assert out.decode().split() == ["explain"]


async def test_nobody_there_is_exit_6(nats_server: NatsServer, bus: NatsBus) -> None:
    await bus.ensure(STREAMS, replicas=1, create=True)

    ran = await tranche("status", "shop/cart", url=nats_server.url)

    assert ran.code == 6
    assert "no planner answers" in ran.err


async def test_setup_creates_and_checks(nats_server: NatsServer) -> None:
    missing = await tranche("setup", "--check", url=nats_server.url)
    made = await tranche("setup", url=nats_server.url)
    there = await tranche("setup", "--check", url=nats_server.url)

    assert (missing.code, made.code, there.code) == (1, 0, 0)
    assert "tranche setup" in missing.err
