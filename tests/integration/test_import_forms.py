"""Samples of every kind, imported: who answered what, by the first metric of each task."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from analysis.data.panel import Panel
from analysis.data.results import Results, read_results
from analysis.exchange.export import imported_rows
from analysis.exchange.imports import Taken, keep, kept, read_foreign
from analysis.exchange.lm_eval_export import export_lm_eval
from analysis.report.write import Options, write_report
from analysis.verdicts.candidates import roll_of_panels
from analysis.verdicts.compare import compare
from proctor.errors import BadInput
from proctor.nouns.exams import Scoring
from proctor.store.database.session import Store
from tests import in_forms

SETS = {
    "colours": Scoring.TEXT, "gaps": Scoring.TEXT, "shares": Scoring.TEXT, "endings": Scoring.ONE_TEXT,
    "sums": Scoring.WRITTEN,
}  # fmt: skip


@pytest.fixture
def ours(store: Store) -> dict[str, Panel]:
    return {one.terms.benchmark: one for one in read_results(store, [in_forms.sit_forms(store)]).panels}


@pytest.fixture
def taken(ours: dict[str, Panel], store: Store, tmp_path: Path) -> Taken:
    assert ours
    export_lm_eval(store, [1], tmp_path / "out")
    return read_foreign([tmp_path / "out"])


def by_task(taken: Taken) -> dict[str, Panel]:
    return {one.terms.benchmark: one for one in taken.panels}


def marks(panel: Panel) -> np.ndarray:
    """(C, Q) points, contestants by quantization and name, questions by their place."""
    order = panel.questions["question_index"].to_numpy().argsort()
    who = sorted(range(3), key=lambda place: (panel.contestants[place].quant, panel.contestants[place].model))
    return panel.marks[who][:, order]


def test_each_task_is_a_set_with_the_points_that_its_answers_have(taken: Taken, ours: dict[str, Panel]) -> None:
    theirs = by_task(taken)
    assert {name: one.terms.scoring for name, one in theirs.items()} == SETS
    for name, panel in theirs.items():
        assert marks(panel) == pytest.approx(marks(ours[name])), name
        assert sorted(panel.unanswered.tolist()) == sorted(ours[name].unanswered.tolist()), name
    assert theirs["sums"].terms.shots == 1
    assert theirs["endings"].perplexities is not None
    assert any("sums" in note and "exact_match on strict; it has loose exact_match too" in note for note in taken.notes)


def test_what_was_kept_is_what_was_read(taken: Taken, tmp_path: Path) -> None:
    keep(taken, "lm", tmp_path)
    again = kept("lm", tmp_path)
    assert again is not None
    for name, panel in by_task(again).items():
        before = by_task(taken)[name]
        assert (panel.marks == before.marks).all()
        assert (panel.silent == before.silent).all()
        assert (panel.graded, panel.has_options, panel.has_keys) == (
            before.graded, before.has_options, before.has_keys,
        )  # fmt: skip
        assert (panel.logprob is None) == (before.logprob is None)


def test_imported_samples_are_reported_and_compared(taken: Taken, tmp_path: Path) -> None:
    panels = taken.panels
    report = write_report(
        Results((), panels, imported=panels, notes=taken.notes), tmp_path / "report", Options(("md",)),
        datetime(2026, 11, 30, tzinfo=UTC),
    )  # fmt: skip
    assert len(report.accuracies) == 5
    roll = roll_of_panels([by_task(taken)["sums"]], "lm")
    first, second = (roll.read(place) for place in (0, 1))
    assert compare(first, second, 0.01).verdict.pair.asked == 12


def test_answers_known_by_their_points_alone_are_not_exported_as_if_they_had_keys(taken: Taken) -> None:
    with pytest.raises(BadInput, match="are told by points alone"):
        list(imported_rows(taken.sets))


def test_samples_without_a_metric_from_0_to_1_are_refused(tmp_path: Path) -> None:
    line = {
        "doc_id": 0, "doc": {"text": "a"}, "prompt_hash": "a" * 64, "resps": [["so"]], "filtered_resps": ["so"],
        "filter": "none", "metrics": ["bleu"], "bleu": 31.5, "arguments": {"gen_args_0": {"arg_0": "a", "arg_1": {}}},
    }  # fmt: skip
    path = tmp_path / "samples_odd_2026-01-01T00-00-00.000000.jsonl"
    path.write_text(json.dumps(line) + "\n", "utf-8")
    with pytest.raises(BadInput, match="has no metric that is worth 0 to 1"):
        read_foreign([path])
