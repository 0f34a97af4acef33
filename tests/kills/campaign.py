"""Rollouts after each other in one installation, while its processes are killed and frozen."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import tranche
from tests.installation import Installation, installation
from tests.judge import Timelines
from tests.kills import strikes, verdict, wishes
from tests.kills.cluster import META, Cluster, nats_cluster
from tests.kills.recovery import Recovery, recovery
from tests.kills.rollout import Player, Story, Stuck
from tests.kills.strikes import Strike, Struck
from tests.kills.victims import Lost, ServerVictim, ServiceVictim, Victim
from tests.kills.wishes import BASE, MODULES, NAMESPACE, PODS, Wish
from tranche.contract import subjects

FLEET = ("--install-seconds", "0.8", "--uninstall-seconds", "0.05")
STREAMS = (
    subjects.bucket_stream(subjects.POOLS),
    subjects.bucket_stream(subjects.DOCUMENTS),
    subjects.bucket_stream(subjects.LEASES),
    subjects.DEPLOYMENTS,
    subjects.PLANS,
    subjects.TASKS,
    subjects.AVAILABILITY,
    subjects.PROGRESS,
    META,
)
"""Whose leaders are struck in a cluster."""
BOTH = 0.4
"""How often both deployments are rolled out at the same time."""
SETTLE_S = 0.3
LOOK_S = 0.1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """Some rollouts at the same time, what was struck meanwhile, and how it went."""

    label: str
    stories: Sequence[Story]
    struck: Sequence[Struck]
    recoveries: Sequence[Recovery]
    late_starts_s: Sequence[float]
    violations: Sequence[str]


@dataclass(slots=True)
class Record:
    """What a campaign saw."""

    seed: int
    rounds: list[Round] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    """Changing commands that the bases carried out, by installation."""
    ended_alone: list[str] = field(default_factory=list)
    """Processes that ended without having been killed, and were started again."""
    load: float = 0.0
    """The highest of the machine, over a minute."""

    @property
    def struck(self) -> list[Struck]:
        return [one for round_ in self.rounds for one in round_.struck]

    @property
    def kills(self) -> int:
        """How often a process was killed or frozen."""
        return sum(len(one.victims) for one in self.struck)

    @property
    def violations(self) -> list[str]:
        return [one for round_ in self.rounds for one in round_.violations]


class Campaign:
    """One installation under fire."""

    def __init__(self, here: Installation, client: tranche.Client, record: Record, say: Say) -> None:
        self._here = here
        self._client = client
        self._record = record
        self._say = say
        self._standing: dict[str, Wish] = {}
        self._since = time.time()
        self._victims = _victims(here)
        self._away: set[str] = set()

    async def run(self, label: str, kills: int) -> None:
        """Rounds until so many processes were struck here, or a promise was broken."""
        record, goal, number = self._record, self._record.kills + kills, 0
        await self.round(label, number, ())
        keeping = asyncio.create_task(self._keep_alive())
        try:
            while record.kills < goal and not record.violations:
                number += 1
                dice = Random(f"{record.seed} strikes {label} {number}")
                await self.round(label, number, [self._drawn(dice) for _ in range(dice.randint(1, 3))])
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def round(self, label: str, number: int, drawn: Sequence[Strike]) -> None:
        """Some rollouts with strikes in their middle, then the judgement."""
        dice = Random(f"{self._record.seed} wishes {label} {number}")
        stories = [Story(wish, self._standing.get(wish.name)) for wish in self._wishes(dice, number)]
        players = [Player(self._client, story, dice) for story in stories]
        struck: list[Struck] = []
        outcomes = await asyncio.gather(
            *(player.play() for player in players),
            self._strike(drawn, players, struck),
            return_exceptions=True,
        )
        await asyncio.sleep(SETTLE_S)
        stuck = []
        for outcome in outcomes:
            if isinstance(outcome, Stuck | Lost):
                stuck.append(f"stuck: {outcome}")
            elif outcome is not None:
                raise outcome
        await self._judge(f"{label} {number}", stories, struck, stuck)

    def _wishes(self, dice: Random, number: int) -> list[Wish]:
        if not self._standing:
            return [wishes.first(name, dice) for name in MODULES]
        names = list(MODULES) if dice.random() < BOTH else [dice.choice(list(MODULES))]
        return [wishes.draw(dice, self._standing[name], number + 1) for name in names]

    def _drawn(self, dice: Random) -> Strike:
        servers = [name for name in self._victims if name not in self._here.services]
        return strikes.draw(dice, list(self._here.services), servers, STREAMS if len(servers) > 1 else ())

    async def _strike(self, drawn: Sequence[Strike], players: Sequence[Player], done: list[Struck]) -> None:
        """One strike after the other, each while a rollout is under way. Raises Lost."""
        cluster = self._here.nats
        leader = cluster.leader if isinstance(cluster, Cluster) else _nobody
        for strike in drawn:
            if not await _something_moves(players):
                break
            await asyncio.sleep(strike.delay_s)
            if all(player.finished for player in players):
                break
            self._record.load = max(self._record.load, os.getloadavg()[0])
            if struck := await strikes.carry_out(strike, self._victims, self._away, leader):
                done.append(struck)

    async def _judge(
        self, label: str, stories: Sequence[Story], struck: Sequence[Struck], stuck: list[str]
    ) -> None:
        timelines, now = await self._here.timelines(BASE), time.time()
        standing = {**self._standing, **{story.wish.name: story.wish for story in stories}}
        found = stuck or verdict.violations(timelines, verdict.Span(self._since, now, stories, standing))
        ends = [*(one.at for one in struck[1:]), now]
        round_ = Round(
            label,
            stories,
            struck,
            [recovery(timelines, stories, one.back_at, end) for one, end in zip(struck, ends, strict=False)],
            [late_s for story in stories for late_s in verdict.late_starts(timelines, story)],
            found,
        )
        self._record.rounds.append(round_)
        self._record.commands[label.split()[0]] = sum(
            one.started_at is not None for line in timelines.values() for one in line.commands
        )
        self._say(said(round_))
        if found:
            self._keep(round_, timelines)
        self._since = now
        self._standing |= {story.wish.name: story.after for story in stories if story.after is not None}
        for story in stories:
            story.statuses.clear()

    def _keep(self, round_: Round, timelines: Timelines) -> None:
        """What the bases noted and people read in a round that went wrong, as files beside the logs."""
        folder = self._here.folder
        lines = {pod: line.document() for pod, line in sorted(timelines.items())}
        (folder / "timelines.json").write_text(json.dumps(lines, indent=1))
        for story in round_.stories:
            told = "".join(f"{at:.3f} {status.encode().decode()}\n" for at, status in story.statuses)
            (folder / f"statuses-{story.wish.name}.log").write_text(told)

    async def _keep_alive(self) -> None:
        """Start again what ended by itself, as an orchestrator does."""
        while True:
            for name, victim in self._victims.items():
                if name not in self._away and not victim.running:
                    self._record.ended_alone.append(name)
                    self._away.add(name)
                    await victim.revive()
                    self._away.discard(name)
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def campaign(folder: Path, record: Record, say: Say, *, clustered: bool) -> AsyncIterator[Campaign]:
    """Two planners, two schedulers and three executors to be struck, with one nats-server or three.

    ``folder`` is there and empty.
    """
    servers = nats_cluster(folder) if clustered else None
    pool = f"{NAMESPACE}/{BASE}:{PODS}"
    async with installation(folder, pool, fleet=FLEET, nats=servers) as here:
        environment = {"TRANCHE_REPLICAS": "3"} if clustered else {}
        await here.start(planners=2, schedulers=2, executors=3, environment=environment)
        async with tranche.connect(here.nats.url) as client:
            yield Campaign(here, client, record, say)


def said(round_: Round) -> str:
    """A round in some lines."""
    lines = [f"{round_.label}: " + ("BROKEN" if round_.violations else "kept")]
    for story in round_.stories:
        took = f"{story.ended_at - story.asked_at:.1f} s" if story.over else "not ended"
        lines.append(f"    {story.wish}: {story.outcome or 'no end'}, {took}")
        lines += [f"      asked again: {one}" for one in story.asked_again]
    for struck, back in zip(round_.struck, round_.recoveries, strict=True):
        words = (
            "nothing was left to do" if back.goes_on_s is None else f"goes on after {back.goes_on_s:.2f} s"
        )
        lines.append(f"    {struck}: {words}")
    told = "was begun after a person was told of the abort, the pause or the other wish"
    lines += [f"    {late_s:.2f} s late: {told}" for late_s in round_.late_starts_s]
    return "\n".join(lines + [f"  ! {one}" for one in round_.violations])


def _victims(here: Installation) -> Mapping[str, Victim]:
    nodes = here.nats.nodes if isinstance(here.nats, Cluster) else {"nats": here.nats}
    servers: dict[str, Victim] = {name: ServerVictim(name, node) for name, node in nodes.items()}
    return {name: ServiceVictim(process) for name, process in here.services.items()} | servers


async def _something_moves(players: Sequence[Player]) -> bool:
    """Wait until a rollout is under way; False: all are over."""
    while not all(player.finished for player in players):
        if any(player.moving.is_set() and not player.finished for player in players):
            return True
        await asyncio.sleep(0.02)
    return False


async def _nobody(stream: str) -> str | None:
    return None
