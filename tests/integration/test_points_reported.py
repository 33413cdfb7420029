"""Written answers from the marking to the report: in points, and without what needs options."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from analysis.cli import export
from analysis.data.panel import Panel
from analysis.data.results import answers_frame, read_results
from analysis.exchange.export import export_to_file, rows_of
from analysis.exchange.exported import read_export
from analysis.exchange.merging import merge
from analysis.report.comparison import as_object, comparison_tables, summary
from analysis.report.question import answers_table, question_text
from analysis.report.write import Options, write_report
from analysis.verdict_cli import suspects
from analysis.verdicts.candidates import roll_of_sweep
from analysis.verdicts.compare import compare
from analysis.verdicts.standings import stand
from analysis.verdicts.suspects import scored_keys
from proctor.exams.benchmarks.base import Benchmark
from proctor.nouns.exams import Answer, Ask, Conditions, Exam, Write, Written
from proctor.nouns.runs import Claim
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads.records import progress
from tests.in_forms import sit_as
from tests.made_up import NUMBER, SUMS, TWICE, sit

NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)


class Talker:
    """An engine's text: it adds and doubles what its prompt says, right as often as its skill, now and then mute."""

    def __init__(self, skill: float, seed: int) -> None:
        self.skill, self.random = skill, np.random.default_rng(seed)

    def reply(self, ask: Ask) -> Written:
        assert isinstance(ask, Write)
        last = ask.text.splitlines()[-1]
        if last == "Twice that is":
            said = NUMBER.search(ask.text.splitlines()[-2].rpartition("=")[2])
            value = 2 * int(said.group()) if said else 0
        else:
            left, _, right = last.removesuffix(" =").partition(" + ")
            value = int(left) + int(right)
        drawn = self.random.random()
        return Written(f" {value if drawn < self.skill else value + 1}" if drawn < 0.95 else " no idea")


def sit_all(store: Store, benchmark: Benchmark, name: str) -> int:
    """A sweep of three contestants on all subjects of a benchmark, marked as a worker would."""
    conditions = Conditions(shots=0, prompt_version=benchmark.version)

    def answers(held: Claim, exam: Exam, skill: float) -> list[Answer]:
        talker = Talker(skill, seed=held.run_id)
        return [sit(benchmark, exam, one, conditions, talker.reply) for one in exam.questions]

    return sit_as(store, name, [(exam, conditions) for exam in benchmark.load().exams.values()], answers)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def written(home: Path) -> Iterator[Store]:
    """Sweep 1 is on sums, all or nothing; sweep 2 on two turns, in halves."""
    with open_store(Settings(home, home, f"sqlite:///{home / 'proctor.db'}")) as store:
        assert (sit_all(store, SUMS, "sums"), sit_all(store, TWICE, "twice")) == (1, 2)
        yield store


def panel_of(store: Store, sweep: int) -> Panel:
    (panel,) = read_results(store, [sweep]).panels
    return panel


def test_a_panel_of_written_answers_has_no_options_and_knows_what_was_answered(written: Store) -> None:
    sums, twice = panel_of(written, 1), panel_of(written, 2)
    assert (sums.has_options, sums.graded, twice.has_options, twice.graded) == (False, False, False, True)
    assert sums.logprob is None
    assert sums.picked_norm is None
    assert np.isnan(sums.chance)
    assert 0 < sums.unanswered.sum() < sums.asked.sum()
    assert not (sums.silent & sums.correct).any()
    frame = answers_frame(twice)
    assert set(frame["points"]) <= {0.0, 0.5, 1.0}
    assert "points" not in answers_frame(sums)
    means = [accuracy.estimate for accuracy in twice.accuracies]
    assert means == pytest.approx(twice.marks.mean(axis=1).tolist())
    assert scored_keys(sums) == []


def test_standings_go_by_points(written: Store) -> None:
    panel = panel_of(written, 2)
    standings = stand(panel)
    assert list(standings.order) == sorted(range(3), key=lambda place: -panel.marks[place].sum())
    first, second = standings.order[0], standings.order[-1]
    assert standings.p[first, second] >= panel.pair(first, second).p - 1e-12  # Holm
    assert standings.lost[first, second] == np.count_nonzero(panel.marks[first] > panel.marks[second])


@pytest.mark.parametrize(("sweep", "unit"), [(1, "right"), (2, "of the points")])
def test_the_report_says_why_what_needs_options_is_left_out(
    written: Store, tmp_path: Path, sweep: int, unit: str
) -> None:
    report = write_report(read_results(written, [sweep]), tmp_path / "report", Options(("html", "md", "csv")), NOW)

    page = (tmp_path / "report" / "report.md").read_text("utf-8")
    for why in (
        "Left out: calibration is of the options' probabilities, and these questions have none.",
        "Left out: models outvote a key by picking other options, and these questions have none.",
        "Left out: ties are between options, and these questions have none; counted are texts without an answer.",
        "Without options nobody picks the same wrong one.",
    ):
        assert page.count(why) == 1, why
    assert "blind guessing" not in page
    assert not re.search(r"\bnan\b", page)
    assert unit in " ".join(report.findings[0])
    (accuracy,) = report.accuracies
    headings = [column.heading for column in accuracy.columns]
    assert "against chance" not in headings
    assert headings[1] == ("right" if sweep == 1 else "points")
    assert ("sum of points" in headings) is (sweep == 2)


def test_two_contestants_are_compared_by_their_points(written: Store) -> None:
    roll = roll_of_sweep(written, "twice")
    small, large = (roll.candidate(name, Path("/")) for name in ("Small", "Large 4 bit"))
    found = compare(small, large, 0.01)

    pair = found.verdict.pair
    assert pair.change == pytest.approx((found.panel.marks[1] - found.panel.marks[0]).mean())
    said = "\n".join(summary(found))
    assert f"as many points on {pair.both_right + pair.both_wrong}, fewer on {pair.lost}, more on {pair.gained}" in said
    assert "of the points" in said
    assert "(signs turned, exact, mid-p)" in said
    whole = json.loads(json.dumps(as_object(found), allow_nan=False))
    assert whole["accuracies"] == pytest.approx(found.panel.marks.mean(axis=1).tolist())
    for table in comparison_tables(found)[1:]:
        assert "reference" in [column.heading for column in table.columns]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_an_export_of_written_answers_comes_back_as_it_was(written: Store, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"answers.{kind}"
    export_to_file(written, [1, 2], kind, path)

    with open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'other.db'}")) as other:
        taken = merge(other, read_export(path).sat)
        assert [(one.name, one.known) for one in taken] == [("sums", False), ("twice", False)]
        for theirs, ours in zip((1, 2), taken, strict=True):
            assert _rows(other, ours.sweep_id) == _rows(written, theirs)
            here, there = progress(other, ours.sweep_id).runs, progress(written, theirs).runs
            assert [(run.partial, run.tied) for run in here] == [(run.partial, run.tied) for run in there]


def _rows(store: Store, sweep: int) -> list[dict[str, object]]:
    return [{name: row[name] for name in row if name not in ("sweep_id", "run_id")} for row in rows_of(store, [sweep])]


def test_one_question_shows_its_reference_and_what_each_answer_is_worth(written: Store) -> None:
    panel = panel_of(written, 2)
    assert question_text(panel, 0).splitlines()[2:] == ["1 + 2 =", "* 3"]
    table = answers_table(panel, 0)
    assert [column.heading for column in table.columns] == ["contestant", "points", "answer found"]
    assert len(table.rows) == 3


def test_commands_that_need_options_say_so(written: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_HOME", str(home))
    said = CliRunner().invoke(suspects, ["sums"])
    assert (said.exit_code, said.output.strip()) == (
        0, "Left out: models outvote a key by picking other options, and these questions have none.",
    )  # fmt: skip
    refused = CliRunner().invoke(export, ["sums", "--format", "lm-eval", "-o", str(home / "out")])
    assert refused.exit_code != 0
    assert not (home / "out").exists()
