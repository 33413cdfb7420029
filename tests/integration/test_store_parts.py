"""Large Runs, sat in parts by several workers: one Run to everybody who reads, on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
from sqlmodel import col, select

from proctor.errors import LeaseLost, UnknownName
from proctor.nouns.exams import Conditions
from proctor.nouns.models import DType
from proctor.nouns.runs import Claim, Cost, Measures, Noise, RunStatus, ShotsShown
from proctor.store.database.session import Store
from proctor.store.reads import fleet, records
from proctor.store.reads.records import RunProgress
from proctor.store.runs import eligibility, exams, runs, steering, sweeps
from proctor.store.runs.tables import RunRow
from tests.integration.store_world import (
    SIZE,
    HandClock,
    answer,
    claim,
    exam,
    provenance,
    request,
    spec,
    submit,
)
from tests.sweeps import in_parts

THREE = in_parts(3)


def one(store: Store, sweep_id: int) -> RunProgress:
    (run,) = records.progress(store, sweep_id).runs
    return run


def sit_part(store: Store, held: Claim, host: str = "host", noise: Noise | None = None) -> None:
    """Answer the questions of a part, in one pack."""
    runs.begin(store, held, provenance(host=host))
    record_part(store, held)
    runs.finish(store, held, Measures(load=Cost(1.0), score=Cost(2.0, 4.0, 1.0), tokens_computed=10), noise)


def record_part(store: Store, held: Claim) -> None:
    asked = exam(held.spec.subject, SIZE).questions
    runs.record(store, held, 0, [answer(asked[place]) for place in held.asked], Cost(1.0, 2.0, 0.5))


def test_two_workers_share_a_large_run(store: Store) -> None:
    made = submit(store, spec(), split=THREE)
    assert (made.total, made.done, made.to_do) == (1, 0, 1)
    first, second = claim(store, "cpu@host:1"), claim(store, "cpu@host:2")
    assert [held.asked for held in (first, second)] == [range(2), range(2, 4)]
    assert first.run_id != second.run_id
    sit_part(store, second)
    sit_part(store, first)
    seen = one(store, made.sweep_id)
    assert (seen.run_id, seen.status, seen.questions, seen.answered) == (first.run_id, RunStatus.PENDING, SIZE, 4)
    third = claim(store, "cpu@host:1")
    seen = one(store, made.sweep_id)
    assert (seen.status, seen.worker) == (RunStatus.RUNNING, "cpu@host:1, cpu@host:2")
    sit_part(store, third)
    seen = one(store, made.sweep_id)
    assert (seen.status, seen.answered, seen.ended_at is not None) == (RunStatus.DONE, SIZE, True)
    assert seen.correct == sum(question.answer == 0 for question in exam().questions)
    assert [part.status for part in seen.parts] == [RunStatus.DONE] * 3
    assert records.progress(store, made.sweep_id).parts == seen.parts


def test_many_workers_that_ask_at_once_are_given_each_part_once(store: Store) -> None:
    submit(store, spec(), split=in_parts(SIZE))
    with ThreadPoolExecutor(4) as workers:
        held = list(workers.map(lambda number: claim(store, f"cpu@host:{number}"), range(SIZE)))
    assert sorted(place for each in held for place in each.asked) == list(range(SIZE))


def test_a_run_with_a_failed_part_is_not_whole_and_is_retried_without_the_others(store: Store) -> None:
    made = submit(store, spec(), split=THREE)
    sit_part(store, claim(store))
    failed = claim(store)
    runs.fail(store, failed, "no such word", "Traceback", final=True)
    sit_part(store, claim(store))
    seen = one(store, made.sweep_id)
    assert (seen.status, seen.answered, seen.failures) == (RunStatus.FAILED, 4, 1)
    assert seen.reason == f"part 2 of 3 (Run {failed.run_id}): no such word"
    assert records.progress(store, made.sweep_id).over
    (trouble,) = fleet.look(store).troubles
    assert (trouble.run_id, trouble.part) == (failed.run_id, "part 2 of 3")

    assert sweeps.retry(store, made.sweep_id) == 1
    again = claim(store)
    assert (again.run_id, again.attempt, again.asked) == (failed.run_id, 2, range(2, 4))
    sit_part(store, again)
    seen = one(store, made.sweep_id)
    assert (seen.status, seen.answered, seen.reason) == (RunStatus.DONE, SIZE, "")
    assert [part.attempt for part in seen.parts] == [1, 2, 1]


def test_a_reason_that_all_parts_share_is_said_once(store: Store) -> None:
    made = submit(store, spec(), split=THREE)
    for number in range(3):
        runs.fail(store, claim(store), "the disk is full" if number else "no such word", final=True)
    (first, second, third) = (part.run_id for part in one(store, made.sweep_id).parts)
    assert one(store, made.sweep_id).reason == (
        f"part 1 of 3 (Run {first}): no such word; parts 2 of 3 (Run {second}), 3 of 3 (Run {third}): the disk is full"
    )
    sweeps.retry(store, made.sweep_id)
    for _ in range(3):
        runs.fail(store, claim(store), "the disk is full", final=True)
    assert one(store, made.sweep_id).reason == "the disk is full"


def test_a_lease_that_ran_out_gives_back_its_part_alone(timed: Store, clock: HandClock) -> None:
    made = submit(timed, spec(), split=in_parts(2))
    silent, alive = claim(timed, "cpu@host:1"), claim(timed, "cpu@host:2", lease_s=600.0)
    clock.go_on(31.0)
    again = claim(timed, "cpu@host:3")
    assert (again.run_id, again.attempt) == (silent.run_id, 2)
    sit_part(timed, alive)
    with pytest.raises(LeaseLost):
        record_part(timed, silent)
    assert one(timed, made.sweep_id).failures == 1


def test_the_same_sweep_is_the_same_in_any_parts(store: Store) -> None:
    """A sweep that an earlier release left goes on with its Runs whole."""
    whole = submit(store, spec())
    again = submit(store, spec(), split=THREE)
    assert (again.sweep_id, again.continued, again.total) == (whole.sweep_id, True, 1)
    assert claim(store).asked == range(SIZE)
    fresh = submit(store, spec(), split=THREE, fresh=True)
    sit_part(store, claim(store))
    assert submit(store, spec(), split=in_parts(2)).sweep_id == fresh.sweep_id
    assert len(one(store, fresh.sweep_id).parts) == 3


def test_runs_keep_the_order_in_which_they_were_asked_for(store: Store) -> None:
    specs = [spec(subject="b"), spec(subject="a"), spec("org/b", subject="b")]
    made = submit(store, *specs, split=lambda questions, _: THREE(questions, _) if len(specs) else ())
    assert [record.spec for record in records.runs(store, [made.sweep_id])] == specs
    assert [run.subject for run in records.progress(store, made.sweep_id).runs] == ["b", "a", "b"]


def test_parts_are_computed_in_one_way(store: Store) -> None:
    submit(store, spec(), split=THREE)
    first, second = claim(store, "cpu@host:1"), claim(store, "cpu@host:2")
    theirs = runs.begin(store, first, provenance(DType.FLOAT32))
    assert runs.begin(store, second, provenance(DType.BFLOAT16)) == theirs
    runs.hand_back(store, second)
    assert claim(store, "cpu@host:2").dtype is DType.FLOAT32
    runs.hand_back(store, first)  # nothing of it is kept
    again = claim(store, "cpu@host:1")
    assert again.run_id == first.run_id
    mine = provenance(DType.BFLOAT16)
    assert runs.begin(store, again, mine) == mine


def test_parts_on_other_machines_are_told_in_the_record_of_the_whole(store: Store) -> None:
    made = submit(store, spec(), split=in_parts(2))
    sit_part(store, claim(store), host="a")
    held = claim(store)
    there = replace(
        provenance(host="b"), device_name="four cores", cut_tokens=512, shots=ShotsShown(1, 1, 0), notes=("its own",)
    )
    runs.begin(store, held, there)
    record_part(store, held)
    runs.finish(store, held, Measures(score=Cost(3.0, 5.0, 0.0), peak_rss_bytes=7))
    (whole,) = records.runs(store, [made.sweep_id])
    assert whole.provenance is not None
    assert (whole.provenance.host, whole.provenance.cut_tokens) == ("a, b", 512)
    assert whole.provenance.notes == (
        "a note", "its own", "a part was computed on four cores: it may differ in rounding"
    )  # fmt: skip
    assert whole.measures is not None
    assert (whole.measures.score, whole.measures.load, whole.measures.peak_rss_bytes) == (
        Cost(5.0, 9.0, 1.0), Cost(1.0), 7
    )  # fmt: skip


def test_noise_and_shots_are_those_of_all_parts(store: Store) -> None:
    exams.save_exam(store, exam())
    made = sweeps.submit(store, replace(request(), check_noise=True), [spec()], split=in_parts(2))
    for noise, shots in (
        (Noise(2, 1, 0.5, 0.1, 1024, 1.0), ShotsShown(0, 1, 2)),
        (Noise(6, 0, 0.25, 0.3, 1024, 2.0), ShotsShown(1, 1, 0)),
    ):
        held = claim(store)
        assert held.check_noise
        runs.begin(store, held, replace(provenance(), shots=shots))
        record_part(store, held)
        runs.finish(store, held, Measures(), noise)
    seen = one(store, made.sweep_id)
    assert seen.noise is not None
    assert replace(seen.noise, mean=0.0) == Noise(8, 1, 0.5, 0.0, 1024, 3.0)
    assert seen.noise.mean == pytest.approx(0.25)
    assert seen.shots == ShotsShown(0, 1, 2)


def test_steering_counts_runs_and_not_their_parts(store: Store) -> None:
    made = submit(store, spec(), spec(subject="law"), split=THREE)
    sit_part(store, claim(store))
    claim(store)
    assert steering.pause(store, made.sweep_id) == steering.Left(pending=1, running=1)
    steering.resume(store, made.sweep_id)
    (summary,) = records.overview(store)
    assert (summary.runs, summary.pending, summary.running, summary.done) == (2, 1, 1, 0)
    assert (summary.questions, summary.answered) == (2 * SIZE, 2)
    assert fleet.totals(store).runs[RunStatus.PENDING] == 1
    assert sweeps.cancel(store, made.sweep_id) == 2
    assert [run.status for run in records.progress(store, made.sweep_id).runs] == [RunStatus.CANCELLED] * 2
    assert sweeps.retry(store, made.sweep_id) == 2


def test_a_run_that_nobody_can_take_is_counted_once(store: Store) -> None:
    submit(store, spec(), split=THREE)
    (waiting,) = eligibility.unservable(store)
    assert waiting.runs == 1


def test_the_lane_table_counts_what_a_worker_takes_at_a_time(store: Store) -> None:
    submit(store, spec(), split=THREE)
    claim(store)
    (lane,) = fleet.look(store).lanes
    assert (lane.pending, lane.running, lane.questions_left) == (2, 1, SIZE)


def test_a_run_is_found_by_the_number_of_any_part(store: Store) -> None:
    made = submit(store, spec(), split=THREE)
    held = [claim(store, f"cpu@host:{number}") for number in range(3)]
    runs.fail(store, held[1], "no such word", "Traceback: so", final=False)
    whole = records.run(store, held[2].run_id)
    assert (whole.run_id, whole.spec) == (held[0].run_id, spec())
    assert [len(part.attempts) for part in whole.parts] == [1, 1, 1]
    assert whole.traceback == "Traceback: so"
    assert records.runs(store, [made.sweep_id], [held[0].run_id]) == [whole]
    with pytest.raises(UnknownName):
        records.run(store, 99)


def test_an_earlier_release_can_not_read_a_part(store: Store) -> None:
    """It would sit the whole exam for it; so its claim fails, and nothing is written."""
    submit(store, spec(), split=THREE)
    submit(store, spec(subject="law"))
    with store.read() as session:
        rows = session.exec(select(RunRow).order_by(col(RunRow.id))).all()
        stored = [row.conditions for row in rows]
    for part in stored[:3]:
        with pytest.raises(TypeError, match="first_question"):
            Conditions(**part)
    assert Conditions(**stored[3]) == Conditions(**asdict(spec(subject="law").conditions))
