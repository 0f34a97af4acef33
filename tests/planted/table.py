"""The planted bugs: which rule each breaks, and which tests must notice it, within which time (design 7.3)."""

from __future__ import annotations

from dataclasses import dataclass

SCHEDULER_KEEPER = "tests/unit/test_scheduler_keeper.py"
SCHEDULER_PROOF = "tests/unit/test_scheduler_proof.py"
SCHEDULER_LEDGER = "tests/unit/test_scheduler_ledger.py"
TAKEOVER = "tests/unit/test_executor_takeover.py"
DECISIONS = "tests/unit/test_executor_decisions.py"
RESTARTS = "tests/unit/test_planner_restarts.py"
REPEATS = "tests/unit/test_planner_repeats.py"
VERBS = "tests/unit/test_planner_verbs.py"
ARKLET = "tests/unit/test_arklet_failure.py"
OUTCOMES = "tests/contract/test_arklet_outcomes.py"


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug. ``name``: of its patch; ``breaks``: S and V as in design 7.2; ``caught_by``: node ids of pytest, all
    of which must fail; ``within_s``: seconds of the processor, from the start of their process to its end."""

    name: str
    breaks: str
    says: str
    caught_by: tuple[str, ...]
    within_s: float = 15.0
    shown_in: str = ""
    """Families of seeds in which the simulation shows it as well, ``FROM:TO``; empty: in none that were played."""
    shown_within_s: float = 100.0
    """Seconds of the processor for that."""


PLANTED: tuple[Planted, ...] = (
    Planted(
        "split_check_and_claim",
        "S1",
        "claims checked against one ledger are written behind another, which somebody wrote meanwhile",
        (f"{SCHEDULER_KEEPER}::test_what_somebody_else_claimed_meanwhile_counts_before_anything_is_claimed",),
    ),
    Planted(
        "claim_with_ttl",
        "S3",
        "a claim whose operation began 15 seconds ago is taken for that of a dead executor",
        (f"{SCHEDULER_PROOF}::test_no_time_that_passes_ends_a_claim",),
    ),
    Planted(
        "release_before_proof",
        "S3",
        "a claim leaves when its operation has begun",
        (
            f"{SCHEDULER_LEDGER}::test_a_claim_leaves_on_proof",
            f"{SCHEDULER_PROOF}::test_no_time_that_passes_ends_a_claim",
        ),
        shown_in="0:1",
    ),
    Planted(
        "ack_before_record",
        "V2",
        "a task is acked before the record tells what became of it",
        (f"{TAKEOVER}::test_a_task_outlives_the_executor_that_had_it",),
    ),
    Planted(
        "timeout_taken_as_failure",
        "S7",
        "a call without an answer is taken for one that was never sent",
        (f"{TAKEOVER}::test_an_unanswered_call_is_neither_done_nor_failed_until_the_base_has_told",),
    ),
    Planted(
        "timeout_taken_as_success",
        "S7",
        "a call without an answer is taken for one that was carried out",
        (f"{TAKEOVER}::test_an_unanswered_call_is_neither_done_nor_failed_until_the_base_has_told",),
    ),
    Planted(
        "failed_in_a_200_taken_as_success",
        "S11",
        "FAILED in an answer with status 200 counts as done",
        (f"{ARKLET}::test_a_refusal_is_explained",),
    ),
    Planted(
        "failed_record_taken_as_success",
        "S11",
        "the record of a failed operation counts as done where it tells no cause",
        (f"{ARKLET}::test_a_record_says_whether_it_is_over",),
    ),
    Planted(
        "ceil_for_floor",
        "S1",
        "percents of maxUnavailable round up",
        ("tests/unit/test_manifest_changes.py::test_how_many_may_be_unavailable",),
    ),
    Planted(
        "budget_counted_per_batch",
        "S1",
        "the budget counts what this batch takes down, and nothing else that is down",
        (
            f"{SCHEDULER_PROOF}::test_a_batch_has_no_budget_of_its_own",
            f"{SCHEDULER_PROOF}::test_what_is_down_already_uses_up_the_budget",
        ),
        shown_in="0:6",
    ),
    Planted(
        "confirm_without_generation",
        "S6",
        "a confirm for another generation opens the gate",
        (f"{VERBS}::test_a_confirm_names_its_rollout",),
    ),
    Planted(
        "gray_time_restarted_by_a_crash",
        "V1",
        "a planner that starts has the gray time of verified batches begin anew",
        (f"{RESTARTS}::test_gray_time_goes_on_while_nobody_watches_the_clock",),
    ),
    Planted(
        "stale_view",
        "S1",
        "claims are made by a view that is older than the ledger",
        (f"{SCHEDULER_LEDGER}::test_nobody_claims_with_a_view_older_than_the_ledger",),
    ),
    Planted(
        "uid_ignored",
        "S2",
        "a claim for a pod that is gone is carried out on another pod of that name",
        (
            f"{TAKEOVER}::test_a_claim_for_a_pod_of_before_touches_no_other_of_that_name",
            f"{DECISIONS}::test_admission",
        ),
    ),
    Planted(
        "uid_ignored_by_the_scheduler",
        "V2",
        "a claim stays although another pod has its pod's name",
        (
            f"{SCHEDULER_PROOF}::test_a_pod_made_anew_under_the_same_name_ends_the_claim_of_the_one_before",
            f"{SCHEDULER_LEDGER}::test_a_claim_leaves_on_proof",
        ),
        shown_in="0:8",
    ),
    Planted(
        "capacity_forgotten_for_claims",
        "S4",
        "a pod's room counts what is on it, not what is claimed for it",
        (f"{SCHEDULER_PROOF}::test_what_is_claimed_for_a_pod_takes_up_its_room_before_it_is_there",),
    ),
    Planted(
        "no_modules_taken_for_no_limit",
        "S4",
        "a limit of 0 modules is taken for none",
        (f"{SCHEDULER_PROOF}::test_a_limit_of_no_modules_is_a_limit",),
    ),
    Planted(
        "dedupe_trusted_beyond_its_window",
        "S9",
        "an event that is delivered again after two minutes is another one",
        (
            f"{REPEATS}::test_a_wish_that_is_delivered_again_is_done_already",
            f"{REPEATS}::test_a_promote_that_is_delivered_again_opens_no_other_gate",
        ),
    ),
    Planted(
        "task_without_a_ledger_check",
        "S6",
        "a claim is carried out as it stood in the ledger when that was read last",
        (f"{TAKEOVER}::test_a_claim_is_looked_up_anew_for_every_task",),
    ),
    Planted(
        "repeated_task_begun_anew",
        "S9",
        "a task that comes again begins its claim again, though its record says that it is over",
        (f"{TAKEOVER}::test_a_task_that_comes_again_however_late_finds_its_claim_over",),
    ),
    Planted(
        "abort_that_forgets_what_is_down",
        "S1",
        "on the way back the budget does not count what is down already",
        (f"{SCHEDULER_PROOF}::test_what_is_down_already_uses_up_the_budget",),
    ),
    Planted(
        "updated_counted_by_revision_number",
        "S11",
        "only the newest number of the target's content counts as updated",
        (f"{SCHEDULER_PROOF}::test_the_same_content_under_an_older_number_is_at_the_target",),
    ),
    Planted(
        "request_ids_per_attempt",
        "S7",
        "who takes an operation over calls the base under ids of their own",
        (f"{TAKEOVER}::test_who_takes_over_sends_nothing_while_what_was_sent_may_still_run",),
    ),
    Planted(
        "end_before_unused_ids_are_burnt",
        "S7",
        "an id the base does not know is taken for one that was never sent",
        (
            f"{TAKEOVER}::test_a_call_that_comes_in_after_the_end_never_runs",
            f"{DECISIONS}::test_the_fence",
            "tests/properties/test_executor_operation.py::test_any_base_any_crash",
        ),
        within_s=30.0,
    ),
    Planted(
        "progress_from_a_stale_view",
        "S5",
        "counts are told by a view that is older than the ledger",
        (f"{SCHEDULER_KEEPER}::test_nothing_is_told_by_a_view_older_than_the_ledger_was_written_with",),
    ),
    Planted(
        "old_plan_acted_on_after_a_newer_was_echoed",
        "S6",
        "claims are made under a plan older than the one the ledger notes",
        (f"{SCHEDULER_LEDGER}::test_nobody_claims_under_a_plan_older_than_noted",),
    ),
    Planted(
        "record_written_after_the_call",
        "S2",
        "a base is called before the record names the call",
        (f"{TAKEOVER}::test_the_record_names_every_call_before_it_is_sent",),
        shown_in="0:1",
    ),
    Planted(
        "withdrawn_claim_begun",
        "S6",
        "a claim that was withdrawn is begun all the same where it costs budget",
        (f"{TAKEOVER}::test_a_claim_that_was_withdrawn_is_not_begun",),
    ),
    Planted(
        "lost_ledger_begun_anew",
        "S8",
        "a ledger that was lost is begun anew beside records and plans that know of it",
        (f"{SCHEDULER_PROOF}::test_a_ledger_begun_anew_beside_an_older_history_disturbs_nothing",),
    ),
    Planted(
        "batch_verified_by_an_older_answer",
        "S5",
        "a batch is verified by counts that answer an older plan of its generation",
        (f"{REPEATS}::test_counts_that_answer_an_older_plan_verify_nothing",),
    ),
    Planted(
        "generation_observed_too_early",
        "S11",
        "observedGeneration is the newest generation, whichever the counts are of",
        (f"{REPEATS}::test_a_generation_is_observed_when_counts_of_it_came",),
    ),
    Planted(
        "event_acked_before_it_is_saved",
        "V3",
        "an event is acked before what follows from it is saved",
        (f"{RESTARTS}::test_an_event_whose_planner_died_with_it_in_hand_is_carried_out_by_the_next",),
    ),
    Planted(
        "unanswered_write_taken_as_written",
        "S2",
        "a write without an answer is taken for written",
        ("tests/unit/test_cas.py::test_a_write_that_was_lost_on_the_way_is_written_again",),
    ),
    Planted(
        "idle_target_counts",
        "S5",
        "a replica counts as available at the target where the target stands idle and an older version serves",
        ("tests/unit/test_scheduler_steps.py::test_the_target_is_made_to_serve_where_it_stands_idle",),
    ),
    Planted(
        "begun_goes_on_at_another_base",
        "S2",
        "what was begun on one base goes on at another that answers at its address and says who it is",
        (f"{TAKEOVER}::test_what_was_begun_on_one_base_does_not_go_on_at_another_with_its_address",),
    ),
    Planted(
        "surplus_made_again",
        "V1",
        "replicas above what is wanted are made again when they are lost, and waited for",
        (
            "tests/unit/test_scheduler_steps.py::test_one_that_is_lost_of_more_than_are_wanted_is_not_made_again",
        ),
    ),
)
