"""What tables and sentences of a report say, each from figures that are known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from analysis.data.panel import Panel, level
from analysis.data.panel_rows import Row
from analysis.data.results import Results
from analysis.exchange.verify import Pair, Verification
from analysis.graphs.heatmap import subjects_title
from analysis.graphs.overlap import distribution_title, missed_in_silence, pairs_title
from analysis.graphs.quantization import quantization_title
from analysis.import_cli import _object
from analysis.report.blocks import Bullets
from analysis.report.limits import limits_section
from analysis.report.overview import missing_section
from analysis.report.question import answers_table, find_question
from analysis.report.standing import finding_sentences
from analysis.report.verification import summary
from analysis.stats.overlap import error_kappa, misses_expected, misses_observed
from analysis.verdicts.quantization import quantization_changes
from analysis.verdicts.standings import stand
from analysis.verdicts.suspects import scored_keys, suspects
from analysis.verdicts.wording import chance_sentences, standing_title
from proctor.contestants import Contestant
from proctor.errors import UnknownName
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, RunSpec, RunStatus, SweepRequest
from proctor.store.reads.export import ExportRow
from proctor.store.runs.copies import PackCopy, RunCopy, SweepCopy
from tests.panels import TERMS, panel_of

TIME = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = SweepRequest(("m",), (Quant.NONE,), "mmlu", ("law",), "cpu", DType.FLOAT32, Conditions())
SPEC = RunSpec(
    ModelRef("m", ModelSource.HUB, "main"), Quant.NONE, Device.CPU, DType.FLOAT32, "mmlu", "law", "ab", 1, Conditions()
)
RUN = RunCopy(
    SweepCopy("s", REQUEST, 0, TIME, TIME, None), SPEC, 0, 1, RunStatus.DONE, 1, 0, "w", TIME, TIME, "", "", None, None,
    None, (),
)  # fmt: skip


def answered(right: np.ndarray) -> Panel:
    """A panel of so many contestants and questions with these right."""
    count, questions = right.shape
    panel = panel_of(count, 1, questions, names=[chr(ord("a") + place) for place in range(count)])
    picked = np.where(right, panel.key, (panel.key + 1) % 4).astype(np.int8)
    return replace(panel, picked=picked, correct=right, logprob=None)


def test_a_key_level_with_its_rival_is_no_suspect() -> None:
    right = np.ones((4, 40), dtype=bool)
    right[:2, 5] = False
    right[2:, 6] = False
    panel = answered(right)
    assert {one.question: one.margin for one in scored_keys(panel)[:2]} == {5: 0.0, 6: 0.0}
    assert suspects(panel) == []


def test_whom_the_first_is_not_told_apart_from_is_named_without_the_first() -> None:
    right = np.ones((3, 200), dtype=bool)
    right[0, :20] = False
    right[1, :22] = False
    right[2, :120] = False
    panel = answered(right)
    assert standing_title(panel, stand(panel)) == "a leads with 90.0 %, not told apart from b"
    right[1, 20:22] = True
    level = answered(right)
    assert standing_title(level, stand(level)) == "a and b are level at the top with 90.0 %, ahead of all others"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "is at chance: not told from the 25 % of blind guessing."),
        (2, "are at chance: not told from the 25 % of blind guessing (Holm over 2 contestants)."),
    ],
)
def test_those_at_chance_are_told_with_their_family(count: int, words: str) -> None:
    panel = answered(np.tile(np.arange(100) % 4 == 0, (count, 1)))
    (sentence,) = chance_sentences(panel, stand(panel))
    assert sentence.endswith(words)


def test_a_question_is_found_by_its_id_alone_and_within_its_subject_only() -> None:
    panel = panel_of(2, 2, 3)
    wanted = str(panel.questions["question_id"].iloc[4])
    subject, other = panel.questions["subject"].iloc[4], panel.questions["subject"].iloc[0]
    assert find_question([panel], wanted) == (panel, 4)
    assert find_question([panel], f"{subject}:{wanted}") == (panel, 4)
    assert find_question([panel], f"{subject}:1") == (panel, 4)
    with pytest.raises(UnknownName):
        find_question([panel], f"{other}:{wanted}")


def test_probabilities_of_the_options_are_figures_to_the_right() -> None:
    panel = panel_of(2, 1, 3)
    table = answers_table(panel, 0)
    assert [column.numeric for column in table.columns] == [False, False, False, True, True, True, True]
    for row in table.rows:
        assert sum(value for value in row[3:] if isinstance(value, float)) == pytest.approx(1.0)


def test_how_far_the_median_pair_differs_is_said_where_there_is_a_pair() -> None:
    right = np.ones((2, 100), dtype=bool)
    right[0, :10] = False

    def facts(panel: Panel) -> str:
        first = limits_section(panel, stand(panel), 0.01).blocks[0]
        assert isinstance(first, Bullets)
        return " ".join(first.items)

    assert "The median pair differs on 10.0 % of the questions" in facts(answered(right))
    assert "median pair" not in facts(answered(right[:1]))


@pytest.mark.parametrize(("unasked", "said"), [(0, False), (2, True)])
def test_samples_that_were_not_to_be_asked_are_counted_where_there_are_any(unasked: int, said: bool) -> None:
    found = Verification("s", "m", 1e-3, (), (), frozenset(), unasked, 0)
    words = " ".join(summary(found))
    assert ("2 samples that our Runs weren't to ask" in words) is said
    assert ("weren't to ask" in words) is said


def test_what_an_import_is_said_to_be_in_json_is_what_it_is() -> None:
    panel = panel_of(2, 3, 4)
    assert _object(panel) == {
        "terms": str(TERMS),
        "shots": 5,
        "chat_template": False,
        "scoring": "letters",
        "questions": 12,
        "subjects": list(panel.subjects),
        "contestants": list(panel.labels),
    }


def test_what_is_left_out_of_a_comparison_is_counted_and_says_of_which_set() -> None:
    panel = panel_of(3, 2)
    asked = panel.asked.copy()
    asked[0, :5] = False
    gap = replace(panel, asked=asked)
    other = replace(gap, terms=replace(TERMS, shots=0))

    def notes(*panels: Panel) -> list[str]:
        found = missing_section(Results((), panels), [level(one) for one in panels])
        assert found is not None
        return [item for block in found.blocks if isinstance(block, Bullets) for item in block.items]

    said = "5 questions of 40 not asked of everyone are left out of the comparison."
    assert notes(gap) == [said]
    apart = "Set 2 is never mixed with set 1: shots 5 against 0."
    assert notes(gap, other) == [f"Set 1: {said}", f"Set 2: {said}", apart]
    assert missing_section(Results((), (panel,)), [level(panel)]) is None


@pytest.mark.parametrize(
    ("theirs", "differences"),
    [
        ((-0.5, -1.0), (0.0, 0.5)),
        ((-0.5, -np.inf), (0.0, np.inf)),
        ((-0.5, -1.5, -2.0), (np.inf,)),
        (None, (np.inf,)),
    ],
)
def test_what_cannot_be_held_against_each_other_is_endlessly_apart(
    theirs: tuple[float, ...] | None, differences: tuple[float, ...]
) -> None:
    choices, scores = ("yes", "no"), (-0.5, -1.5)
    ours = ExportRow(
        "mmlu", "law", "q1", 0, "Is it?", choices, 0, "f" * 64, "m", "main", "none", "float32", Scoring.LETTERS, 5,
        scores, 0, True, 1, 1, 1, PackCopy(0, 1, TIME, Cost()), RUN,
    )  # fmt: skip
    pair = Pair(ours, Row(Contestant("m"), "law", 0, "Is it?", choices, 0, 0, theirs))
    assert pair.differences == differences
    found = Verification("s", "m", 0.6, (pair,), (), frozenset(), 0, 0)
    assert (pair.same_pick, found.passed) == (True, differences == (0.0, 0.5))


def test_a_finding_has_its_sentences_in_order_and_none_on_what_there_is_one_of() -> None:
    panel = panel_of(4, 3, quants=("none", "4bit"))
    said = finding_sentences(panel, stand(panel), 0.01)
    models, changes = panel.one_a_model(), quantization_changes(panel, 0.01)
    assert said[0] == f"{standing_title(panel, stand(panel))} (60 questions, the same for all)."
    assert f"{stand(panel).told_apart} of 6 pairs can be told apart." in said
    shares = distribution_title(
        misses_observed(models.wrong), misses_expected(models.wrong, models.subject_of), missed_in_silence(models)
    )
    titles = [
        subjects_title(panel),
        quantization_title(changes),
        shares,
        pairs_title(models, error_kappa(models.wrong)),
    ]
    assert said[-4:] == [f"{title}." for title in titles]
    alone = panel_of(1, 1)
    assert finding_sentences(alone, stand(alone), 0.01)[0].endswith(" (20 questions).")
    assert len(finding_sentences(alone, stand(alone), 0.01)) == 1 + len(chance_sentences(alone, stand(alone)))
