"""Figures of whole sets that a form names: in the report, in a comparison, and as their task sums them up."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.data.panel import Panel
from analysis.data.results import read_results
from analysis.report.set_figures import compared_lines, compared_object
from analysis.report.write import Options, write_report
from analysis.verdicts.set_figures import set_figures
from proctor.exams.judging import likenesses, sets
from proctor.exams.tasks.form import Metric, read_form
from proctor.nouns.exams import Exam
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests import in_forms


def with_metrics(paper: Exam, *metrics: Metric) -> Exam:
    form = read_form(paper.form)
    return in_forms.exam(paper.subject, replace(form, metrics=(*form.metrics, *metrics)), paper.questions, paper.dev)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A sweep of options with F1 and Matthews' correlation, and one of written sums with BLEU."""
    with open_store(Settings.read({"PROCTOR_HOME": str(tmp_path_factory.mktemp("sets"))})) as store:
        colours = with_metrics(in_forms.colours(), Metric("f1", aggregation="f1"), Metric("mcc"))
        sums = with_metrics(in_forms.sums(), Metric("bleu", aggregation="bleu"))
        in_forms.sit_forms(store, "sets", [colours, sums])
        yield store


@pytest.fixture(scope="module")
def panels(store: Store) -> dict[str, Panel]:
    return {panel.terms.benchmark: panel for panel in read_results(store, [1]).panels}


def test_options_are_summed_up_by_what_was_picked(panels: dict[str, Panel]) -> None:
    panel = panels["colours"]
    f1, mcc = set_figures(panel)
    assert (f1.metric.name, mcc.metric.name, f1.questions) == ("f1", "mcc", in_forms.SIZE)
    for place in range(len(panel.contestants)):
        pairs = list(zip(panel.key.astype(float).tolist(), panel.picked[place].astype(float).tolist(), strict=True))
        assert f1.drawn.estimates[place] == pytest.approx(sets.f1(pairs))
        assert mcc.drawn.estimates[place] == pytest.approx(sets.mcc(pairs))
        found = f1.drawn.interval(place)
        assert found.low <= found.estimate <= found.high


def test_texts_are_summed_up_as_the_filter_that_counts_left_them(panels: dict[str, Panel]) -> None:
    panel = panels["sums"]
    (bleu,) = set_figures(panel)
    assert panel.replies is not None
    assert panel.replies.texts is not None
    for place in range(len(panel.contestants)):
        rights = panel.questions["reference"].tolist()
        pairs = list(zip(rights, panel.replies.texts[place].tolist(), strict=True))
        assert bleu.drawn.estimates[place] == pytest.approx(likenesses.corpus_bleu(pairs))
    assert {"[invalid]"} < set(panel.replies.texts[0].tolist())


def test_the_report_has_them_best_first_with_what_may_be_said(store: Store, tmp_path: Path) -> None:
    results = read_results(store, [1])
    report = write_report(results, tmp_path / "report", Options(("csv", "md")), datetime.now(UTC))
    tables = [path for path in report.files if "set_figures" in path.name]
    assert len(tables) == 2
    for path in tables:
        rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
        assert [row["verdict"] for row in rows].count("best") == len({row["metric"] for row in rows})
        assert {row["verdict"] for row in rows} <= {"best", "differs", "can't be told apart"}
        values = [float(row["figure"]) for row in rows if row["metric"] == rows[0]["metric"]]
        assert values == sorted(values, reverse=True)


def test_a_comparison_tells_them_for_both_and_their_difference(panels: dict[str, Panel]) -> None:
    pair = panels["colours"].of([0, 1])
    lines = compared_lines(pair, "Small", "Large")
    assert [line.partition(" of ")[0] for line in lines] == ["f1", "mcc"]
    assert "Large minus Small" in lines[0]
    found = compared_object(pair)["set_figures"]
    assert found[0]["change"][0] == pytest.approx(found[0]["figures"][1][0] - found[0]["figures"][0][0])
    assert compared_object(replace(pair, forms={})) == {}
