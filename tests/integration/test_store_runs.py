"""A Run's life, arrow by arrow, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text

from proctor.nouns.exams import Scored
from proctor.nouns.models import DType, Lane, Quant
from proctor.nouns.runs import Claim, Cost, Measures, RunStatus
from proctor.nouns.workers import LaneLoad
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.export import export_rows
from proctor.store.runs import runs, sweeps, workers
from proctor.store.runs.exams import save_exam
from scheduler.choose import choose
from tests.integration.store_world import (
    LEASE_S,
    HandClock,
    answer,
    card,
    claim,
    exam,
    first_lane,
    pack_of,
    provenance,
    question,
    record,
    seen_loads,
    sit,
    spec,
    submit,
)


def the_run(store: Store) -> records.RunRecord:
    (found,) = records.runs(store, [sweeps.find(store, None).id])
    return found


def test_a_claimed_run_is_as_it_was_planned(store: Store) -> None:
    planned = spec(quant=Quant.FOUR_BIT)
    submit(store, planned)

    got = claim(store)

    assert got.spec == planned
    assert (got.attempt, got.lease_s, got.dtype) == (1, LEASE_S, DType.AUTO)


def test_a_run_is_done_when_all_its_packs_are_recorded(store: Store) -> None:
    submit(store, spec())

    sit(store, claim(store))

    done = the_run(store)
    assert (done.status, done.answered, done.attempt) == (RunStatus.DONE, 6, 1)
    assert [attempt.outcome for attempt in done.attempts] == ["done"]
    assert done.provenance == provenance()
    assert done.measures == Measures(score=Cost(2.0, 4.0, 1.0))
    assert done.started_at is not None
    assert done.ended_at is not None
    assert runs.claim_best(store, card(), None, first_lane, LEASE_S) is None


def test_a_run_with_questions_left_cannot_be_finished(store: Store) -> None:
    submit(store, spec())
    held = claim(store)
    record(store, held, 0)

    with pytest.raises(runs.IncompleteRun, match="3 of 6"):
        runs.finish(store, held, Measures())

    assert the_run(store).status is RunStatus.RUNNING
    record(store, held, 1)
    runs.finish(store, held, Measures())


def test_right_wrong_and_tied_answers_are_counted(store: Store) -> None:
    sweep = submit(store, spec())
    held = claim(store)

    record(store, held, 0, picked=None)  # keys 0, 1, 2
    record(store, held, 1, picked=0)  # keys 3, 0, 1

    (run,) = records.progress(store, sweep.sweep_id).runs
    assert (run.answered, run.correct, run.tied) == (6, 1, 3)


def test_a_run_whose_lease_ran_out_is_claimed_again(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    claim(timed, "one")
    clock.go_on(LEASE_S)
    assert runs.waiting(timed, card("two")) == 0
    clock.go_on(0.001)
    assert runs.waiting(timed, card("two")) == 1

    again = claim(timed, "two")

    assert again.attempt == 2
    first, second = the_run(timed).attempts
    assert (first.outcome, first.worker, second.outcome) == ("lost", "one", "running")
    assert "lease ran out" in first.reason


def test_what_a_silent_worker_held_is_loaded_by_another_even_where_a_load_would_not_have_paid(
    timed: Store, clock: HandClock
) -> None:
    def ask(worker: str) -> Claim | None:
        return runs.claim_best(timed, card(worker), None, choose, LEASE_S)

    submit(timed, *(spec(subject=subject) for subject in ("anatomy", "astronomy", "virology")))
    first = ask("one")
    assert first is not None
    runs.begin(timed, first, provenance())
    record(timed, first, 0, 1)
    runs.finish(timed, first, Measures(load=Cost(100.0), score=Cost(1.0)))
    assert ask("one") is not None
    assert ask("two") is None, "a load takes longer than the Run that waits"
    clock.go_on(LEASE_S + 0.001)
    taken = ask("two")
    assert taken is not None
    assert workers.listing(timed)[0].held == taken.spec.lane
    assert [one.held for one in workers.listing(timed) if one.card.name == "one"] == [None]


def test_renewing_and_recording_extend_the_lease(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    held = claim(timed)
    clock.go_on(LEASE_S - 1)
    runs.renew(timed, held)
    clock.go_on(LEASE_S - 1)
    record(timed, held, 0)
    clock.go_on(LEASE_S - 1)
    assert runs.claim_best(timed, card("two"), None, first_lane, LEASE_S) is None


def test_a_resumed_run_keeps_the_packs_of_its_first_attempt(store: Store) -> None:
    submit(store, spec())
    first = claim(store, "one")
    runs.begin(store, first, provenance(DType.BFLOAT16, "one's host"))
    record(store, first, 1)
    runs.hand_back(store, first)

    second = claim(store, "two")

    assert second.dtype is DType.BFLOAT16
    assert runs.committed_packs(store, second) == {1}
    assert runs.begin(store, second, provenance(DType.FLOAT32)).dtype is DType.BFLOAT16
    record(store, second, 0)
    runs.finish(store, second, Measures())
    assert the_run(store).answered == 6


def test_an_attempt_that_kept_nothing_does_not_bind_the_next(store: Store) -> None:
    submit(store, spec())
    first = claim(store)
    runs.begin(store, first, provenance(DType.BFLOAT16))
    runs.hand_back(store, first)

    second = claim(store)

    assert second.dtype is DType.AUTO
    assert runs.begin(store, second, provenance(DType.FLOAT32)) == provenance(DType.FLOAT32)
    assert the_run(store).provenance == provenance(DType.FLOAT32)


def test_handing_back_counts_no_failure(store: Store) -> None:
    submit(store, spec())
    for _ in range(5):
        runs.hand_back(store, claim(store))
    run = the_run(store)
    assert (run.status, run.failures, run.attempt) == (RunStatus.PENDING, 0, 5)


def test_a_run_that_fails_three_times_is_failed_with_its_last_reason(store: Store) -> None:
    submit(store, spec())
    for number in (1, 2, 3):
        runs.fail(store, claim(store), f"error {number}", f"Traceback {number}")

    run = the_run(store)
    assert (run.status, run.failures) == (RunStatus.FAILED, 3)
    assert (run.reason, run.traceback) == ("error 3", "Traceback 3")
    assert [attempt.reason for attempt in run.attempts] == ["error 1", "error 2", "error 3"]
    assert runs.claim_best(store, card(), None, first_lane, LEASE_S) is None


def test_a_final_failure_needs_no_second_try(store: Store) -> None:
    submit(store, spec())
    runs.fail(store, claim(store), "no such model", final=True)
    assert the_run(store).status is RunStatus.FAILED


def test_a_reason_may_hold_any_character(store: Store) -> None:
    submit(store, spec())
    runs.fail(store, claim(store), "bad \0 byte \ud800", "trace \0", final=True)
    assert the_run(store).reason == "bad \N{REPLACEMENT CHARACTER} byte ?"


def test_a_run_that_kills_its_worker_three_times_is_failed_with_the_reason(store: Store) -> None:
    submit(store, spec())
    for _ in range(3):
        claim(store, "one")
        assert runs.release(store, "one", "killed by signal 9") == 1

    run = the_run(store)
    assert (run.status, run.attempt) == (RunStatus.FAILED, 3)
    assert run.reason == "killed its worker three times; the last time: killed by signal 9"
    assert runs.release(store, "one", "again") == 0


def test_three_leases_that_ran_out_fail_a_run_and_the_rest_goes_on(timed: Store, clock: HandClock) -> None:
    sweep = submit(timed, spec(), spec(subject="zoology"))
    claim(timed, "dies")
    clock.go_on(LEASE_S + 1)
    sit(timed, claim(timed, "steady"))  # the other one goes first
    for _ in range(2):
        claim(timed, "dies")
        clock.go_on(LEASE_S + 1)

    assert runs.claim_best(timed, card(), None, first_lane, LEASE_S) is None
    progress = records.progress(timed, sweep.sweep_id)
    assert [run.status for run in progress.runs] == [RunStatus.FAILED, RunStatus.DONE]


def test_a_run_that_failed_waits_behind_those_that_have_not(store: Store) -> None:
    submit(store, spec(), spec(subject="zoology"))
    first = claim(store)
    runs.fail(store, first, "out of memory")
    assert claim(store).run_id != first.run_id


def test_a_claim_that_was_never_heard_of_is_taken_back(store: Store) -> None:
    submit(store, spec())
    for number in (1, 2, 3, 4):  # the database went away between each commit and its answer to the worker
        assert claim(store, "one").attempt == number
    run = the_run(store)
    assert (run.status, run.failures) == (RunStatus.RUNNING, 0)
    assert [attempt.outcome for attempt in run.attempts] == ["handed back"] * 3 + ["running"]


def test_a_dead_childs_run_is_claimable_at_once_and_others_keep_theirs(store: Store) -> None:
    submit(store, spec(), spec(subject="zoology"))
    dead, alive = claim(store, "dead"), claim(store, "alive")

    assert runs.release(store, "dead", "gone") == 1

    assert claim(store, "other").run_id == dead.run_id
    runs.renew(store, alive)


def test_a_claim_says_that_its_worker_is_there_with_what_it_holds_and_waits_for_nothing(
    timed: Store, clock: HandClock
) -> None:
    submit(timed, spec())
    workers.heartbeat(timed, card("one"), None, "the hub can't be reached")
    workers.heartbeat(timed, card("another"), None, "the hub can't be reached")
    workers.leave(timed, "one")
    clock.go_on(5)
    held = claim(timed, "one")
    one, another = sorted(workers.listing(timed), key=lambda each: each.card.name, reverse=True)
    assert (one.held, one.seen_at, one.left_at, one.waits_for) == (held.spec.lane, clock.now, None, "")
    assert one.alive
    assert (another.held, another.waits_for) == (None, "the hub can't be reached")


def test_a_worker_that_is_lost_holds_nothing_any_more_and_others_hold_what_they_did(store: Store) -> None:
    submit(store, spec("org/a"), spec("org/b"))
    dead, alive = claim(store, "dead"), claim(store, "alive")
    runs.release(store, "dead", "gone")
    assert dead.spec.lane != alive.spec.lane
    assert {one.card.name: one.held for one in workers.listing(store)} == {"dead": None, "alive": alive.spec.lane}


def test_measures_of_all_attempts_add_up(store: Store) -> None:
    submit(store, spec())
    died = claim(store, "one")
    record(store, died, 0)  # its pack took 1 s of wall time, 2 s of CPU, 0.5 s of GPU
    runs.release(store, "one", "gone")
    told = Measures(load=Cost(5.0, 1.0), score=Cost(1.0), peak_rss_bytes=900, tokens_computed=10)
    runs.hand_back(store, claim(store, "two"), told)

    last = claim(store, "three")
    record(store, last, 1)
    runs.finish(store, last, Measures(load=Cost(3.0), score=Cost(2.0), peak_rss_bytes=700, tokens_computed=20))

    assert the_run(store).measures == Measures(
        load=Cost(8.0, 1.0), score=Cost(4.0, 2.0, 0.5), peak_rss_bytes=900, tokens_computed=30
    )


def test_a_worker_gets_only_runs_of_its_device_and_lanes(store: Store) -> None:
    submit(store, spec("org/a"), spec("org/b"))
    nothing = card(lanes=("cpu/org/c*", "gpu/*"))
    only_b = card(lanes=("cpu/org/b@*/none",))

    assert runs.claim_best(store, nothing, None, first_lane, LEASE_S) is None
    assert (runs.waiting(store, nothing), runs.waiting(store, only_b), runs.waiting(store, card())) == (0, 1, 2)
    got = runs.claim_best(store, only_b, None, first_lane, LEASE_S)
    assert got is not None
    assert got.spec.model.name == "org/b"


def test_higher_priority_goes_first_then_the_sweep_with_fewest_running_then_the_oldest(store: Store) -> None:
    subjects = [spec(subject=f"subject {number}") for number in range(6)]
    early = submit(store, *subjects[:2])
    late = submit(store, *subjects[2:4])
    urgent = submit(store, subjects[4], priority=5)

    of_sweep = {
        run.run_id: run.sweep_id for run in records.runs(store, [early.sweep_id, late.sweep_id, urgent.sweep_id])
    }
    order = [of_sweep[claim(store, f"worker {number}").run_id] for number in range(5)]

    assert order == [urgent.sweep_id, early.sweep_id, late.sweep_id, early.sweep_id, late.sweep_id]


def test_the_choice_sees_what_waits_who_is_there_and_what_it_took(timed: Store, clock: HandClock) -> None:
    submit(timed, spec("org/a"), spec("org/a", "zoology"), spec("org/b"), priority=3)
    workers.register(timed, card("one that left"))
    held = claim(timed, "one")
    record(timed, held, 0, 1)
    runs.finish(timed, held, Measures(load=Cost(8.0), score=Cost(3.0), write=Cost(1.0)))
    seen: list[Sequence[LaneLoad]] = []

    def look(_held: Lane | None, loads: Sequence[LaneLoad]) -> Lane | None:
        seen.append(loads)
        return None

    lane_a, lane_b = spec("org/a").lane, spec("org/b").lane
    assert runs.claim_best(timed, card("two"), None, look, LEASE_S) is None
    assert seen.pop() == [LaneLoad(lane_a, 3, 1, 1, 4.0, 8.0, share=1), LaneLoad(lane_b, 3, 1, 0, share=1)]
    clock.go_on(workers.ALIVE_S + 1)
    assert runs.claim_best(timed, card("two"), None, look, LEASE_S) is None
    assert [load.workers for load in seen.pop()] == [0, 0]


def test_a_run_without_a_load_leaves_its_lanes_mean_load_as_it_is(store: Store) -> None:
    submit(store, *(spec(subject=subject) for subject in "abc"))
    for load_s, score_s in ((8.0, 3.0), (0.0, 5.0)):
        held = claim(store)
        record(store, held, 0, 1)
        runs.finish(store, held, Measures(load=Cost(load_s), score=Cost(score_s)))
    assert [(load.mean_run_s, load.mean_load_s) for load in seen_loads(store)] == [(4.0, 8.0)]


def test_a_worker_stays_with_the_model_that_it_holds(store: Store) -> None:
    submit(store, *(spec(model, subject) for subject in ("a", "b", "c") for model in ("org/x", "org/y")))
    held: Lane | None = None
    models = []
    while (got := runs.claim_best(store, card(), held, choose, LEASE_S)) is not None:
        held = got.spec.lane
        models.append(got.spec.model.name)
        sit(store, got)
    assert models == ["org/x"] * 3 + ["org/y"] * 3


def test_a_run_without_a_finished_pack_for_too_long_is_overdue(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    held = claim(timed, "one")
    clock.go_on(50)
    runs.renew(timed, held)  # a hung device doesn't stop the thread that renews
    assert runs.overdue(timed, "one", 60) is None
    clock.go_on(11)
    runs.renew(timed, held)
    assert runs.overdue(timed, "one", 60) == runs.Overdue(held.run_id, 1, 61.0)
    assert runs.overdue(timed, "another", 60) is None
    record(timed, held, 0)
    assert runs.overdue(timed, "one", 60) is None


def test_a_run_began_with_its_first_claim_after_a_retry_too(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    began = clock.now
    runs.fail(timed, claim(timed), "out of memory")
    clock.go_on(60)
    sit(timed, claim(timed))
    run = the_run(timed)
    assert (run.started_at, run.ended_at) == (began, clock.now)
    assert [attempt.started_at for attempt in run.attempts] == [began, clock.now]


def test_recorded_replies_are_those_of_the_run_that_asks(store: Store) -> None:
    submit(store, spec("org/a"), spec("org/b"))
    mine, other = claim(store, "one"), claim(store, "two")
    sent = pack_of(mine, 0)
    runs.record(store, mine, 0, sent, Cost())
    theirs = [replace(answer, options_logprob=(-9.0, -9.5, -7.0, -8.0)) for answer in pack_of(other, 0)]
    runs.record(store, other, 0, theirs, Cost())

    asked = [question.id for question in exam().questions[:2]]  # the others of the pack are left out
    wanted = {one.question_id: (Scored(one.options_logprob), *one.written) for one in sent[:2]}
    assert runs.recorded_replies(store, mine, asked) == wanted
    assert runs.recorded_replies(store, mine, ["0" * 16]) == {}


def test_answers_are_to_test_questions_though_one_stands_among_the_examples_too(store: Store) -> None:
    save_exam(store, replace(exam("tides"), dev=(exam("tides").questions[0], question("an example alone", 0))))
    submit(store, spec(subject="tides"))
    held = claim(store)

    record(store, held, 0)
    with pytest.raises(KeyError):
        runs.record(store, held, 1, [answer(question("an example alone", 0))], Cost())

    with store.read() as session:
        splits = text("SELECT split FROM question JOIN answer ON answer.question_id = question.id")
        assert list(session.connection().execute(splits).scalars()) == ["test"] * 3


def test_answers_come_back_bit_for_bit(store: Store) -> None:
    submit(store, spec())
    held = claim(store)
    sent = pack_of(held, 0)
    runs.record(store, held, 0, sent, Cost())

    got = list(export_rows(store, [sweeps.find(store, None).id]))
    assert [row.options_logprob for row in got] == [answer.options_logprob for answer in sent]
    assert [row.prompt_hash for row in got] == [answer.prompt_hash for answer in sent]
