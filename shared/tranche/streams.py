"""The streams, buckets and durable consumers of an installation: one table (design 2, 4)."""

from __future__ import annotations

from tranche.bus.port import ConsumerSpec, StreamSpec
from tranche.contract import subjects

DAY_S = 86_400.0
TASK_HOLD_S = 4.0
"""A task is held so long, renewed every second."""
CALL_S = 2.0
"""A call to a base takes no longer."""
TASK_ACK_WAIT_S = 7.0
"""Hold, call and margin (design 2.2)."""

PLANNER_EVENTS = ConsumerSpec(
    subjects.DEPLOYMENTS, "planner", ("tranche.deployments.>",), ack_wait_s=10, max_ack_pending=1000
)
PLANNER_PROGRESS = ConsumerSpec(
    subjects.PROGRESS,
    "planner",
    ("tranche.progress.*.*",),
    ack_wait_s=10,
    max_ack_pending=1000,
    deliver="last_per_subject",
)
PLANNER_WAKE = ConsumerSpec(subjects.WAKE, "planner", ("tranche.wake.*.*",), ack_wait_s=10)
EXECUTOR_TASKS = ConsumerSpec(
    subjects.TASKS, "executor", ("tranche.tasks.*.*.*",), ack_wait_s=TASK_ACK_WAIT_S, max_ack_pending=10_000
)


def _bucket(name: str, description: str, *, message_ttl: bool = False) -> StreamSpec:
    return StreamSpec(
        name=subjects.bucket_stream(name),
        subjects=(f"$KV.{name}.>",),
        max_per_subject=1,
        discard="new",
        message_ttl=message_ttl,
        description=description,
    )


STREAMS: tuple[StreamSpec, ...] = (
    StreamSpec(
        subjects.DEPLOYMENTS,
        # All below the prefix, so that a subject with a part too many is refused with its reason.
        ("tranche.deployments.>",),
        retention="workqueue",
        discard="new",
        max_bytes=1 << 30,
        description="Deployment events on their way to the planners",
        consumers=(PLANNER_EVENTS,),
    ),
    StreamSpec(
        subjects.PLANS,
        ("tranche.plans.*.*.*",),
        max_per_subject=1,
        description="The newest release level per deployment",
    ),
    StreamSpec(
        subjects.TASKS,
        ("tranche.tasks.*.*.*",),
        max_per_subject=1,
        retention="workqueue",
        discard="new",
        discard_new_per_subject=True,
        description="Pods that have a claim, one message per pod",
        consumers=(EXECUTOR_TASKS,),
    ),
    StreamSpec(
        subjects.AVAILABILITY,
        ("tranche.availability.*.*.*",),
        max_per_subject=1,
        message_ttl=True,
        description="The newest record per pod",
    ),
    StreamSpec(
        subjects.PROGRESS,
        ("tranche.progress.*.*",),
        max_per_subject=1,
        description="The newest counts per deployment",
        consumers=(PLANNER_PROGRESS,),
    ),
    StreamSpec(
        subjects.STATUS,
        ("tranche.status.*.*",),
        max_per_subject=1000,
        max_age_s=7 * DAY_S,
        description="Rollout status, a document per change worth telling",
    ),
    StreamSpec(
        subjects.REJECTED,
        ("tranche.rejected.>",),
        max_per_subject=1000,
        max_age_s=7 * DAY_S,
        max_bytes=1 << 30,
        description="Refused messages with their reasons",
    ),
    StreamSpec(
        subjects.WAKE,
        ("tranche.wake.*.*", "tranche.schedule.*.*"),
        max_per_subject=1,
        schedules=True,
        message_ttl=True,
        description="Due times of gates",
        consumers=(PLANNER_WAKE,),
    ),
    _bucket(subjects.DOCUMENTS, "One document per deployment, the planner's truth"),
    _bucket(subjects.POOLS, "One ledger of claims per pool, the scheduler's truth"),
    _bucket(subjects.OWNERS, "Which deployment owns a module on a pool"),
    _bucket(subjects.FREEZES, "Freezes by namespace"),
    _bucket(subjects.LEASES, "Who is alive, and who looks after which pool", message_ttl=True),
)
