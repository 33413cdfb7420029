"""Judges in the report, in comparisons, exports and imports: a judge with a bias is shown to have it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from analysis.data.results import Results, read_results
from analysis.exchange.export import export_questions, export_to_file, rows_of
from analysis.exchange.exported import read_export
from analysis.exchange.lm_eval_export import export_lm_eval
from analysis.exchange.merging import merge
from analysis.report.comparison import summary
from analysis.report.judge_words import bias_sentences
from analysis.report.write import Options, write_report
from analysis.verdict_cli import show
from analysis.verdicts.candidates import roll_of_sweep
from analysis.verdicts.compare import compare
from analysis.verdicts.judges import Bench, agreements, benches_of, grades, pairs
from proctor.errors import BadInput, UnknownName
from proctor.exams.judging.verdicts import Preferred
from proctor.nouns.exams import Conditions
from proctor.nouns.models import DType
from proctor.nouns.runs import Judges, SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads.records import progress, runs
from proctor.written_answers import with_counts
from scheduler.stored_replies import prepare_judges, replies_in
from scheduler.watch import wording
from tests import scripted, tiny
from tests.bigram import PlainDevice
from tests.integration.desks import make_desk
from tests.scripted import QUESTIONS, exam
from workers.drain import drain
from workers.models.held import Models

NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)
JUDGES = ("judges/first-70B", "judges/longer-70B", "judges/reference-70B", "judges/mumbling-70B")
FIRST, LONGER, REFERENCE, MUMBLING = JUDGES


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def store(home: Path) -> Iterator[Store]:
    """Sweep 1: two candidates on sums that judges alone tell apart, rated and compared by four judges.

    Sweep 2: the same sums, told apart by their number as well, and rated by one judge; sweep 3: nobody has judged;
    sweep 4: in pairs alone; sweep 5: by a
    judge that says nothing.
    """
    settings = Settings(home, home, f"sqlite:///{home / 'proctor.db'}")
    with open_store(settings) as made:
        scripted.submit(made, exam(), JUDGES, pairs=True, name="judged")
        scripted.submit(made, exam(subject="numbers", open_=False), [REFERENCE], name="both")
        scripted.submit(made, exam(subject="unheard"), [], name="unheard")
        scripted.submit(made, exam(subject="duels"), [LONGER], pairs=True, grades=False, name="duels")
        scripted.submit(made, exam(subject="silence"), ["judges/silent-70B"], name="silence")
        drain(make_desk(made, settings, models=Models(PlainDevice(), scripted.load)))
        yield made


@pytest.fixture(scope="module")
def results(store: Store) -> Results:
    return read_results(store, [1])


def bench(results: Results, judge: str, *, in_pairs: bool, candidate: str = "org/terse-1B") -> Bench:
    judged = benches_of(results.judged)
    (found,) = [
        one
        for one in (judged.paired if in_pairs else judged.graded)
        if one.judge.model == judge and one.candidates[0].model == candidate
    ]
    return found


def test_a_judge_that_always_says_a_is_shown_to_go_by_the_order(results: Results) -> None:
    told = pairs(bench(results, FIRST, in_pairs=True))
    assert (told.first_place.estimate, told.consistent.estimate, told.won.estimate) == (1.0, 0.0, 0.5)
    assert told.first_place.low > 0.5
    assert told.consistent.high < 0.5
    assert told.longer.low < 0.5 < told.longer.high
    assert told.counts[Preferred.INCONSISTENT] == QUESTIONS
    assert told.p == 1.0
    rated = grades(bench(results, FIRST, in_pairs=False))
    assert [rated.usual, rated.usual_share, rated.rating.estimate] == pytest.approx([8.0, 1.0, 8.0])


def test_a_judge_that_goes_by_length_is_shown_to(results: Results) -> None:
    told = pairs(bench(results, LONGER, in_pairs=True))
    assert (told.longer.estimate, told.consistent.estimate, told.first_place.estimate) == (1.0, 1.0, 0.5)
    assert told.longer.low > 0.5
    assert told.won.high < 0.5  # the wordy one wins all
    assert told.p < 0.001
    assert told.with_number.low < 0.5 < told.with_number.high  # being right has no part in it
    rated = grades(bench(results, LONGER, in_pairs=False))
    assert rated.rating.estimate < 2
    assert grades(bench(results, LONGER, in_pairs=False, candidate="org/wordy-1B")).rating.estimate > 8


def test_a_judge_that_goes_by_the_references_number_is_shown_to(results: Results) -> None:
    told = pairs(bench(results, REFERENCE, in_pairs=True))
    assert (told.with_number.estimate, told.consistent.estimate, told.first_place.estimate) == (1.0, 1.0, 0.5)
    assert told.with_number_of == 2 * told.counts[Preferred.ONE] + 2 * told.counts[Preferred.OTHER] > 0
    assert told.longer.low < 0.5 < told.longer.high
    rated = grades(bench(results, REFERENCE, in_pairs=False))
    assert rated.with_number == (10.0, 16)
    assert rated.without_number == (1.0, 8)


def test_what_a_judge_is_silent_on_is_counted_and_has_no_part_in_the_mean(results: Results) -> None:
    silent = bench(results, MUMBLING, in_pairs=False)
    assert 0 < silent.unjudged < QUESTIONS
    assert grades(silent).rating.estimate == pytest.approx(4.0)
    assert silent.asked_again == QUESTIONS
    (panel,) = [one for one in results.panels if one.terms.judge is not None and one.terms.judge.model == MUMBLING]
    assert int(panel.asked[0].sum()) == QUESTIONS - silent.unjudged
    assert panel.accuracies[0].estimate == pytest.approx(0.4)


def test_two_judges_agree_as_far_as_their_verdicts_do(results: Results) -> None:
    agreed = {(one.one.model, one.other.model, one.in_pairs): one for one in agreements(benches_of(results.judged))}
    assert len(agreed) == 2 * 6
    pair = agreed[FIRST, LONGER, True]
    assert (pair.same, pair.turns) == (0, QUESTIONS)
    assert np.isnan(pair.kappa.estimate)  # who always says one thing agrees by habit alone
    rated = agreed[LONGER, REFERENCE, False]
    assert (rated.turns, len(rated.candidates)) == (2 * QUESTIONS, 2)
    assert rated.kappa.low < 0.2  # length and the reference have little to do with one another here
    names = ("org/terse-1B", "org/wordy-1B")
    means = [
        [grades(bench(results, judge, in_pairs=False, candidate=name)).rating.estimate for name in names]
        for judge in (LONGER, REFERENCE)
    ]
    assert rated.difference == pytest.approx(float(np.mean(means[1])) - float(np.mean(means[0])))


def test_the_report_shows_each_bias_and_whose_answers_are_whose(results: Results, tmp_path: Path) -> None:
    written = write_report(results, tmp_path / "report", Options(("html", "md", "csv")), NOW)
    text = (tmp_path / "report" / "report.md").read_text()
    said = " ".join(text.split())
    assert "first-70B on terse-1B against wordy-1B: the answer shown first wins 100 %" in said
    assert "longer-70B on terse-1B against wordy-1B: the longer answer wins 100 %" in said
    assert (
        "reference-70B on terse-1B: answers with the reference's number (16) are rated 10.00, those without it" in said
    )
    assert "first-70B on terse-1B: 100 % of its ratings are 8." in said
    assert "longer-70B on all that it rated: longer answers are rated higher (rank correlation" in said
    assert re.search(r"mumbling-70B gave no verdict on \d+ of 72 turns", said)
    assert re.search(r"terse-1B: \d+ of 24 questions unjudged\.", said)
    assert len(written.accuracies) == len(JUDGES)
    assert {str(panel.terms).partition("judged by ")[2] for panel in results.panels} == {
        f"{judge.removeprefix('judges/')} (judge-1.0)" for judge in JUDGES
    }
    table = list(csv.DictReader(StringIO((tmp_path / "report" / "judges_bias.csv").read_text())))
    assert {row["judge"]: float(row["for the first shown"]) for row in table if row["judge"] != "mumbling-70B"} == {
        "first-70B": 1.0, "longer-70B": 0.5, "reference-70B": 0.5,
    }  # fmt: skip
    assert (tmp_path / "report" / "judges_agreement.csv").is_file()
    assert "one family" not in said


def test_a_judge_of_ones_own_family_and_a_small_one_are_warned_of(results: Results) -> None:
    one = results.judged[0]
    small = replace(one, judge=replace(one.judge, model="elsewhere/Terse-1B-Chat"))
    names = {small.judge: "Terse-1B-Chat"} | dict(zip(small.candidates, ("terse-1B", "wordy-1B"), strict=False))
    said = list(bias_sentences(benches_of([small]), names))
    assert said[0].startswith("Terse-1B-Chat and terse-1B are one family by their names")
    assert "is small for a judge" in said[1]
    itself = replace(one, judge=replace(one.judge, model=one.candidates[0].model))
    names |= {itself.judge: "terse-1B"}
    assert next(bias_sentences(benches_of([itself]), names)).startswith("terse-1B judges answers of its own")


def test_answers_are_compared_by_the_judge_that_is_named(store: Store, tmp_path: Path) -> None:
    def compared(judge: str) -> str:
        roll = roll_of_sweep(store, "judged", None, judge, tmp_path)
        terse, wordy = (roll.candidate(name, tmp_path) for name in ("terse-1B", "wordy-1B"))
        return " ".join(summary(compare(terse, wordy, 0.01)))

    assert "wordy-1B is better" in compared("longer-70B")
    assert "It cannot be told whether wordy-1B or terse-1B is better" in compared("reference-70B")
    with pytest.raises(UnknownName, match="nobody"):
        compared("nobody")
    with pytest.raises(BadInput, match="Name the judge"):
        compared("")
    own = roll_of_sweep(store, "both").candidate("terse-1B", tmp_path)
    assert own.panel.terms.judge is None
    assert own.panel.accuracies[0].estimate == pytest.approx(16 / 24)


def test_what_nobody_has_judged_is_said_to_be_unjudged_yet(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="terse-1B is unjudged yet on unheard"):
        write_report(read_results(store, [3]), tmp_path / "report", Options(("md",)), NOW)
    with pytest.raises(BadInput, match="unjudged yet"):
        roll_of_sweep(store, "unheard")
    write_report(read_results(store, [1, 3]), tmp_path / "both", Options(("md",)), NOW)
    assert "wordy-1B is unjudged yet on unheard" in (tmp_path / "both" / "report.md").read_text()
    assert "unjudged yet" in wording.outcome(with_counts(store, progress(store, 3)))


def test_status_says_who_judged_whom_and_how(store: Store) -> None:
    said = wording.outcome(with_counts(store, progress(store, 1)))
    lines = {line.partition("  ")[0]: line for line in said.splitlines()}
    assert "judged" in lines["terse-1B"]
    assert "rated 8.00 of 10" in lines["terse-1B, judged by first-70B"]
    assert "24 of 24 judged" in lines["terse-1B, judged by first-70B"]
    assert "50.0%" in lines["terse-1B against wordy-1B, judged by first-70B"]
    found = wording.as_json(progress(store, 1))
    judges = [run["judges"] for run in found["runs"] if "judges" in run]
    assert ["cpu/org/terse-1B@r/none", "cpu/org/wordy-1B@r/none"] in judges


def test_judged_sweeps_come_back_from_an_export_as_they_were(store: Store, tmp_path: Path, results: Results) -> None:
    export_to_file(store, [1], "jsonl", tmp_path / "all.jsonl")
    with open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'other.db'}")) as other:
        (taken,) = merge(other, read_export(tmp_path / "all.jsonl").sat)
        back = read_results(other, [taken.sweep_id])
        assert [*rows_of(other, [taken.sweep_id])] == [*rows_of(store, [1])]
    assert [panel.terms for panel in back.panels] == [panel.terms for panel in results.panels]
    for mine, theirs in zip(results.panels, back.panels, strict=True):
        np.testing.assert_array_equal(mine.marks * mine.asked, theirs.marks * theirs.asked)
    assert [one.judgements for one in back.judged] == [one.judgements for one in results.judged]


def test_judges_without_their_candidates_are_refused(store: Store, tmp_path: Path) -> None:
    rows = [row for row in rows_of(store, [1]) if row["scoring"] == "judged"]
    (tmp_path / "judges.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (
        open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'other.db'}")) as other,
        pytest.raises(BadInput, match="sweep of the candidates"),
    ):
        merge(other, read_export(tmp_path / "judges.jsonl").sat)


def test_a_file_a_run_says_whom_a_judge_judged(store: Store, tmp_path: Path) -> None:
    paths = export_questions(store, [1], tmp_path)
    found = [json.loads(path.read_text()) for path in paths]
    assert {tuple(one["judges"]) for one in found if "judges" in one} == {
        ("terse-1B",), ("wordy-1B",), ("terse-1B", "wordy-1B"),
    }  # fmt: skip
    assert [one["accuracy"] for one in found if one["scoring"] == "open"] == [None, None]
    export_lm_eval(store, [2], tmp_path / "lm")
    assert not [path for path in (tmp_path / "lm").rglob("*") if "reference-70B" in path.name]
    assert len(runs(store, [2])) == 4


def test_stored_replies_are_planned_for_another_judge(store: Store, home: Path, tmp_path: Path) -> None:
    judge = tiny.make(tmp_path / "walrus-70B")
    judges = Judges((str(judge),), pairs=True)
    request = SweepRequest(judges.models, judges.quants, "own", ("numbers",), "cpu", DType.AUTO, Conditions(0),
                           judges=judges)  # fmt: skip
    settings = Settings(home, tmp_path, f"sqlite:///{home / 'proctor.db'}")
    replies = replies_in(store, [2])
    prepared = prepare_judges(request, replies, settings, store)
    (pair,) = prepared.plan.runs
    assert pair.conditions.brief is not None
    assert (pair.model.label, pair.questions, len(pair.conditions.brief.replies)) == ("walrus-70B", QUESTIONS, 128)
    assert set(prepared.stored.values()) == {record.run_id for record in replies.records}
    assert set(prepared.stored) == {pair.conditions.brief.candidate, pair.conditions.brief.against}
    with pytest.raises(BadInput, match="Runs that are done"):
        replies_in(store, [])


@pytest.mark.usefixtures("store")
def test_a_question_is_shown_with_the_replies_and_the_judges_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_HOME", str(home))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    said = CliRunner().invoke(show, ["sums:1", "-s", "judged"], catch_exceptions=False).output
    assert "What is 1 plus 8?" in said
    assert "first-70B, the judge" in said
    assert "Rating: [[8]]" in said
    found = json.loads(CliRunner().invoke(show, ["sums:1", "-s", "judged", "--json"], catch_exceptions=False).output)
    (terse,) = [one for one in found["answers"] if one["contestant"] == "terse-1B"]
    assert (terse["replies"], terse["judge"], terse["judged"]) == (["9"], "first-70B", ["Fine.\nRating: [[8]]"])


def test_pairs_alone_make_a_report_and_no_comparison_by_points(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="compared in pairs"):
        roll_of_sweep(store, "duels")
    results = read_results(store, [4])
    assert results.panels == ()
    write_report(results, tmp_path / "report", Options(("md", "csv", "html")), NOW)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Who is preferred" in text
    assert "unjudged yet" not in text


def test_a_judge_that_tells_nothing_is_reported_all_the_same(store: Store, tmp_path: Path) -> None:
    results = read_results(store, [5])
    assert results.panels == ()
    write_report(results, tmp_path / "report", Options(("md", "csv", "html")), NOW)
    assert "silent-70B gave no verdict on 48 of 48 turns (100.0 %)" in (tmp_path / "report" / "report.md").read_text()
    assert "24 unjudged" in wording.outcome(with_counts(store, progress(store, 5)))
