"""Perplexities and their ratios, with intervals that hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats.perplexity import perplexity, perplexity_ratio


def test_a_perplexity_is_exp_of_minus_the_mean_with_students_interval() -> None:
    logprobs = np.array([-1.9, -2.5, -2.1, -1.5])
    found = perplexity(logprobs)
    low, high = stats.t.interval(0.95, 3, loc=2.0, scale=stats.sem(-logprobs))
    assert (found.estimate, found.low, found.high) == pytest.approx((math.exp(2.0), math.exp(low), math.exp(high)))


def test_a_ratio_is_paired_by_question() -> None:
    first, second = np.array([-1.0, -9.0, -3.0]), np.array([-0.9, -8.8, -2.7])
    found = perplexity_ratio(first, second)
    test = stats.ttest_rel(first, second).confidence_interval()
    assert (found.low, found.high) == pytest.approx((math.exp(test.low), math.exp(test.high)))
    assert found.estimate == pytest.approx(perplexity(second).estimate / perplexity(first).estimate)


def test_pages_count_by_their_words() -> None:
    logprobs, words = np.array([-30.0, -80.0, -45.0]), np.array([10.0, 20.0, 15.0])
    found = perplexity(logprobs, words)
    assert found.estimate == pytest.approx(math.exp(155 / 45))
    assert found.low < found.estimate < found.high
    alike = perplexity(np.array([-20.0, -40.0, -30.0]), words)
    assert (alike.low, alike.high) == pytest.approx((math.exp(2), math.exp(2)))
    ratio = perplexity_ratio(logprobs, logprobs - words, words)
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((math.e, math.e, math.e))


def test_few_texts_or_impossible_ones_end_in_no_error() -> None:
    assert math.isnan(perplexity(np.array([])).estimate)
    assert (perplexity(np.array([-1.0])).low, perplexity(np.array([-1.0])).high) == (1.0, math.inf)
    assert perplexity(np.array([-5000.0, -5000.0])).estimate == math.inf


@pytest.mark.parametrize(("size", "least"), [(20, 0.90), (200, 0.935), (1000, 0.94)])
def test_the_interval_of_a_perplexity_covers_it_nearly_as_often_as_it_says(size: int, least: float) -> None:
    """Log-probabilities of words are skewed: here, minus a gamma. From few of them the interval is a little short."""
    random, trials = np.random.default_rng(1), 2000
    true = math.exp(1.2 * 3.0)
    held = 0
    for _ in range(trials):
        found = perplexity(-random.gamma(1.2, 3.0, size))
        held += found.low <= true <= found.high
    assert least < held / trials < 0.965
