"""Prompts that differ although the conditions are the same: told by `compare` and by the report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from analysis.data.results import read_results
from analysis.data.terms import UNKNOWN, Terms
from analysis.report.comparison import as_object, summary
from analysis.report.limits import prompt_sentences
from analysis.report.write import Options, write_report
from analysis.verdicts.candidates import Candidate, roll_of_sweep
from analysis.verdicts.compare import compare
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Quant
from proctor.store.database.session import Store
from proctor.store.reads.columns import answer_columns, prompts_apart
from tests.sweeps import Sat, sit_sweep

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CHAT = Conditions(shots=0, chat_template=True)


def sat(model: str = "org/One", reworded: int = 0, conditions: Conditions = CHAT, quants: int = 1) -> Sat:
    """Two subjects of ten questions each."""
    return Sat(
        models=(model,), skill=(0.5,), quants=(Quant.NONE, Quant.FOUR_BIT)[:quants], subjects=("law", "art"),
        questions=10, conditions=conditions, reworded=reworded,
    )  # fmt: skip


def only(store: Store, sweep: int) -> Candidate:
    return roll_of_sweep(store, str(sweep)).only()


def test_the_same_sweep_twice_in_other_prompts_is_told_by_compare(store: Store) -> None:
    first, second = (only(store, sit_sweep(store, sat(reworded=reworded))) for reworded in (0, 3))
    found = compare(first, second, 0.01)
    assert found.verdict.pair.asked == 20
    assert as_object(found)["prompts"] == {"equal": 14, "other": 6, "unknown": 0}
    (note,) = found.notes
    assert note.startswith("another prompt on 6 of 20 questions, although the terms agree")
    assert note in summary(found)


def test_without_a_chat_template_two_models_prompts_should_be_the_same(store: Store) -> None:
    plain = Conditions(shots=0)
    first = only(store, sit_sweep(store, sat(conditions=plain)))
    second = only(store, sit_sweep(store, sat("org/Two", reworded=1, conditions=plain)))
    again = only(store, sit_sweep(store, sat(conditions=plain)))  # of the same name, too
    assert compare(first, again, 0.01).notes == ()
    assert compare(first, second, 0.01).notes[0].startswith("another prompt on 2 of 20 questions, although")


def test_two_models_own_chat_templates_are_no_fault(store: Store) -> None:
    first, second = (only(store, sit_sweep(store, one)) for one in (sat(), sat("org/Two", reworded=10)))
    assert compare(first, second, 0.01).notes == (
        "another prompt on all 20 questions, as each model's chat template has it",
    )


def test_the_report_names_who_read_other_prompts_under_the_same_conditions(store: Store, tmp_path: Path) -> None:
    """Two quantizations of one model, sat on two days; another model's template is its own."""
    ids = [
        sit_sweep(store, sat()),
        sit_sweep(store, Sat(**vars(sat(reworded=2)) | {"quants": (Quant.FOUR_BIT,)})),
        sit_sweep(store, sat("org/Two", reworded=9)),
    ]
    results = read_results(store, ids)
    (panel,) = results.panels
    (said,) = prompt_sentences(panel)
    assert said.startswith("One and One 4 bit did not all read the same prompts")
    assert "on 4 of 20 questions" in said
    written = write_report(results, tmp_path, Options(("html",)), NOW)
    assert written.page is not None
    assert "did not all read the same prompts" in written.page.read_text("utf-8")


def test_a_replaced_run_with_other_prompts_is_told_by_the_report(store: Store, tmp_path: Path) -> None:
    ids = [sit_sweep(store, sat(reworded=reworded)) for reworded in (0, 0, 4)]
    results = read_results(store, ids)
    assert sorted(results.reworded.values()) == [4, 4, 4, 4]  # two subjects of each of the two older sweeps
    page = write_report(results, tmp_path, Options(("html",)), NOW).page
    assert page is not None
    assert "put other prompts than the Run that is shown, on 16 questions" in page.read_text("utf-8")
    assert not read_results(store, ids[:2]).reworded


def test_prompts_are_counted_by_the_database_and_read_as_a_column(store: Store) -> None:
    first, second = (sit_sweep(store, sat(reworded=reworded)) for reworded in (0, 3))
    runs = [record.run_id for record in read_results(store, [first, second]).records]
    assert [prompts_apart(store, runs[0], other) for other in (runs[0], runs[2])] == [0, 3]
    columns = answer_columns(store, [runs[0], runs[2]], prompt=True)
    assert columns.prompt is not None
    mine, theirs = np.split(columns.prompt, 2)
    assert int((mine != theirs).sum()) == 3
    assert answer_columns(store, [runs[0]]).prompt is None


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
def test_terms_that_are_not_known_are_no_difference_and_are_named(places: tuple[int, int]) -> None:
    theirs = Terms("lm-evaluation-harness", UNKNOWN, None, None, UNKNOWN)
    both = (Terms("mmlu", "mmlu-1.0", 5, chat_template=False), theirs)
    assert both[places[0]].differences(both[places[1]]) == []
    assert str(theirs) == "lm-evaluation-harness, imported, not known: shots, chat template, scoring"
    known = Terms("lm-evaluation-harness", UNKNOWN, 0, chat_template=None)
    assert known.differences(both[0]) == ["shots 0 against 5"]
