"""Agreement, correlation and their intervals, against other ways to reckon them."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.stats.agreement import jackknife, kappa, kappa_of_ratings, rank_correlation


def test_kappa_is_cohens() -> None:
    # Two raters, 50 cases: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no; p_o 0.7, p_e 0.5.
    one = ["yes"] * 25 + ["no"] * 25
    other = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(one, other) == pytest.approx(0.4)
    assert kappa(one, one) == 1
    assert math.isnan(kappa(["yes"] * 4, ["yes", "no"] * 2))
    assert math.isnan(kappa([], []))


def test_kappa_of_ratings_is_the_one_weighted_by_squares() -> None:
    random = np.random.default_rng(5)
    first = random.integers(1, 11, 200)
    second = np.clip(first + random.integers(-2, 3, 200), 1, 10)
    table = np.zeros((10, 10))
    np.add.at(table, (first - 1, second - 1), 1 / 200)
    weights = (np.arange(10)[:, None] - np.arange(10)[None, :]) ** 2
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    wanted = 1 - (weights * table).sum() / (weights * expected).sum()
    assert kappa_of_ratings(first.astype(float), second.astype(float)) == pytest.approx(wanted)
    assert math.isnan(kappa_of_ratings(np.full(5, 8.0), np.full(5, 8.0)))
    assert math.isnan(kappa_of_ratings(np.full(5, 8.0), np.arange(5.0)))


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(6)
    first, second = random.integers(0, 6, 60).astype(float), random.normal(size=60)
    assert rank_correlation(first, second) == pytest.approx(stats.spearmanr(first, second)[0])
    assert math.isnan(rank_correlation(np.ones(4), np.arange(4.0)))


def test_the_jackknife_of_a_mean_is_students_interval_over_clusters() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.9, 0.5, 0.3])
    alone = jackknife(lambda kept: float(values[kept].mean()), range(6), (0.0, 1.0))
    half = stats.t.ppf(0.975, 5) * values.std(ddof=1) / math.sqrt(6)
    assert [alone.low, alone.high] == pytest.approx([values.mean() - half, values.mean() + half])
    doubled = np.repeat(values, 2)
    both = jackknife(lambda kept: float(doubled[kept].mean()), np.repeat(np.arange(6), 2).tolist(), (0.0, 1.0))
    assert [both.low, both.high] == pytest.approx([alone.low, alone.high])


def test_too_few_clusters_tell_nothing() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.9])
    found = jackknife(lambda kept: float(values[kept].mean()), "aabb", (0.0, 1.0))
    assert [found.estimate, found.low, found.high] == pytest.approx([0.4, 0.0, 1.0])
    nothing = jackknife(lambda _: math.nan, range(9))
    assert all(map(math.isnan, (nothing.estimate, nothing.low, nothing.high)))


def _kappa_of(first: NDArray[np.int64], second: NDArray[np.int64], kept: NDArray[np.bool_]) -> float:
    return kappa(first[kept].tolist(), second[kept].tolist())


def test_the_interval_of_kappa_covers_what_it_is_of() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        first = random.integers(0, 2, 80)
        second = np.where(random.random(80) < 0.2, 1 - first, first)  # kappa of all of them: 0.6
        found = jackknife(partial(_kappa_of, first, second), range(80))
        covered += found.low <= 0.6 <= found.high
    assert covered >= 180
