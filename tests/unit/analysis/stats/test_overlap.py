"""Overlap of mistakes, suspect keys, and what log-probabilities say: brute force, independent sources, properties."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy
from statsmodels.stats.inter_rater import cohens_kappa

from analysis.stats.options import calibrate, key_shift, mean_divergence, near_ties, probabilities
from analysis.stats.overlap import (
    discordant_counts,
    error_kappa,
    matched_lift,
    misses_expected,
    misses_observed,
    same_wrong_option,
    wrong_together,
)
from analysis.stats.suspects import key_scores

grids = arrays(np.bool_, st.tuples(st.integers(2, 5), st.integers(4, 30)))


@given(grids)
def test_kappa_is_that_of_statsmodels(wrong: np.ndarray) -> None:
    first, second = wrong[0], wrong[1]
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    ours = error_kappa(wrong)[0, 1]
    if first.all() == second.all() and first.any() == second.any() and (first.all() or not first.any()):
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(cohens_kappa(np.array(table, dtype=float), return_results=False))


@given(grids, st.randoms())
def test_overlap_does_not_depend_on_the_order_of_questions(wrong: np.ndarray, random: object) -> None:
    order = np.random.default_rng(1).permutation(wrong.shape[1])
    assert error_kappa(wrong[:, order]) == pytest.approx(error_kappa(wrong), nan_ok=True)
    assert (discordant_counts(wrong[:, order]) == discordant_counts(wrong)).all()


@given(grids)
def test_overlap_is_symmetric_and_relabelling_moves_it_along(wrong: np.ndarray) -> None:
    for measure in (error_kappa, wrong_together):
        there = measure(wrong)
        assert there == pytest.approx(there.T, nan_ok=True)
        assert measure(wrong[::-1]) == pytest.approx(there[::-1, ::-1], nan_ok=True)


def test_same_wrong_option_by_hand() -> None:
    picked = np.array([[0, 1, 2, 3, -1, 1], [0, 1, 3, 3, 1, -1]], dtype=np.int8)
    key = np.array([3, 0, 0, 3, 0, 0], dtype=np.int8)
    wrong = picked != key
    assert same_wrong_option(wrong, picked)[0, 1] == pytest.approx(2 / 3)


@given(grids)
def test_misses_add_up_to_the_questions_and_the_wrong_answers(wrong: np.ndarray) -> None:
    subject = np.arange(wrong.shape[1]) % 2
    for counts in (misses_observed(wrong), misses_expected(wrong, subject)):
        assert counts.sum() == pytest.approx(wrong.shape[1])
        assert (counts * np.arange(counts.size)).sum() == pytest.approx(wrong.sum())


def test_expected_misses_are_the_sum_over_all_outcomes() -> None:
    wrong = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], dtype=bool)
    rates = [0.25, 0.5, 0.75]
    expected = np.zeros(4)
    for outcome in product((0, 1), repeat=3):
        expected[sum(outcome)] += 4 * np.prod([r if o else 1 - r for r, o in zip(rates, outcome, strict=True)])
    assert misses_expected(wrong, np.zeros(4, dtype=np.int64)) == pytest.approx(expected)


def test_matched_lift_is_one_when_difficulty_explains_everything() -> None:
    rng = np.random.default_rng(7)
    hard = rng.choice([0.1, 0.9], 20_000)
    wrong = rng.random((9, hard.size)) < hard
    lift = matched_lift(wrong, np.arange(9))
    plain = (wrong[0] & wrong[1]).mean() / (wrong[0].mean() * wrong[1].mean())
    assert plain > 1.5
    assert lift[0, 1] == pytest.approx(1.0, abs=0.03)


def test_matched_lift_leaves_both_models_and_their_quantizations_out() -> None:
    rng = np.random.default_rng(3)
    wrong = rng.random((5, 400)) < 0.4
    family = np.array([0, 0, 1, 2, 2])
    others = wrong[2]  # of the pair (0, 3): what is neither model 0 nor model 2
    expected = sum(
        (wrong[0] & (others == level)).sum() * (wrong[3] & (others == level)).sum() / (others == level).sum()
        for level in (False, True)
    )
    assert matched_lift(wrong, family)[0, 3] == pytest.approx((wrong[0] & wrong[3]).sum() / expected)


def test_matched_lift_passes_over_difficulties_that_no_question_has() -> None:
    hard = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)  # both others miss these, and neither the rest
    first, second = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool), np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    lift = matched_lift(np.stack([first, second, hard, hard]), np.arange(4))
    assert lift[0, 1] == pytest.approx(2 / (3 * 3 / 4 + 1 * 0 / 4))


def test_a_model_that_errs_nowhere_has_no_lift() -> None:
    wrong = np.random.default_rng(1).random((4, 30)) < 0.5
    wrong[0] = False
    lift = matched_lift(wrong, np.arange(4))
    assert np.isnan(lift[0, 1:]).all()
    assert np.isfinite(lift[1, 2:]).all()


def test_suspect_scores_by_hand() -> None:
    # Three models, eight questions in two subjects; the last question has its key against all three.
    key = np.array([0, 1, 2, 3, 0, 1, 2, 3], dtype=np.int8)
    picked = np.stack([key, key, key])
    picked[:, 7] = (1, 1, 2)
    picked[2, 0] = -1
    subject = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = key_scores(picked, key, np.ones((3, 8), dtype=bool), subject, np.full(8, 4, dtype=np.int8))
    strong, weak = log(3 * 0.875 / 0.125), log(3 * 0.75 / 0.25)
    margin = np.full(8, -1.0)
    margin[0] = -2 * strong / (2 * strong + weak)
    margin[7] = 2 * strong / (2 * strong + weak)
    overall = margin[7] / 8
    cluster = np.repeat([20 * overall / 24, (margin[7] + 20 * overall) / 24], 4)
    assert scores.margin == pytest.approx(margin)
    assert scores.score == pytest.approx(margin + cluster / 2)
    assert scores.rivals[7] == (1,)
    assert scores.rivals[1] == ()


def test_votes_weigh_by_the_number_of_options_of_a_question() -> None:
    # A model that has 60 % right is worth log(1·1.5) where there are two options, log(9·1.5) where there are ten.
    for count in (2, 10):
        key, picked = np.zeros(10, dtype=np.int8), np.zeros((3, 10), dtype=np.int8)
        picked[0, 6:], picked[1, 5:], picked[2, 9] = 1, 1, 1
        scores = key_scores(
            picked, key, np.ones((3, 10), dtype=bool), np.zeros(10, dtype=int), np.full(10, count, dtype=np.int8)
        )
        weights = [max(0.0, log((count - 1) * right / (1 - right))) for right in (0.6, 0.5, 0.9)]
        assert scores.margin[6] == pytest.approx((weights[0] + weights[1] - weights[2]) / sum(weights))


def test_a_vote_weighs_by_the_options_of_its_question_and_the_accuracy_on_all() -> None:
    key, choices = np.zeros(20, dtype=np.int8), np.repeat(np.array([2, 4], dtype=np.int8), 10)
    picked = np.zeros((3, 20), dtype=np.int8)
    picked[0, 9], picked[1, 12:] = 1, 3
    scores = key_scores(picked, key, np.ones((3, 20), dtype=bool), np.zeros(20, dtype=int), choices)
    # They have 19, 12 and 20 of all 20 right, the last clipped to .99.
    first, second, third = (log(3 * right / (1 - right)) for right in (0.95, 0.6, 0.99))
    assert scores.margin[19] == pytest.approx((second - first - third) / (first + second + third))
    assert scores.rivals[19] == (3,)
    first, second, third = (log(right / (1 - right)) for right in (0.95, 0.6, 0.99))
    assert scores.margin[9] == pytest.approx((first - second - third) / (first + second + third))
    assert scores.rivals[9] == (1,)


def test_a_vote_of_little_weight_counts_where_it_is_the_only_one() -> None:
    key, picked = np.zeros(10, dtype=np.int8), np.zeros((1, 10), dtype=np.int8)
    picked[0, 6:] = 1  # 60 % right of two options: a weight of log(1.5)
    asked, subject = np.ones((1, 10), dtype=bool), np.zeros(10, dtype=int)
    scores = key_scores(picked, key, asked, subject, np.full(10, 2, dtype=np.int8))
    assert scores.margin.tolist() == [-1.0] * 6 + [1.0] * 4


def test_relabelling_the_options_keeps_the_suspects() -> None:
    rng = np.random.default_rng(5)
    key = rng.integers(0, 4, 60).astype(np.int8)
    picked = np.where(rng.random((6, 60)) < 0.6, key, rng.integers(0, 4, (6, 60))).astype(np.int8)
    asked, subject, choices = np.ones((6, 60), dtype=bool), rng.integers(0, 3, 60), np.full(60, 4, dtype=np.int8)
    turned = key_scores((3 - picked).astype(np.int8), (3 - key).astype(np.int8), asked, subject, choices)
    assert turned.score == pytest.approx(key_scores(picked, key, asked, subject, choices).score)


logprobs = arrays(np.float64, st.tuples(st.integers(1, 20), st.just(4)), elements=st.floats(-30, 0))


@given(logprobs)
def test_divergence_is_that_of_scipy_and_zero_from_itself(base: np.ndarray) -> None:
    changed = base[::-1] * 0.7
    expected = entropy(probabilities(base), probabilities(changed), axis=1).mean()
    assert mean_divergence(base, changed) == pytest.approx(expected, abs=1e-9)
    assert mean_divergence(base, base - 3.0) == pytest.approx(0.0, abs=1e-12)


def test_an_even_guess_has_brier_three_quarters_and_a_sure_key_none() -> None:
    key = np.array([0, 1, 2, 3], dtype=np.int8)
    sure = np.where(np.eye(4, dtype=bool), 0.0, -np.inf)
    assert calibrate(np.zeros((4, 4)), key).brier == pytest.approx(0.75)
    assert calibrate(sure, key).brier == pytest.approx(0.0)


def test_a_calibrated_model_has_a_small_ece_and_an_overconfident_one_a_large() -> None:
    rng = np.random.default_rng(2)
    logprob = np.log(rng.dirichlet(np.ones(4), 8_000))
    chance = probabilities(logprob)
    key = (rng.random((8_000, 1)) < chance.cumsum(axis=1)).argmax(axis=1).astype(np.int8)
    fair, bold = calibrate(logprob, key).ece, calibrate(logprob * 3, key).ece
    assert fair is not None
    assert bold is not None
    assert fair < 0.03
    assert bold > 0.15
    assert calibrate(logprob[:999], key[:999]).ece is None


def test_questions_with_fewer_options_keep_their_probability_whole() -> None:
    logprob = np.array([[-1.0, -1.0, -np.inf, -np.inf]])
    assert probabilities(logprob)[0] == pytest.approx([0.5, 0.5, 0, 0])
    assert near_ties(logprob) == 1


def test_a_gap_of_exactly_five_hundredths_of_a_nat_is_no_near_tie() -> None:
    gaps = np.array([[0.0, -0.0625, -3.0, -4.0], [0.0, -0.03125, -3.0, -4.0], [0.0, 0.0, -3.0, -4.0]])
    assert near_ties(gaps, nats=0.0625) == 2
    assert near_ties(gaps) == 2
    assert near_ties(np.array([[0.0, -0.055], [0.0, -0.045]])) == 1
    assert near_ties(gaps, nats=0.03) == 1


def test_a_certain_pick_is_in_the_last_of_fifteen_bins() -> None:
    logprob = np.array([[0.0, -np.inf, -np.inf, -np.inf]] * 3 + [np.log([0.4, 0.2, 0.2, 0.2])])
    found = calibrate(logprob, np.array([0, 0, 1, 0], dtype=np.int8))
    assert found.confidence == pytest.approx([0.4, 1.0])
    assert found.accuracy == pytest.approx([1.0, 2 / 3])
    assert found.questions.tolist() == [1, 3]
    with_one_bin = calibrate(logprob, np.array([0, 0, 1, 0], dtype=np.int8), bins=1)
    assert with_one_bin.questions.tolist() == [4]
    assert with_one_bin.confidence == pytest.approx([3.4 / 4])


def test_mistakes_in_common_are_those_of_both_over_those_of_either() -> None:
    wrong = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=bool)
    together = wrong_together(wrong)
    assert together[0, 1] == together[1, 0] == pytest.approx(2 / 4)
    assert together[0, 0] == 1.0
    assert together[0, 2] == 0.0
    assert np.isnan(together[2, 2])
    once = np.array([[1, 0], [0, 0]], dtype=bool)
    assert wrong_together(once)[0, 1] == 0.0
    assert wrong_together(once)[0, 0] == 1.0


def test_misses_are_counted_up_to_all_models() -> None:
    wrong = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
    assert misses_observed(wrong).tolist() == [1, 1, 1, 0]
    assert misses_observed(np.zeros((3, 2), dtype=bool)).tolist() == [2, 0, 0, 0]


def test_nobody_picked_anything_says_nothing_about_the_same_option() -> None:
    same = same_wrong_option(np.ones((2, 3), dtype=bool), np.full((2, 3), -1, dtype=np.int8))
    assert np.isnan(same).all()
    assert np.isnan(same_wrong_option(np.zeros((2, 0), dtype=bool), np.zeros((2, 0), dtype=np.int8))).all()


def test_the_shift_of_what_is_right_is_its_change_of_probability() -> None:
    base, changed = np.log([[0.7, 0.1, 0.1, 0.1]]), np.log([[0.4, 0.4, 0.1, 0.1]])
    right = np.array([[True, False, False, False]])
    assert key_shift(base, changed, right) == pytest.approx(-0.3)
    assert key_shift(base, changed, right | np.array([[False, True, False, False]])) == pytest.approx(0.0)
