"""Whatever rests on questions without a single answer says so: titles, cells, verdicts, sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.data.panel import Panel
from analysis.graphs.error_rate import error_title
from analysis.graphs.forest import forest
from analysis.graphs.heatmap import accuracy_grid, accuracy_heatmap, deviation_title, subjects_title
from analysis.graphs.overlap import distribution_title, missed_in_silence, pairs_title
from analysis.graphs.quantization import quantization_forest, quantization_title
from analysis.report.limits import calibration_section
from analysis.report.quantizations import changes_table
from analysis.report.standing import finding_sentences
from analysis.stats.options import calibrate
from analysis.stats.overlap import error_kappa, misses_expected, misses_observed
from analysis.verdicts.quantization import quantization_changes
from analysis.verdicts.standings import stand
from analysis.verdicts.unanswered import silence_of
from analysis.verdicts.wording import chance_sentences, standing_title
from tests.graph_text import placed_texts
from tests.panels import panel_of


def left_out(panel: Panel, place: int, share: float) -> Panel:
    """The panel in which one contestant has all right but the last share of the questions, where its options are tied.

    Everyone else has the same right, and the last questions too.
    """
    count = len(panel.questions)
    silent = np.arange(count) >= round((1 - share) * count)
    picked = np.tile(panel.key, (len(panel.contestants), 1))
    picked[:, : count // 10] = (panel.key[: count // 10] + 1) % 4  # a tenth that nobody has right
    picked[place, silent] = -1
    logprob = np.full((*picked.shape, 4), np.log(0.1), dtype=np.float32)
    logprob[np.arange(len(picked))[:, None], np.arange(count), np.maximum(picked, 0)] = np.log(0.7)
    logprob[place, silent] = np.log(0.25)
    return replace(panel, picked=picked, correct=picked == panel.key, logprob=logprob)


HALF = left_out(panel_of(2, 2, 50, quants=("none", "4bit")), 1, 0.4)


def test_a_lead_by_questions_without_an_answer_is_said_to_be_one() -> None:
    standings = stand(HALF)
    assert standings.told_apart == standings.told_apart_by_silence == 1
    title = standing_title(HALF, standings)
    assert title.endswith("of Some-Model-00-Instruct 4 bit only by questions without a single answer")
    assert "1 of 1" not in title
    four = left_out(panel_of(4, 2, 50), 1, 0.4)
    sentences = finding_sentences(four, stand(four), 0.01)
    assert "3 of 6 pairs can be told apart, 3 of them only by questions without a single answer." in sentences
    assert any(
        "No single answer came from Some-Model-01-Instruct on 40 of 100 questions (40 %): these count as not right" in s
        for s in sentences
    )


def test_a_lead_that_answers_made_is_not_said_to_rest_on_silence() -> None:
    panel = panel_of(2, 2, 50)
    right = np.array([np.arange(100) < 90, np.arange(100) < 20])
    picked = np.where(right, panel.key, (panel.key + 1) % 4).astype(np.int8)
    picked[1, 95:] = -1
    some = replace(panel, picked=picked, correct=right)
    assert stand(some).told_apart_by_silence == 0
    assert "only by questions" not in standing_title(some, stand(some))


def test_a_model_below_chance_by_silence_says_what_it_has_right_of_its_answers() -> None:
    panel = left_out(panel_of(1, 2, 50), 0, 0.85)
    (sentence,) = chance_sentences(panel, stand(panel))
    assert "no single answer on 85 %" in sentence
    assert "of what it answered" in sentence


def test_worse_by_silence_is_said_in_the_verdict_the_title_and_the_graph() -> None:
    changes = quantization_changes(HALF, 0.01)
    (change,) = changes
    assert change.silence == silence_of(HALF, 0, 1)
    assert (change.silence.lost, change.silence.gained) == (40, 0)
    assert change.rests_on_silence
    assert quantization_title(changes) == ("1 quantization loses accuracy (only by questions without a single answer)")
    (row,) = changes_table(HALF, changes).rows
    assert row[8] == "worse; rests on 40 without an answer"
    graph = quantization_forest(HALF, changes)
    assert graph is not None
    assert "worse; rests on 40 without an answer" in [text.text for text in placed_texts(graph.figure)]


def test_cells_without_answers_are_marked_and_explained() -> None:
    assert accuracy_grid(HALF).silent.tolist() == [[False, False], [False, True]]
    (axes, *_) = accuracy_heatmap(HALF).figure.axes
    assert [line.get_marker() for line in axes.lines] == ["o"]
    words = " ".join(text.text for text in placed_texts(accuracy_heatmap(HALF).figure))
    assert "no single answer on 5 % or more" in words.replace("\n", " ")
    assert deviation_title(HALF).endswith("+40 points (another gave no single answer on 80 % there)")
    answered = panel_of(2, 2, 50)
    assert not accuracy_grid(answered).silent.any()
    assert "no single answer" not in " ".join(text.text for text in placed_texts(accuracy_heatmap(answered).figure))


def test_titles_name_the_share_that_was_left_without_an_answer() -> None:
    label = "Some-Model-00-Instruct 4 bit (no single answer on 40 %)"
    assert label in error_title(HALF, stand(HALF))
    assert label in pairs_title(HALF, error_kappa(HALF.wrong))
    assert "no single answer on 40 %" in subjects_title(HALF)
    observed, expected = misses_observed(HALF.wrong), misses_expected(HALF.wrong, HALF.subject_of)
    assert missed_in_silence(HALF) == 0
    assert "no single answer" not in distribution_title(observed, expected)
    assert distribution_title(observed, expected, 3).endswith("; on 3 of them one or more gave no single answer")


def test_the_forest_counts_what_was_not_answered() -> None:
    words = [text.text for text in placed_texts(forest(HALF, stand(HALF)).figure)]
    assert "no answer" in words
    assert "40" in words


def test_a_tie_is_no_pick_for_calibration_either() -> None:
    logprob = np.log(np.array([[0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]]))
    found = calibrate(logprob, np.array([0, 0], dtype=np.int8))
    assert found.questions.sum() == 1
    assert (found.mean_confidence, found.share_right) == pytest.approx((0.7, 1.0))


def test_a_model_that_never_answers_has_a_page_all_the_same() -> None:
    panel = left_out(panel_of(1, 2, 150), 0, 1.0)
    section = calibration_section(panel)
    assert section is not None
    assert not list(section.graphs())
    assert "no single answer on 100 %" in standing_title(panel, stand(panel))
