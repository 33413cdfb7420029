"""What progress, status, report and export read; on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, Measures, RunSpec, RunStatus
from proctor.store.database.session import Store
from proctor.store.reads import records, shown_answers
from proctor.store.reads.columns import NO_PICK, answer_columns, question_columns
from proctor.store.reads.export import export_rows
from proctor.store.runs import exams, runs, sweeps, workers
from tests.integration.store_world import (
    HandClock,
    answer,
    card,
    claim,
    exam,
    first_lane,
    provenance,
    record,
    request,
    sit,
    spec,
    submit,
)


def test_progress_shows_every_run_with_its_counts_and_times(timed: Store, clock: HandClock) -> None:
    made = submit(timed, spec(subject="b"), spec(subject="a", quant=Quant.EIGHT_BIT), name="night", priority=2)
    start = clock.now
    clock.go_on(1)
    held = claim(timed, "one")
    clock.go_on(2)
    record(timed, held, 1, picked=0)

    shown = records.progress(timed, made.sweep_id)

    assert (shown.name, shown.priority, shown.created_at, shown.read_at) == ("night", 2, start, clock.now)
    assert (shown.count(RunStatus.RUNNING), shown.count(RunStatus.PENDING), shown.over) == (1, 1, False)
    running = next(run for run in shown.runs if run.status is RunStatus.RUNNING)
    assert running == records.RunProgress(
        run_id=held.run_id,
        lane=held.spec.lane,
        benchmark="demo",
        subject=held.spec.subject,
        status=RunStatus.RUNNING,
        attempt=1,
        worker="one",
        questions=6,
        answered=3,
        correct=1,
        tied=0,
        failures=0,
        reason="",
        started_at=start + timedelta(seconds=1),
        moved_at=start + timedelta(seconds=3),
        ended_at=None,
    )


def test_how_far_a_pack_is_is_told_by_renewals_and_over_with_its_record(store: Store) -> None:
    made = submit(store, spec())
    held = claim(store)

    def told() -> tuple[int, int]:
        return records.progress(store, made.sweep_id).runs[0].being_written

    assert told() == (0, 0)
    runs.renew(store, held, pack=(2, 3))
    assert told() == (2, 3)
    record(store, held, 0, picked=0)
    assert told() == (0, 0)
    runs.renew(store, held, pack=(1, 3))
    runs.hand_back(store, held, Measures(), "its sweep was paused")
    assert told() == (0, 0)
    claim(store)
    assert told() == (0, 0)


def test_a_sweep_is_over_when_nothing_is_left_to_do(store: Store) -> None:
    made = submit(store, spec(subject="a"), spec(subject="b"))
    sit(store, claim(store))
    runs.fail(store, claim(store), "no such model", final=True)
    assert records.progress(store, made.sweep_id).over


def test_the_overview_counts_each_sweep(store: Store) -> None:
    first = submit(store, spec(subject="a"), spec(subject="b"), spec(subject="c"), name="first")
    sit(store, claim(store))
    record(store, claim(store), 0)
    second = submit(store, spec(subject="d"), name="second")
    sweeps.cancel(store, second.sweep_id)

    shown = records.overview(store)

    assert [summary.name for summary in shown] == ["second", "first"]
    assert (shown[0].runs, shown[0].cancelled, shown[0].cancelled_at is None) == (1, 1, False)
    counts = [
        (one.id, one.runs, one.pending, one.running, one.done, one.failed, one.questions, one.answered)
        for one in shown[1:]
    ]
    assert counts == [(first.sweep_id, 3, 1, 1, 1, 0, 18, 9)]


def test_the_latest_cursor_is_behind_all_that_is_committed(store: Store) -> None:
    made = submit(store, spec())
    assert shown_answers.latest_cursor(store, made.sweep_id) == 0
    held = claim(store)
    record(store, held, 0)
    latest = shown_answers.latest_cursor(store, made.sweep_id)
    assert latest == shown_answers.answers_after(store, made.sweep_id, 0, 100).cursor
    record(store, held, 1)
    assert shown_answers.answers_after(store, made.sweep_id, latest, 100).answers != ()


def test_answers_come_whole_packs_at_a_time_from_the_cursor_on(store: Store) -> None:
    made = submit(store, spec(subject="a"), spec(subject="b"))
    one, two = claim(store, "one"), claim(store, "two")
    record(store, one, 1, picked=2)
    record(store, two, 0, picked=None)
    record(store, one, 0)

    first = shown_answers.answers_after(store, made.sweep_id, 0, 1)
    rest = shown_answers.answers_after(store, made.sweep_id, first.cursor, 100)
    nothing = shown_answers.answers_after(store, made.sweep_id, rest.cursor, 100)

    assert [shown.question_index for shown in first.answers] == [3, 4, 5]
    assert [(shown.subject, shown.question_index) for shown in rest.answers] == [
        (two.spec.subject, 0), (two.spec.subject, 1), (two.spec.subject, 2),
        (one.spec.subject, 0), (one.spec.subject, 1), (one.spec.subject, 2),
    ]  # fmt: skip
    assert nothing == shown_answers.Batch(rest.cursor, ())
    asked = exam(one.spec.subject).questions[3]
    assert first.answers[0] == shown_answers.ShownAnswer(
        one.run_id, one.spec.lane, one.spec.subject, 3, asked.text, asked.choices, asked.key, 2, False
    )


def test_answers_of_another_sweep_stay_out(store: Store) -> None:
    first = submit(store, spec(subject="a"))
    sit(store, claim(store))
    second = submit(store, spec(subject="b"))
    sit(store, claim(store))
    for made in (first, second):
        shown = shown_answers.answers_after(store, made.sweep_id, 0, 100)
        assert (shown.cursor, len(shown.answers)) == (2, 6)


def test_columns_hold_every_answer_once_and_join_to_the_questions(store: Store) -> None:
    submit(store, spec(subject="a"), spec(subject="b"), spec("org/b", "a"))
    first, second, third = (claim(store, f"worker {number}") for number in range(3))
    record(store, first, 0, 1, picked=1)
    record(store, second, 1, picked=None)
    record(store, third, 0)

    answers = answer_columns(store, [first.run_id, second.run_id], options_logprob=True)
    questions = question_columns(store, [first.run_id, second.run_id, third.run_id])

    assert answers.run_id.tolist() == sorted([first.run_id] * 6 + [second.run_id] * 3)
    of_first = answers.run_id == first.run_id
    assert answers.pack[of_first].tolist() == [0, 0, 0, 1, 1, 1]
    assert answers.picked[~of_first].tolist() == [NO_PICK] * 3
    assert answers.correct[of_first].tolist() == [False, True, False, False, False, True]
    assert set(answers.shots.tolist()) == {1}
    assert answers.options_logprob is not None
    np.testing.assert_array_equal(answers.options_logprob, [[-0.1, -1.5, -2.25, -1 / 3]] * 9)
    assert len(questions.question) == len(set(questions.question.tolist())) == 12
    assert set(answers.question.tolist()) <= set(questions.question.tolist())
    place = {row: number for number, row in enumerate(questions.question.tolist())}
    asked = [place[row] for row in answers.question[of_first].tolist()]
    assert [questions.text[number] for number in asked] == [one.text for one in exam(first.spec.subject).questions]
    assert {questions.benchmark[number] for number in asked} == {"demo"}
    assert {questions.exam_hash[number] for number in asked} == {first.spec.exam_hash}


def test_without_answers_the_columns_are_empty(store: Store) -> None:
    submit(store, spec())
    assert len(answer_columns(store, []).run_id) == 0
    empty = answer_columns(store, [1], options_logprob=True)
    assert empty.options_logprob is not None
    assert empty.options_logprob.size == 0
    assert empty.correct.dtype == bool
    assert len(question_columns(store, []).question) == 0
    assert list(export_rows(store, [])) == []


def test_questions_with_fewer_options_end_in_nan(store: Store) -> None:
    submit(store, spec())
    held = claim(store)
    first, *rest = (answer(one) for one in exam().questions[:3])
    runs.record(store, held, 0, [replace(first, options_logprob=(-0.5, -1.0)), *rest], Cost())
    matrix = answer_columns(store, [held.run_id], options_logprob=True).options_logprob
    assert matrix is not None
    assert np.isnan(matrix).tolist() == [[False, False, True, True], [False] * 4, [False] * 4]


def test_a_row_is_exported_for_every_answer_with_all_to_read_it_alone(store: Store) -> None:
    made = submit(store, spec(quant=Quant.FOUR_BIT))
    first = claim(store)
    runs.begin(store, first, provenance(DType.BFLOAT16))
    record(store, first, 0)
    runs.hand_back(store, first)
    record(store, claim(store), 1, picked=None)

    rows = list(export_rows(store, [made.sweep_id]))

    asked = exam().questions
    assert [row.question_id for row in rows] == [one.id for one in asked]
    assert [row.attempt for row in rows] == [1, 1, 1, 2, 2, 2]
    last, sent = rows[-1], answer(asked[5], None)
    assert (last.model, last.revision, last.quant, last.dtype) == ("org/a", "rev1", "4bit", "bfloat16")
    assert (last.benchmark, last.subject, last.question_index) == ("demo", "astronomy", 5)
    assert (last.question, last.choices, last.answer) == (asked[5].text, asked[5].choices, asked[5].key)
    assert (last.prompt_hash, last.shots, last.options_logprob) == (sent.prompt_hash, 1, sent.options_logprob)
    assert (last.picked, last.correct, last.run_id, last.sweep_id) == (None, False, first.run_id, made.sweep_id)


def test_an_exam_comes_back_as_it_was_saved(store: Store) -> None:
    exams.save_exam(store, exam("a"))
    exams.save_exam(store, exam("a"))
    exams.save_exam(store, exam("a", 4))
    assert exams.load_exam(store, "demo", "a", exam("a").content_hash) == exam("a")
    assert exams.load_exam(store, "demo", "a", exam("a", 4).content_hash) == exam("a", 4)


def test_workers_are_listed_with_what_they_hold_and_whether_they_live(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    workers.register(timed, card("idle", lanes=("cpu/*",)))
    workers.register(timed, card("left"))
    workers.leave(timed, "left")
    clock.go_on(1)
    held = claim(timed, "busy")

    listed = {record.card.name: record for record in workers.listing(timed)}

    assert (listed["busy"].held, listed["busy"].run_id, listed["busy"].alive) == (held.spec.lane, held.run_id, True)
    assert (listed["idle"].held, listed["idle"].run_id, listed["idle"].alive) == (None, None, True)
    assert listed["idle"].card == card("idle", lanes=("cpu/*",))
    assert (listed["left"].alive, listed["left"].left_at is None) == (False, False)
    clock.go_on(workers.ALIVE_S)
    workers.heartbeat(timed, card("idle"), held.spec.lane)
    assert {record.card.name: record.alive for record in workers.listing(timed)} == {
        "idle": True,
        "busy": True,
        "left": False,
    }
    clock.go_on(0.001)
    assert [record.card.name for record in workers.listing(timed) if record.alive] == ["idle"]


def test_a_sweep_of_4560_runs_is_submitted_read_and_claimed(store: Store) -> None:
    """Size only; how long it takes is for `bench`."""
    subjects = [f"subject {number}" for number in range(57)]
    for subject in subjects:
        exams.save_exam(store, exam(subject, 1))
    specs = [
        RunSpec(
            ModelRef(f"org/m{model}", ModelSource.HUB), quant, Device.CPU, DType.AUTO, "demo", subject,
            exam(subject, 1).content_hash, 1, Conditions(),
        )
        for model in range(27) for quant in Quant for subject in subjects
    ][:4560]  # fmt: skip

    made = sweeps.submit(store, request(), specs)

    assert (made.total, sweeps.submit(store, request(), specs).continued) == (4560, True)
    assert len(records.progress(store, made.sweep_id).runs) == 4560
    assert runs.waiting(store, card()) == 4560
    assert runs.claim_best(store, card(), None, first_lane, 30.0) is not None
