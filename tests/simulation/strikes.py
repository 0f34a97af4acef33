"""Carries out a scenario's faults on a world, and ends them all."""

from __future__ import annotations

import random
from contextvars import Context
from dataclasses import replace

from tests.simulation.air import CALM
from tests.simulation.bases import SimBase
from tests.simulation.loop import Handle
from tests.simulation.oracle import Oracle
from tests.simulation.scenario import NAMESPACE, PoolDraw, Scenario, Strike
from tests.simulation.world import RESTART_S, Slot, World
from tranche_executor.core.pod import Pod, PodKey
from tranche_fleet.arklet import Settings as BaseSettings
from tranche_fleet.faults import Fault, Kind

LABEL = "koupleless.io/max-module-count"
LONG_S = 12.0
"""Longer than any lease, hold or ack_wait."""
BASE_FAULTS = (
    *(Kind.INSTALL_FAILS, Kind.HANG, Kind.LATE, Kind.MUTE, Kind.DEFER, Kind.SLOW_POOL),
    *(Kind.FORGET_RECORD, Kind.RESTART, Kind.SAY_FAILED, Kind.LOSE_MODULE),
)
INSTALL_WORDS = ("broken", "artifact-refused", "artifact-missing", "artifact-corrupt")


class Striker:
    """Hits a world. Whom it hits is drawn from the seed, from who is there."""

    def __init__(self, world: World, scenario: Scenario, oracle: Oracle) -> None:
        self._world = world
        self._scenario = scenario
        self._oracle = oracle
        self._dice = random.Random(f"{scenario.seed}/strikes")
        self._pods = 0
        self._over = False
        self._due: list[Handle] = []

    def furnish(self) -> None:
        """The pods of the beginning, and the times of the strikes."""
        for pool in self._scenario.pools:
            for limit in pool.limits:
                self._join(pool, limit)
        self._plan()

    def branch(self, scenario: Scenario) -> None:
        """From here on these strikes instead of those that have not come yet."""
        self._scenario = scenario
        self._over = False
        self._dice.seed(f"{scenario.seed}/strikes")
        for handle in self._due:
            handle.cancel()
        self._plan()

    def _plan(self) -> None:
        loop, strikes = self._world.loop, self._scenario.strikes
        self._due = [loop.call_at(strike.at, self._hit, strike, context=Context()) for strike in strikes]

    def _hit(self, strike: Strike) -> None:
        if self._over:
            return
        if self._strike(strike):
            self._world.air.fault(strike.kind)

    def _strike(self, strike: Strike) -> bool:
        """Whether there was anything to hit."""
        world = self._world
        match strike.kind.split():
            case ["kill", kind]:
                if (slot := self._slot(kind)) is not None and slot.process is not None:
                    world.restart_s = 0.1 + strike.seconds / 3
                    world.kill(slot.process)
                    world.restart_s = RESTART_S
                    return True
            case ["freeze", kind]:
                if (slot := self._slot(kind)) is not None and slot.process is not None:
                    world.freeze(slot.process, strike.seconds if strike.seconds < 4 else LONG_S)
                    return True
            case ["cut", kind]:
                if (slot := self._slot(kind)) is not None:
                    self._cut(slot, strike.seconds)
                    return True
            case ["broker", "down"]:
                for slot in world.slots:
                    self._cut(slot, 0.2 + strike.seconds / 3)
                return True
            case ["broker", "forgets"]:
                return self._forget()
            case ["redeliver"]:
                return self._redeliver()
            case ["clock", "jump"]:
                if (slot := self._slot(*("planner", "scheduler", "executor"))) is not None and slot.clock:
                    slot.clock.skew_s = self._dice.choice((-86_400.0, -30.0, 30.0, 86_400.0))
                    return True
            case ["base", what]:
                return self._hit_base(what, strike.seconds)
            case ["address", "reused"]:
                return self._reuse_address()
            case ["limit", "lowered"]:
                return self._lower()
            case ["pod", *what]:
                return self._hit_pod(" ".join(what), strike.seconds)
            case _:
                raise ValueError(f"no such kind of fault: {strike.kind}")
        return False

    # --- processes ---

    def _slot(self, *kinds: str) -> Slot | None:
        found = [
            slot
            for slot in self._world.slots
            if slot.kind in kinds and slot.process is not None and slot.process.alive and slot.bus is not None
        ]
        return self._dice.choice(found) if found else None

    def _cut(self, slot: Slot, seconds: float) -> None:
        bus, process = slot.bus, slot.process
        if bus is None or process is None or not process.alive:
            return
        bus.cut()

        def mend() -> None:
            if process.alive:
                bus.mend()

        self._world.loop.call_later(seconds, mend, context=Context())

    def _redeliver(self) -> bool:
        """A message that is being worked on is handed out again."""
        found = [
            (consumer, sequence)
            for consumer in self._world.broker.consumers.values()
            for sequence in consumer.in_hand
        ]
        if not found:
            return False
        consumer, sequence = self._dice.choice(found)
        consumer.lapse(sequence)
        return True

    def _forget(self) -> bool:
        """The broker comes back without the last writes it had acknowledged."""
        streams = self._world.broker.streams
        names = [name for name in sorted(streams) if streams[name].last_sequence > 1]
        if not names:
            return False
        for slot in self._world.slots:
            self._cut(slot, 0.5)
        for name in self._dice.sample(names, 1 + int(self._dice.random() * len(names))):
            last = streams[name].last_sequence
            self._oracle.forgets()
            streams[name].lose(max(1, last - 1 - int(self._dice.random() ** 2 * 12)))
        return True

    # --- bases ---

    def _base(self) -> tuple[Pod, SimBase] | None:
        pods = self._world.inventory.pods
        if not pods:
            return None
        pod = pods[self._dice.choice(sorted(pods))]
        return pod, self._world.inventory.bases[pod.address]

    def _hit_base(self, what: str, seconds: float) -> bool:
        if (hit := self._base()) is None:
            return False
        pod, found = hit
        now = found.now
        if what == "restarts":
            self._oracle.restarts(pod.uid)
            found.base.restart(now, down_s=seconds / 3)
        elif what == "dies":
            found.base.stop(now)
            self._world.loop.call_later(seconds, self._revive, found, context=Context())
        elif what == "refuses":
            found.base.arm(Fault(Kind.REFUSE, seconds=seconds), now)
        else:
            kind = self._dice.choice(BASE_FAULTS)
            words = self._dice.choice(INSTALL_WORDS) if kind is Kind.INSTALL_FAILS else ""
            if kind is Kind.RESTART:
                words = self._dice.choice(("", "after"))
                self._oracle.restarts(pod.uid)
            times = 1 + int(self._dice.random() ** 2 * 3)
            found.base.arm(Fault(kind, times=times, seconds=min(seconds, 5.0), words=words), now)
            self._world.air.counts[f"fault base {kind}"] += 1
        found.pump()
        return True

    def _revive(self, found: SimBase) -> None:
        found.base.start(found.now)
        found.pump()

    # --- pods ---

    def _join(self, pool: PoolDraw, limit: int | None, *, name: str = "", address: str = "") -> None:
        self._pods += 1
        number = self._pods
        key = PodKey(NAMESPACE, pool.base, name or f"{pool.base}-{number}")
        uid = f"uid-{number}"
        on_event = self._oracle.seat(key, uid, limit)
        found = self._world.add_pod(
            key,
            uid=uid,
            address=address or f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:1238",
            max_modules=limit,
            version=pool.version,
            settings=BaseSettings(
                install_s=self._scenario.install_s * (0.5 + self._dice.random()), uninstall_s=0.01
            ),
            on_event=on_event,
        )
        on_event(found)

    def _draw_of(self, key: PodKey) -> PoolDraw:
        return next(pool for pool in self._scenario.pools if pool.base == key.base)

    def _leave(self, pod: Pod) -> SimBase:
        found = self._world.inventory.bases[pod.address]
        found.base.stop(found.now)
        found.pump()
        self._world.inventory.drop(pod.key)
        self._oracle.leaves(pod.uid)
        return found

    def _hit_pod(self, what: str, seconds: float) -> bool:
        if what == "joins":
            pool = self._dice.choice(self._scenario.pools)
            self._join(pool, pool.limits[0])
            return True
        if (hit := self._base()) is None:
            return False
        pod, _ = hit
        pool = self._draw_of(pod.key)
        if what == "leaves":
            self._leave(pod)
            # Another comes for it, or replicas may have no place to stand.
            self._world.loop.call_later(seconds, self._join, pool, pool.limits[0], context=Context())
        elif what == "recreated":
            self._leave(pod)
            self._join(pool, pool.limits[0], name=pod.key.pod)
        elif what == "not ready":
            self._world.inventory.put(replace(pod, ready=False))
            self._world.loop.call_later(seconds, self._ready_again, pod, context=Context())
        else:
            raise ValueError(f"nothing that happens to a pod: {what}")
        return True

    def _ready_again(self, pod: Pod) -> None:
        live = self._world.inventory.pods.get(pod.key)
        if live is not None and live.uid == pod.uid:
            self._world.inventory.put(replace(live, ready=True))

    def _reuse_address(self) -> bool:
        """A pod leaves, and another with another name gets its address at once."""
        if (hit := self._base()) is None:
            return False
        pod, _ = hit
        pool = self._draw_of(pod.key)
        self._leave(pod)
        self._join(pool, pool.limits[0], address=pod.address)
        return True

    def _lower(self) -> bool:
        """A limit that was there is lowered."""
        pods = self._world.inventory.pods
        found = [pods[key] for key in sorted(pods) if pods[key].labels.get(LABEL)]
        if not found:
            return False
        pod = self._dice.choice(found)
        self._label(pod, str(max(0, int(pod.labels[LABEL]) - 1 - int(self._dice.random() * 3))))
        return True

    def _label(self, pod: Pod, limit: str) -> None:
        self._world.inventory.put(replace(pod, labels={LABEL: limit}))
        self._oracle.relabel(pod.uid, int(limit))

    # --- the end of all faults ---

    def heal(self) -> None:
        """From here on everything works, and whatever was down comes back."""
        self._over = True
        world = self._world
        world.air.note("healed")
        world.air.weather = CALM
        for slot in world.slots:
            if slot.process is not None and slot.process.alive:
                world.thaw(slot.process)
                if slot.bus is not None:
                    slot.bus.mend()
            if slot.clock is not None:
                slot.clock.skew_s = 0.0
        for pod in list(world.inventory.pods.values()):
            found = world.inventory.bases[pod.address]
            found.base.clear(None, found.now)
            found.base.start(found.now)
            found.pump()
            wanted = self._draw_of(pod.key).limits[0]
            labels = {LABEL: str(wanted)} if wanted is not None else {}
            if not pod.ready or pod.labels.get(LABEL) != labels.get(LABEL):
                world.inventory.put(replace(pod, ready=True, labels=labels))
                self._oracle.relabel(pod.uid, wanted)
