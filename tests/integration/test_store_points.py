"""Written answers and points in the store, and a sweep of an earlier release that this one goes on with."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from analysis.data.results import read_results
from analysis.exchange.export import COLUMNS, WRITTEN, export_questions, rows_of, write_stream
from proctor.exams.benchmarks.base import Benchmark
from proctor.exams.reading.identity import content_hash, question_id
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Ask, Conditions, Exam, Scoring, Written
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, Measures, RunSpec, RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.schema import revision
from proctor.store.database.session import Store
from proctor.store.migrations import HEAD
from proctor.store.reads import columns, export, records, shown_answers
from proctor.store.runs import exams, runs, sweeps
from scheduler.watch import wording
from tests.integration import store_world
from tests.integration.store_world import HandClock, claim, provenance, record, request, spec, submit
from tests.made_up import SUMS, TWICE, sit
from tests.support import ROOT

OLD = ROOT / "tests" / "data" / "sweep_interrupted_before_points.sql"


def sit_run(store: Store, benchmark: Benchmark, exam: Exam, texts: Sequence[str]) -> int:
    """A Run whose model says these texts, one an ask, in the order of the questions."""
    conditions = Conditions(shots=0, prompt_version=benchmark.version)
    exams.save_exam(store, exam)
    one = RunSpec(
        ModelRef("org/a", ModelSource.HUB, "rev1"), Quant.NONE, Device.CPU, DType.AUTO, benchmark.name, exam.subject,
        exam.content_hash, len(exam.questions), conditions,
    )  # fmt: skip
    sweep_id = sweeps.submit(store, request("written"), [one], fresh=True).sweep_id
    held = claim(store)
    assert held.spec.conditions == conditions
    runs.begin(store, held, provenance())
    saying = iter(texts)

    def reply(_ask: Ask) -> Written:
        return Written(next(saying), (7, 8), Finish.LENGTH)

    stored = exams.load_exam(store, benchmark.name, exam.subject, exam.content_hash)
    answers = [sit(benchmark, stored, question, conditions, reply) for question in stored.questions]
    runs.record(store, held, 0, answers[:2], Cost())
    runs.record(store, held, 1, answers[2:], Cost())
    runs.finish(store, held, Measures())
    return sweep_id


def said(row: export.ExportRow) -> tuple[str, ...]:
    return tuple(one.text for one in row.written)


@pytest.fixture
def two_turns(store: Store) -> int:
    """1 + 2, 2 + 3, 3 + 4 and 4 + 5, and the double of each."""
    exam = TWICE.load().exams["one_digit"]
    return sit_run(store, TWICE, exam, ["3", " 6\0", "5", "11", "8", "no idea", "9", "18"])


def test_an_exam_without_options_is_kept_as_it_is(store: Store) -> None:
    for benchmark in (SUMS, TWICE):
        for exam in benchmark.load().exams.values():
            exams.save_exam(store, exam)
            assert exams.load_exam(store, exam.benchmark, exam.subject, exam.content_hash) == exam


def test_points_and_what_has_no_answer_are_counted_as_packs_are_recorded(store: Store, two_turns: int) -> None:
    (run,) = records.progress(store, two_turns).runs
    assert (run.answered, run.correct, run.partial, run.points, run.tied) == (4, 2, 0.5, 2.5, 1)
    (whole,) = records.runs(store, [two_turns])
    assert (whole.correct, whole.points) == (2, 2.5)
    (said,) = wording.as_json(records.progress(store, two_turns))["runs"]
    assert (said["accuracy"], said["correct"], said["points"]) == (2.5 / 4, 2, 2.5)
    assert "2.5 of 4" in wording.outcome(records.progress(store, two_turns))


def test_replies_are_kept_in_full_turn_by_turn(store: Store, two_turns: int) -> None:
    first, second, third, fourth = export.export_rows(store, [two_turns])
    assert first.written[0] == Written("3", (7, 8), Finish.LENGTH)
    assert first.turns == ("Twice that is",)
    assert said(first) == ("3", " 6\N{REPLACEMENT CHARACTER}")  # PostgreSQL has no NUL
    assert (said(second), second.extracted, second.points, second.correct) == (("5", "11"), "11", 0.5, False)
    assert (said(third), third.extracted, third.points) == (("8", "no idea"), None, 0.0)
    assert (fourth.points, fourth.reference, fourth.answer, fourth.picked, fourth.options_logprob) == (
        1.0, "9", None, None, (),
    )  # fmt: skip


def test_columns_tell_points_and_what_was_answered(store: Store, two_turns: int) -> None:
    (run,) = records.runs(store, [two_turns])
    found = columns.answer_columns(store, [run.run_id], options_logprob=True, prompt=True)
    assert found.points.tolist() == [1.0, 0.5, 0.0, 1.0]
    assert found.answered.tolist() == [True, True, False, True]
    assert found.picked.tolist() == [columns.NO_PICK] * 4
    questions = columns.question_columns(store, [run.run_id])
    assert questions.key.tolist() == [-1] * 4
    assert questions.reference == ("3", "5", "7", "9")


def test_followers_see_reference_and_answer(store: Store, two_turns: int) -> None:
    shown = shown_answers.answers_after(store, two_turns, 0, 10).answers
    assert [wording.answer(one, "A").splitlines()[0].partition(": ")[2] for one in shown] == [
        "right", "0.50 points", "no answer found in its text", "right",
    ]  # fmt: skip
    assert wording.answer(shown[1], "A").splitlines()[1:] == ["  2 + 3 =", "  reference: 5", "  answered: 11"]


def test_an_export_has_more_columns_only_where_there_is_something_to_tell(
    store: Store, two_turns: int, tmp_path: Path
) -> None:
    chosen = submit(store, spec(), fresh=True).sweep_id
    held = claim(store)
    runs.begin(store, held, provenance())
    record(store, held, 0, 1)
    told = io.StringIO()

    assert write_stream(rows_of(store, [two_turns]), "csv", told) == 4

    first, second, *_ = csv.DictReader(io.StringIO(told.getvalue()))
    assert tuple(first) == (*COLUMNS, *WRITTEN)
    assert (second["points"], second["extracted"], json.loads(second["replies"])) == ("0.5", "11", ["5", "11"])
    assert (second["answer"], second["picked"], second["picked_norm"], second["correct_norm"]) == ("", "", "", "")
    assert {tuple(row) for row in rows_of(store, [chosen])} == {COLUMNS}
    (path,) = export_questions(store, [two_turns], tmp_path)
    whole = json.loads(path.read_text("utf-8"))
    assert (whole["accuracy"], whole["unanswered"]) == (2.5 / 4, 1)
    assert whole["questions"][1]["predicted_answer"] == "11"
    assert whole["questions"][1]["correct_answer"] == "5"


def test_a_run_of_sums_is_all_or_nothing(store: Store) -> None:
    exam = SUMS.load(["one_digit"]).exams["one_digit"]
    sweep_id = sit_run(store, SUMS, exam, [" 7", " 9", "10", "13", "15", "17", "none", "21"])
    (run,) = records.progress(store, sweep_id).runs
    assert (run.correct, run.partial, run.tied) == (6, 0.0, 1)
    assert "points" not in wording.as_json(records.progress(store, sweep_id))["runs"][0]


@pytest.fixture
def old_store(tmp_path: Path) -> Iterator[Store]:
    """A database of revision 0005 with a Run that is done and one that stopped after half of its packs."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as made:
        made.executescript(OLD.read_text("utf-8"))
        made.execute("PRAGMA journal_mode = WAL")
    made.close()
    clock = HandClock()
    clock.go_on(3600)  # the worker that held the Run is long gone
    with open_store(Settings(tmp_path, tmp_path, f"sqlite:///{path}"), clock=clock) as store:
        yield store


def test_an_interrupted_sweep_of_an_earlier_release_is_finished_by_this_one(old_store: Store) -> None:
    store = old_store
    with store.read() as session:
        assert revision(session) == HEAD
    done, left = records.runs(store, [1])
    if done.status is not RunStatus.DONE:
        done, left = left, done

    again = sweeps.submit(store, request("interrupted"), [left.spec, done.spec])

    assert (again.sweep_id, again.continued, again.done, again.to_do) == (1, True, 1, 1)
    held = claim(store, "cpu@host:2")
    assert (held.run_id, held.attempt) == (left.run_id, 2)
    assert runs.begin(store, held, provenance(host="other")).host == "host"
    assert runs.committed_packs(store, held) == {0}
    exam = exams.load_exam(store, "demo", "astronomy", held.spec.exam_hash)
    runs.record(store, held, 1, [store_world.answer(question) for question in exam.questions[3:]], Cost())
    runs.finish(store, held, Measures())
    progress = records.progress(store, 1)
    assert progress.count(RunStatus.DONE) == 2
    assert {(run.answered, run.partial, run.scoring) for run in progress.runs} == {(6, 0.0, Scoring.LETTERS)}
    rows = list(rows_of(store, [1]))
    assert len(rows) == 12
    assert {tuple(row) for row in rows} == {COLUMNS}
    assert all(row["correct"] == (row["picked"] == row["answer"]) for row in rows)
    (panel,) = read_results(store, [1]).panels
    assert panel.asked.all()


def test_questions_and_exams_of_an_earlier_release_have_the_hashes_that_they_had(old_store: Store) -> None:
    spec_of_old = records.runs(old_store, [1])[0].spec
    exam = exams.load_exam(old_store, "demo", "astronomy", spec_of_old.exam_hash)
    assert content_hash("astronomy", exam.dev, exam.questions) == exam.content_hash
    for question in exam.questions:
        assert question_id("astronomy", question.text, question.choices) == question.id
