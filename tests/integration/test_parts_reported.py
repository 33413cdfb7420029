"""A sweep sat in parts, and the same one sat whole: reports, comparisons, exports and marks are equal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis.data.results import answers_frame, read_results
from analysis.exchange.export import export_questions, export_to_file
from analysis.exchange.exported import read_export
from analysis.exchange.lm_eval_export import export_lm_eval
from analysis.exchange.merging import merge
from analysis.report.write import Options, write_report
from analysis.verdicts.marked import judge_again, keep
from proctor.errors import BadInput
from proctor.nouns.exams import Conditions, Mark
from proctor.nouns.runs import Cost, Measures, RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.columns import prompts_apart, shots_shown
from proctor.store.reads.export import export_rows
from proctor.store.runs import runs, sweeps
from proctor.store.runs.marks import remark
from proctor.written_answers import with_counts
from scheduler.watch import attempts, wording
from scheduler.watch.speed import Speed
from scheduler.watch.sweep_grid import board
from tests import in_forms
from tests.integration.store_world import claim, exam, provenance, spec, submit
from tests.integration.test_store_parts import record_part, sit_part
from tests.sweeps import Sat, in_parts, sit_sweep

SAT = Sat(subjects=("law",), questions=10, dropped={"org/Small": 4})
PARTED = replace(SAT, parts=3)


def opened(folder: Path) -> Store:
    folder.mkdir()
    return open_store(Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}"))


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "whole") as store:
        yield store


@pytest.fixture
def parted(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "parted") as store:
        yield store


def grid(store: Store, sweep: int) -> str:
    console = Console(width=120, record=True, file=StringIO())
    console.print(board(records.progress(store, sweep), Speed(), 120, 40))
    return console.export_text()


def tables(store: Store, sweep: int, folder: Path) -> dict[str, str]:
    write_report(read_results(store, [sweep]), folder, Options(("csv",), 0.01), datetime(2026, 1, 1, tzinfo=UTC))
    return {path.name: path.read_text() for path in folder.glob("*.csv")}


def test_status_and_report_show_one_cell_a_large_run(whole: Store, parted: Store, tmp_path: Path) -> None:
    one, other = sit_sweep(whole, SAT), sit_sweep(parted, PARTED)
    assert grid(parted, other) == grid(whole, one)
    assert wording.outcome(records.progress(parted, other)) == wording.outcome(records.progress(whole, one))
    (mine,), (theirs,) = (read_results(store, [sweep]).panels for store, sweep in ((parted, other), (whole, one)))
    assert answers_frame(mine).equals(answers_frame(theirs))
    found, wanted = tables(parted, other, tmp_path / "mine"), tables(whole, one, tmp_path / "theirs")
    numbered = {"costs.csv", "costs_by_run.csv", "provenance.csv"}
    assert {name: text for name, text in found.items() if name not in numbered} == {
        name: text for name, text in wanted.items() if name not in numbered
    }
    assert len(found["costs.csv"].splitlines()) == len(wanted["costs.csv"].splitlines())
    costs = read_results(parted, [other]).runs_frame()
    assert costs["wall_s"].tolist() == [3 * 1.5] * 4
    assert costs["questions"].tolist() == [10] * 4


def test_questions_are_written_a_file_a_run(whole: Store, parted: Store, tmp_path: Path) -> None:
    one, other = sit_sweep(whole, SAT), sit_sweep(parted, PARTED)
    mine = export_questions(parted, [other], tmp_path / "mine")
    theirs = export_questions(whole, [one], tmp_path / "theirs")
    assert [json.loads(path.read_text()) for path in mine] == [json.loads(path.read_text()) for path in theirs]


def test_samples_of_lm_eval_are_written_whole(whole: Store, parted: Store, tmp_path: Path) -> None:
    plain = replace(SAT, conditions=Conditions(shots=0), dropped={})
    one, other = sit_sweep(whole, plain), sit_sweep(parted, replace(plain, parts=3))
    export_lm_eval(parted, [other], tmp_path / "mine")
    export_lm_eval(whole, [one], tmp_path / "theirs")

    def lines(folder: Path) -> list[list[str]]:
        return [path.read_text().splitlines() for path in sorted(folder.rglob("samples_*.jsonl"))]

    assert lines(tmp_path / "mine") == lines(tmp_path / "theirs")
    assert [len(each) for each in lines(tmp_path / "mine")] == [10] * 4


def test_shots_and_prompts_are_counted_over_all_parts(parted: Store) -> None:
    first = records.progress(parted, sit_sweep(parted, PARTED)).runs[0].run_id
    again = records.progress(parted, sit_sweep(parted, replace(PARTED, parts=2, reworded=7, name="again"))).runs[0]
    assert prompts_apart(parted, first, again.run_id) == 7
    (shown,) = shots_shown(parted, [first]).values()
    assert (shown.fewest, shown.most, shown.short) == (3, 5, 4)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_an_export_comes_back_in_the_same_parts(kind: str, parted: Store, whole: Store, tmp_path: Path) -> None:
    sent = sit_sweep(parted, PARTED)
    path = tmp_path / f"sent.{kind}"
    assert export_to_file(parted, [sent], kind, path) == 40
    (came,) = merge(whole, read_export(path).sat)
    assert (came.runs, came.answers, came.not_done) == (4, 40, 0)
    assert records.runs(whole, [came.sweep_id]) == records.runs(parted, [sent])
    export_to_file(whole, [came.sweep_id], kind, tmp_path / f"back.{kind}")
    assert (tmp_path / f"back.{kind}").read_bytes() == path.read_bytes()
    assert merge(whole, read_export(path).sat)[0].known


def test_a_part_that_did_not_come_waits_to_be_retried(parted: Store, whole: Store, tmp_path: Path) -> None:
    made = submit(parted, spec(), split=in_parts(3))
    sit_part(parted, claim(parted))
    failed = claim(parted)
    runs.fail(parted, failed, "no such word", final=True)
    sit_part(parted, claim(parted))
    export_to_file(parted, [made.sweep_id], "jsonl", tmp_path / "sent.jsonl")
    (came,) = merge(whole, read_export(tmp_path / "sent.jsonl").sat)
    assert (came.runs, came.answers, came.not_done) == (1, 4, 1)
    (run,) = records.progress(whole, came.sweep_id).runs
    assert (run.status, run.questions, run.answered) == (RunStatus.CANCELLED, 6, 4)
    assert submit(whole, spec(), fresh=False).sweep_id == came.sweep_id  # the same sweep, and its exam is whole now
    assert sweeps.retry(whole, came.sweep_id) == 1
    again = claim(whole)
    assert again.asked == failed.asked
    sit_part(whole, again)
    (run,) = records.progress(whole, came.sweep_id).runs
    assert (run.status, run.answered) == (RunStatus.DONE, 6)
    assert [row.question_index for row in export_rows(whole, [came.sweep_id])] == list(range(6))


def test_parts_that_make_no_run_are_refused(parted: Store, whole: Store, tmp_path: Path) -> None:
    sent = sit_sweep(parted, PARTED)
    path = tmp_path / "sent.jsonl"
    export_to_file(parted, [sent], "jsonl", path)
    path.write_text(path.read_text().replace('"part": {"number": 2, "first": 3', '"part": {"number": 2, "first": 2'))
    with pytest.raises(BadInput, match="parts that don't make one"):
        merge(whole, read_export(path).sat)
    assert records.overview(whole) == []


def test_written_answers_are_marked_and_counted_over_all_parts(whole: Store, parted: Store) -> None:
    one = in_forms.sit_forms(whole, "sums", [in_forms.sums()])
    other = in_forms.sit_forms(parted, "sums", [in_forms.sums()], parts=3)

    def told(store: Store, sweep: int) -> list[dict[str, Any]]:
        counted = wording.as_json(with_counts(store, records.progress(store, sweep)))["runs"]
        ours = ("run_id", "parts")
        return [{name: value for name, value in run.items() if name not in ours} for run in counted]

    assert told(parted, other) == told(whole, one)
    for store, sweep in ((whole, one), (parted, other)):
        keep(store, judge_again(store, [sweep], "loose"))
    assert told(parted, other) == told(whole, one)
    for record in records.runs(parted, [other]):
        assert record.provenance is not None
        assert record.provenance.judged_by == "loose"


def test_one_failed_part_is_said_wherever_the_run_is_shown(parted: Store) -> None:
    made = submit(parted, spec(), split=in_parts(3))
    sit_part(parted, claim(parted))
    failed = claim(parted)
    runs.fail(parted, failed, "no such word", "Traceback: so", final=True)
    sit_part(parted, claim(parted))
    progress = records.progress(parted, made.sweep_id)
    assert "failed" in grid(parted, made.sweep_id)
    assert f"failed: a, astronomy: part 2 of 3 (Run {failed.run_id}): no such word" in wording.outcome(progress)
    (said,) = wording.as_json(progress)["runs"]
    assert (said["status"], said["answered"], said["questions"]) == ("failed", 4, 6)
    assert [(part["status"], part["answered"]) for part in said["parts"]] == [("done", 2), ("failed", 0), ("done", 2)]
    (record,) = read_results(parted, [made.sweep_id]).unfinished()
    assert record.reason == progress.runs[0].reason
    told = attempts.told(records.run(parted, failed.run_id), "a")
    assert f"Part 2 of 3 (Run {failed.run_id}): failed, 0 of 2 answered, 1 failures." in told
    assert "Traceback: so" in told
    assert [part["attempts"][0]["outcome"] for part in attempts.as_json(record, "a")["parts"]] == [
        "done", "failed", "done"
    ]  # fmt: skip


def test_a_run_is_not_marked_again_before_all_its_parts_are_done(parted: Store) -> None:
    made = submit(parted, spec(), split=in_parts(2))
    held = claim(parted)
    runs.begin(parted, held, provenance())
    record_part(parted, held)
    runs.finish(parted, held, Measures(score=Cost(1.0)))
    marks = {question.id: Mark(0.0) for question in exam().questions[:3]}
    with pytest.raises(BadInput, match="is pending"):
        remark(parted, records.progress(parted, made.sweep_id).runs[0].run_id, marks, "")
