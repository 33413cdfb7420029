"""`proctor mark`: stored replies judged again, shown beside what stands, and kept where that is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from analysis.data.results import read_results
from analysis.exchange.export import export_to_file, rows_of
from analysis.exchange.exported import read_export
from analysis.exchange.merging import merge
from analysis.mark_cli import mark
from analysis.report.comparison import summary
from analysis.report.write import Options, write_report
from analysis.verdicts.candidates import roll_of_sweep
from analysis.verdicts.compare import compare
from analysis.verdicts.marked import judge_again, keep
from analysis.verdicts.replies import fared_of
from proctor.cli import COMMANDS, command
from proctor.errors import BadInput, UnknownName
from proctor.nouns.exams import Mark
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import sweeps
from proctor.store.runs.marks import remark
from proctor.written_answers import with_counts
from scheduler.watch.aside import aside
from tests import in_forms
from tests.integration.store_world import request


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def mine(home: Path) -> Iterator[Store]:
    """Sweep 1 of written sums and of endings."""
    with open_store(Settings.read({"PROCTOR_HOME": str(home)})) as store:
        in_forms.sit_forms(store, "one", [in_forms.sums(), in_forms.endings()])
        yield store


def said(*words: str) -> Result:
    return CliRunner().invoke(mark, words, catch_exceptions=False)


def found(*words: str) -> dict[str, Any]:
    return dict(json.loads(said(*words, "--json").output))


def counts(store: Store) -> list[tuple[int, int, float]]:
    return [(one.correct, one.tied, one.partial) for one in records.runs(store, [1])]


def test_filters_stand_side_by_side_and_what_they_could_not_read_is_counted_apart(mine: Store) -> None:
    before = counts(mine)
    shown = found("one")
    assert counts(mine) == before
    assert (shown["kept"], len(shown["runs"])) == (False, 3)
    for run in shown["runs"]:
        strict, loose = run["figures"]
        assert (strict["filter"], loose["filter"], strict["metric"]) == ("strict", "loose", "exact_match")
        assert run["changed"] == []
        assert strict["low"] <= strict["value"] <= strict["high"]
        unread = sum(strict[name] for name in ("nothing_extracted", "empty", "cut_by_the_limit", "thinking_unfinished"))
        stored = next(one for one in records.runs(mine, [1]) if one.run_id == run["run_id"])
        assert (unread, strict["value"]) == (stored.tied, pytest.approx(stored.correct / 12))
        assert loose["replies_cut"] == strict["replies_cut"]
    unread_by = [sum(run["figures"][place]["nothing_extracted"] for run in shown["runs"]) for place in (0, 1)]
    assert unread_by[0] > unread_by[1]
    assert any(figure["cut_by_the_limit"] for run in shown["runs"] for figure in run["figures"])
    assert any(figure["empty"] for run in shown["runs"] for figure in run["figures"])


def test_the_marks_of_another_filter_become_those_of_the_answers_and_the_first_come_back(mine: Store) -> None:
    first, rows = counts(mine), [*rows_of(mine, [1])]
    changed = found("one", "--with", "loose")
    assert changed["kept"]
    assert sum(len(run["changed"]) for run in changed["runs"]) > 0
    loose = {run["run_id"]: run["figures"][1] for run in changed["runs"]}
    for run in records.runs(mine, [1]):
        if run.run_id in loose:
            assert run.provenance is not None
            assert run.provenance.judged_by == "loose"
            assert run.correct == round(12 * loose[run.run_id]["value"])
            assert run.tied == sum(
                loose[run.run_id][name] for name in ("nothing_extracted", "empty", "cut_by_the_limit")
            )
    assert found("one")["runs"][0]["filter"] == "loose"
    assert all(run["changed"] == [] for run in found("one")["runs"])
    assert counts(mine) != first
    found("one", "--with", "strict")
    assert counts(mine) == first
    assert [*rows_of(mine, [1])] == rows


def test_marks_are_kept_in_either_database(store: Store) -> None:
    sweep = in_forms.sit_forms(store, "sums", [in_forms.sums()])
    keep(store, judge_again(store, [sweep], "loose"))
    again = judge_again(store, [sweep])
    for run, judged in zip(records.runs(store, [sweep]), again.runs, strict=True):
        assert (judged.chain, judged.changed) == ("loose", ())
        assert run.correct == round(12 * judged.figures[1].value)


def test_answers_of_two_filters_are_never_mixed(mine: Store) -> None:
    in_forms.sit_forms(mine, "two", [in_forms.sums()])
    found("one", "--with", "loose")
    sums = [panel for panel in read_results(mine, [1, 2]).panels if panel.terms.benchmark == "sums"]
    assert [panel.terms.judged_by for panel in sums] in (["", "loose"], ["loose", ""])
    assert "judged by the filter loose" in " ".join(str(panel.terms) for panel in sums)
    in_forms.sit_forms(mine, "three", [in_forms.sums()])
    found("two", "--with", "loose")
    loose, strict = (roll_of_sweep(mine, name).candidate("Small", Path("/")) for name in ("two", "three"))
    with pytest.raises(BadInput, match="judged by the filter loose against that of the exam"):
        compare(loose, strict, 0.01)


def test_an_export_bears_by_what_filter_its_answers_are_marked(mine: Store, home: Path) -> None:
    found("one", "--with", "loose")
    export_to_file(mine, [1], "jsonl", home / "sent.jsonl")
    folder = home / "other"
    folder.mkdir()
    with open_store(Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")) as other:
        merge(other, read_export(home / "sent.jsonl").sat)
        assert counts(other) == counts(mine)
        assert {one.provenance.judged_by for one in records.runs(other, [1]) if one.provenance} == {"loose", ""}


def test_a_filter_that_no_exam_has_is_refused_with_those_that_there_are(mine: Store) -> None:
    with pytest.raises(UnknownName, match=r"'lose'.*There are strict, loose"):
        said("one", "--with", "lose")
    assert {one.provenance.judged_by for one in records.runs(mine, [1]) if one.provenance} == {""}


def test_a_sweep_without_written_answers_is_refused(mine: Store) -> None:
    in_forms.sit_forms(mine, "endings", [in_forms.endings()])
    with pytest.raises(BadInput, match="There is no written answer"):
        said("endings")


def test_marks_of_a_run_that_is_not_done_or_of_other_questions_are_not_kept(mine: Store) -> None:
    spec = records.runs(mine, [1])[0].spec
    waiting = sweeps.submit(mine, request("waiting"), [spec], fresh=True).sweep_id
    (pending,) = records.runs(mine, [waiting])
    with pytest.raises(BadInput, match="is pending"):
        remark(mine, pending.run_id, {}, "loose")
    with pytest.raises(BadInput, match="has 12 Answers, and 1 others were marked"):
        remark(mine, 1, {"0" * 16: Mark(0.0)}, "loose")
    with pytest.raises(UnknownName):
        remark(mine, 999, {}, "loose")


def test_it_says_in_words_what_changed(mine: Store) -> None:
    assert "All 36 answers are marked as they stand." in said("one").output
    output = said("one", "--with", "loose").output
    assert "answers are marked otherwise now" in output
    assert "Answers that are marked otherwise than they stand in the database." in output
    assert "sums:" in output


def test_status_counts_apart_what_was_not_read_out(mine: Store, home: Path) -> None:
    shown = with_counts(mine, records.progress(mine, 1))
    by_id = {run["run_id"]: run["figures"][0] for run in found("one")["runs"]}
    written = [run for run in shown.runs if run.fared is not None]
    assert {run.run_id for run in written} == set(by_id)
    for run in written:
        assert run.fared is not None
        assert run.fared.unanswered == run.tied
        assert run.fared.unfinished == by_id[run.run_id]["replies_cut"]
        assert run.fared.finished_points == pytest.approx(
            by_id[run.run_id]["accuracy_of_the_finished"] * run.fared.finished
        )
    words = aside(written)
    assert "with nothing extracted" in words
    assert "whose replies weren't cut" in words
    assert "without an answer" not in words
    assert "without an answer" in aside([replace(run, fared=None) for run in written])
    status = CliRunner().invoke(command(COMMANDS["status"]), ["one", "--json"], catch_exceptions=False)
    runs = json.loads(status.output)["runs"]
    assert sum("written" in run for run in runs) == 3
    assert all(run["written"]["answers"] == 12 for run in runs if "written" in run)


def test_a_comparison_says_how_the_replies_of_both_fared(mine: Store) -> None:
    in_forms.sit_forms(mine, "sums", [in_forms.sums()])
    roll = roll_of_sweep(mine, "sums")
    pair = compare(roll.candidate("Small", Path("/")), roll.candidate("Large 4 bit", Path("/")), 0.01)
    said = [line for line in summary(pair) if "with nothing extracted" in line]
    assert sorted(line.partition(":")[0] for line in said) == sorted([pair.first, pair.second])


def test_the_report_says_first_how_the_replies_fared_and_who_is_right_of_the_finished(mine: Store, home: Path) -> None:
    results = read_results(mine, [1])
    report = write_report(results, home / "report", Options(("md", "csv")), datetime(2026, 11, 30, tzinfo=UTC))
    page = (home / "report" / "report.md").read_text("utf-8")
    sums = next(panel for panel in results.panels if panel.terms.benchmark == "sums")
    fared = [fared_of(sums, place) for place in range(3)]
    assert [one.unanswered for one in fared if one] == sums.unanswered.tolist()
    sentences = " ".join(sentence for one in report.findings for sentence in one)
    for one in fared:
        assert one is not None
        assert f"of 12 answers {one}" in sentences
        assert f"{one.unfinished} reply cut by the limit; of the other 11, " in sentences
    assert page.count("How the written replies fared in the filter that counts.") == 1
    half = sums.on(np.arange(12) < 6)
    assert sum(one.answers for place in range(3) if (one := fared_of(half, place))) == 18


def test_of_several_replies_pass_at_k_and_the_vote_stand_in_mark_and_report(mine: Store, tmp_path: Path) -> None:
    sweep = in_forms.sit_forms(mine, "drawn", [in_forms.drawn()])
    shown = found("drawn")
    for run in shown["runs"]:
        strict, loose = run["repeats"]
        assert (strict["filter"], loose["filter"], strict["replies"]) == ("strict", "loose", 4)
        assert [one["k"] for one in strict["by_k"]] == [1, 2, 4]
        chances = [one["pass_at_k"]["value"] for one in strict["by_k"]]
        rows = np.array([one["right_by_seed"] for one in strict["questions"]])
        assert chances[0] == pytest.approx(rows.mean())
        assert chances[2] == pytest.approx(rows.any(axis=1).mean())
        assert chances[0] < chances[1] < chances[2]
        assert [one["right"] for one in strict["by_seed"]] == pytest.approx(list(rows.mean(axis=0)))
        first = next(one for one in run["figures"] if one["filter"] == "strict")
        assert strict["by_k"][0]["majority"]["value"] == pytest.approx(first["value"])  # of one, itself
    plain = said("drawn").output
    assert "pass@k" in plain
    assert "Chen et al. 2021" in " ".join(plain.split())
    assert "pass@k" not in said("one").output
    report = write_report(read_results(mine, [sweep]), tmp_path / "report", Options(("csv",)), datetime.now(UTC))
    (table,) = [path for path in report.files if "repeats" in path.name]
    head, *lines = table.read_text("utf-8-sig").splitlines()
    assert len(lines) == 3 * 3
    cells = dict(zip(head.split(","), lines[0].split(","), strict=True))
    best = next(run for run in shown["runs"] if run["contestant"] == cells["contestant"])
    assert float(cells["pass@k"]) == pytest.approx(best["repeats"][0]["by_k"][0]["pass_at_k"]["value"], abs=1e-6)
