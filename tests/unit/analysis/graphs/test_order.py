"""No order is claimed that noise explains: subjects, cells, pairs, errors, calibration, costs."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.inter_rater import cohens_kappa

from analysis.data.panel import Panel
from analysis.graphs.calibration import calibration_title
from analysis.graphs.cost import Priced, cost_title
from analysis.graphs.error_rate import error_title
from analysis.graphs.heatmap import deviation_title, subjects_title
from analysis.graphs.overlap import pairs_title
from analysis.report.standing import finding_sentences
from analysis.stats.options import calibrate
from analysis.stats.order import beyond_median_pair, cell_p, group_p, kappa_error
from analysis.stats.overlap import error_kappa
from analysis.verdicts.standings import stand
from tests.panels import panel_of


def with_right(panel: Panel, correct: np.ndarray) -> Panel:
    """The panel with these answers right (C, Q); who is wrong picked another option."""
    picked = np.where(correct, panel.key, (panel.key + 1) % 4).astype(np.int8)
    return replace(panel, correct=correct, picked=picked)


def shares(panel: Panel, *right: float) -> Panel:
    """The panel of one contestant with such a share right in each subject."""
    size = len(panel.questions) // len(right)
    rows = [np.arange(size) < round(share * size) for share in right]
    return with_right(panel, np.concatenate(rows)[None])


def test_two_groups_have_the_p_value_of_all_arrangements() -> None:
    """Of 70 ways to put four right answers of eight into two groups of four, 2 are as extreme as 4 against 0."""
    score, group = np.array([1.0, 1, 1, 1, 0, 0, 0, 0]), np.repeat([0, 1], 4)
    p = group_p(score, group, draws=9_999)
    assert p[0, 1] == p[1, 0] == pytest.approx(2 / 70, abs=0.005)
    assert p[0, 0] == 1.0


def test_the_order_of_the_questions_does_not_change_a_p_value() -> None:
    rng = np.random.default_rng(2)
    score, group = rng.random(60), np.repeat([0, 1, 2], 20)
    mixed = rng.permutation(60)
    assert group_p(score[mixed], group[mixed]) == pytest.approx(group_p(score, group), abs=0.05)


def test_equal_groups_are_rarely_told_apart() -> None:
    """At most 5 % of the time; in 200 draws 20 would happen once in a thousand at 5 %."""
    rng, group = np.random.default_rng(3), np.repeat(np.arange(6), 20)
    claims = sum(
        bool((group_p((rng.random(120) < 0.4).astype(float), group, 199, seed) < 0.05).any()) for seed in range(200)
    )
    assert claims <= 20


def test_cells_of_equal_contestants_are_rarely_told_from_the_mean() -> None:
    rng, group = np.random.default_rng(4), np.repeat(np.arange(4), 40)
    claims = 0
    for seed in range(200):
        right = rng.random((4, 160)) < rng.beta(2, 2, 160)
        claims += bool((cell_p(right - right.mean(axis=0), group, 199, seed) < 0.05).any())
    assert claims <= 20


def test_a_cell_has_the_p_value_of_all_ways_to_hand_answers_on() -> None:
    """Two contestants apart on 8 questions, all one way: of 256 ways, 2 are as extreme."""
    deviation = np.array([[0.5] * 8, [-0.5] * 8])
    assert cell_p(deviation, np.zeros(8, dtype=np.int64), draws=9_999) == pytest.approx(2 / 256, abs=0.003)


@pytest.mark.parametrize("seed", range(5))
def test_the_error_of_kappa_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.random(200) < 0.4
    second = np.where(rng.random(200) < 0.5, first, rng.random(200) < 0.6)
    counts = [[np.sum((first == a) & (second == b)) for b in (False, True)] for a in (False, True)]
    assert kappa_error(first, second) == pytest.approx(cohens_kappa(np.array(counts)).std_kappa)


def test_subjects_that_noise_orders_are_not_ordered() -> None:
    alike = shares(panel_of(1, 3, 40), 0.5, 0.55, 0.6)
    assert subjects_title(alike) == "No two of the 3 subjects can be told apart: 50 % to 60 % right"
    assert not any(
        "easiest" in sentence or "ardest" in sentence for sentence in finding_sentences(alike, stand(alike), 0.01)
    )


def test_the_easiest_and_the_hardest_are_named_where_they_are_told_apart() -> None:
    assert subjects_title(shares(panel_of(1, 3, 80), 0.1, 0.5, 0.9)) == (
        "The easiest is high school subject 02 (90 %); the hardest is high school subject 00 (10 %)"
    )


def test_subjects_that_may_be_the_hardest_are_all_named() -> None:
    assert subjects_title(shares(panel_of(1, 3, 80), 0.12, 0.1, 0.9)) == (
        "The easiest is high school subject 02 (90 %); the hardest can't be told apart: "
        "high school subject 01 (10 %) and high school subject 00 (12 %)"
    )


def test_a_deviation_is_a_finding_only_beyond_noise() -> None:
    panel = panel_of(3, 2, 40)
    right = np.tile(np.arange(80) % 2 == 0, (3, 1))
    assert deviation_title(with_right(panel, right)) == "None of the 6 cells can be told from its subject's mean"
    right[1, :40] = True
    assert deviation_title(with_right(panel, right)).startswith(
        "3 of 6 cells can be told from the subject's mean, among them "
        "Some-Model-01-Instruct in high school subject 00: +33"
    )


def test_a_pair_shares_more_mistakes_than_the_median_only_beyond_noise() -> None:
    rng, panel = np.random.default_rng(5), panel_of(4, 2, 100)
    independent = with_right(panel, rng.random((4, 200)) < 0.5)
    assert not beyond_median_pair(independent.wrong)
    assert pairs_title(independent, error_kappa(independent.wrong)).startswith("No pair is told apart from the median")
    alike = independent.correct.copy()
    alike[3] = alike[0]
    shared = with_right(panel, alike)
    assert pairs_title(shared, error_kappa(shared.wrong)).startswith(
        "Some-Model-00-Instruct and Some-Model-03-Instruct share more mistakes than the median pair: kappa 1.00 against"
    )


def test_a_single_pair_has_nothing_to_be_ordered_by() -> None:
    panel = panel_of(2, 2, 50)
    assert "most" not in pairs_title(panel, error_kappa(panel.wrong))


def test_errors_are_ordered_only_where_the_two_are_told_apart() -> None:
    panel = panel_of(2, 1, 100)
    right = np.array([np.arange(100) < 50, np.arange(100) < 48])
    close = with_right(panel, right)
    assert error_title(close, stand(close)).startswith("By their errors the two can't be told apart: 50.0 % to 52.0 %")
    far = with_right(panel, np.array([np.arange(100) < 90, np.arange(100) < 48]))
    assert error_title(far, stand(far)) == (
        "Some-Model-00-Instruct errs on 10.0 % of the questions, fewer than Some-Model-01-Instruct (52.0 %)"
    )


def test_calibration_names_whoever_is_off_by_more_than_noise() -> None:
    rng = np.random.default_rng(6)
    logprob = rng.normal(0, 1.5, (400, 4))
    chance = np.exp(logprob) / np.exp(logprob).sum(axis=1, keepdims=True)
    key = np.array([rng.choice(4, p=row) for row in chance], dtype=np.int8)
    fair, bold = calibrate(logprob, key), calibrate(logprob * 4, key)
    assert calibration_title([("a", fair)]) == "a is not told apart from being as right as it is sure"
    assert calibration_title([("a", fair), ("b", bold)]).startswith("b is ")


def test_the_most_accurate_is_called_that_only_where_it_is_told_from_all() -> None:
    first, second = Priced("a", "a", "none", 0.62, 2.0, 1.0, True), Priced("b", "b", "none", 0.6, 1.0, 1.0, True)
    assert cost_title([first, second]) == (
        "Of 2 not told apart in accuracy at the top, b took the least time: 1 s a question"
    )
    assert cost_title([first, replace(second, leader=False)]) == (
        "a is the most accurate, at 2 s a question; of all, b: 1 s"
    )


def test_models_without_a_kappa_share_no_more_than_the_median() -> None:
    assert not beyond_median_pair(np.zeros((3, 20), dtype=bool))
    assert not beyond_median_pair(np.random.default_rng(1).random((2, 50)) < 0.5)


def test_two_subjects_are_told_apart_by_students_t() -> None:
    rng, group = np.random.default_rng(2), np.repeat([0, 1], 12)
    first, second = rng.normal(0.0, 1.0, 12), rng.normal(0.9, 1.0, 12)
    p = group_p(np.concatenate([first, second]), group, draws=9_999)
    assert p[0, 1] == pytest.approx(ttest_ind(first, second).pvalue, abs=0.01)


def test_three_groups_have_the_p_values_of_all_arrangements() -> None:
    """Each p is the share of the 1,260 arrangements whose largest t is at least that of the pair."""
    score, group = np.array([0.1, 0.2, 0.3, 0.5, 0.6, 0.4, 0.9, 0.2, 1.0]), np.repeat([0, 1, 2], [2, 3, 4])

    def t(arranged: np.ndarray, a: int, b: int) -> float:
        one, other = arranged[group == a], arranged[group == b]
        spread = np.var(np.concatenate([one, other]), ddof=1) * (1 / one.size + 1 / other.size)
        return float(abs(one.mean() - other.mean()) / np.sqrt(spread))

    pairs = list(combinations(range(3), 2))
    largest = []
    for first in combinations(range(9), 2):
        rest = [place for place in range(9) if place not in first]
        for second in combinations(rest, 3):
            third = [place for place in rest if place not in second]
            arranged = score[[*first, *second, *third]]
            largest.append(max(t(arranged, *pair) for pair in pairs))
    p = group_p(score, group, draws=9_999)
    for pair in pairs:
        assert p[pair] == pytest.approx(np.mean(np.array(largest) >= t(score, *pair) - 1e-9), abs=0.02)
