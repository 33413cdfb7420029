"""How far two raters agree, what a rating goes with, and intervals that take a question's verdicts as one.

Verdicts on one question (its turns, both orders of a pair) aren't independent: what is drawn anew is the question.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from analysis.stats.intervals import Interval

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[np.bool_]], float]  # of the verdicts that are kept, (N,)


def jackknife(statistic: Statistic, clusters: Sequence[Hashable], ends: tuple[float, float] = (-1.0, 1.0)) -> Interval:
    """A statistic of N verdicts with its 95 % interval, leaving out one cluster at a time.

        estimate ± t·se,  se² = (k-1)/k · Σ (θ_i - mean θ)²,  k - 1 degrees of freedom,  cut to `ends`

    It closes where no cluster makes a difference, as where two raters agree on all. `clusters` (N,) says which verdicts
    belong together. Not a number where the statistic is none, and the whole range with fewer than three clusters.
    Sources: Tukey 1958; Efron and Stein 1981 for the variance.
    """
    names = list(dict.fromkeys(clusters))
    place = {name: number for number, name in enumerate(names)}
    of = np.array([place[name] for name in clusters], dtype=np.int64)
    estimate = statistic(np.ones(of.size, dtype=bool)) if of.size else float("nan")
    if np.isnan(estimate):
        return Interval(estimate, estimate, estimate)
    if len(names) < 3:
        return Interval(estimate, *ends)
    without = np.array([statistic(of != number) for number in range(len(names))])
    without = without[~np.isnan(without)]
    size = without.size
    if size < 3:
        return Interval(estimate, *ends)
    error = sqrt((size - 1) / size * float(((without - without.mean()) ** 2).sum()))
    half = float(stdtrit(size - 1, 0.975)) * error
    return Interval(estimate, max(ends[0], estimate - half), min(ends[1], estimate + half))


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Cohen's kappa of two raters on the same N cases: agreement beyond what their habits alone would give.

        κ = (p_o - p_e) / (1 - p_e)

    Not a number where either always says one and the same: it is 0 then, whatever the other says. Source: Cohen 1960.
    """
    if len(set(first)) < 2 or len(set(second)) < 2:
        return float("nan")
    labels = list(dict.fromkeys([*first, *second]))
    table = np.zeros((len(labels), len(labels)))
    for one, other in zip(first, second, strict=True):
        table[labels.index(one), labels.index(other)] += 1
    table /= table.sum()
    expected = float(table.sum(axis=1) @ table.sum(axis=0))
    return (float(np.trace(table)) - expected) / (1 - expected)


def kappa_of_ratings(first: Floats, second: Floats) -> float:
    """Cohen's kappa for ratings (N,), disagreement weighted by its square.

        κ = 1 - Σ (x_i - y_i)² / (Σ_ij (x_i - y_j)² / N)

    Not a number where either always gives one and the same. Source: Cohen 1968, of which this is the form for numbers
    (Fleiss and Cohen 1973).
    """
    if not first.size or not np.ptp(first) or not np.ptp(second):
        return float("nan")
    expected = float(((first[:, None] - second[None, :]) ** 2).mean())
    return 1 - float(((first - second) ** 2).mean()) / expected


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation of two arrays (N,), equals sharing their mean rank.

    Not a number where either doesn't vary. Source: Spearman 1904.
    """
    if first.size < 2:
        return float("nan")
    one, other = (_ranks(values) - (values.size - 1) / 2 for values in (first, second))
    spread = sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / spread if spread else float("nan")


def _ranks(values: Floats) -> Floats:
    """(N,) ranks from 0, equals sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[place], dtype=np.float64)
