"""Whether an order is more than noise: groups of questions, cells of a table, and pairs of contestants.

What is said about the most extreme holds although it was picked as the most extreme: by the maximum over all, or by
Bonferroni. Draws come from a fixed seed, so that a report is the same twice.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.stats.overlap import error_kappa

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS, AT_ONCE = 999, 2_000_000  # numbers drawn at once
FEWEST_DRAWS, MOST_MOVED = 199, 50_000_000  # answers of all draws together, where there are many
SMALL = 1e-9  # two statistics that differ by less are equal


def group_p(score: Floats, group: Integers, draws: int = DRAWS, seed: int = 0) -> Floats:
    """(S, S) p-values of the difference in mean score between two groups of questions, adjusted over all pairs.

    `score` (Q,) is a question's share of right answers, `group` (Q,) numbers its subject from 0 to S - 1.

        t_ab = |mean_a - mean_b| / sqrt(v·(1/n_a + 1/n_b)),  v the variance of the scores of a and b together
        p_ab = (1 + number of draws whose largest t is at least t_ab) / (1 + draws)

    A draw permutes the questions over the subjects, as if none were harder than another. Sources: Westfall and Young
    1993 (the step of the maximum, which holds the chance of any false claim); Phipson and Smyth 2010 (the added 1).
    """
    place = np.argsort(group, kind="stable")
    ordered, sizes = score[place], np.bincount(group)
    seen = _group_t(ordered[None], sizes)[0]
    rng, largest = np.random.default_rng(seed), []
    for some in _portions(draws, score.size):
        permuted = rng.permuted(np.broadcast_to(ordered, (some, score.size)), axis=1)
        largest.append(_group_t(permuted, sizes).max(axis=(1, 2)))
    return _adjusted(seen, np.concatenate(largest))


def cell_p(deviation: Floats, group: Integers, draws: int = DRAWS, seed: int = 0) -> Floats:
    """(C, S) p-values of each contestant's mean deviation in each subject being 0, adjusted over all cells.

    `deviation` (C, Q) is right (1) or not (0) less the share of all contestants that have the question right.

        t_cs = |Σ d| / sqrt(Σ d²) over the questions of the subject

    A draw hands each question's answers on from contestant to contestant, by a number of places of its own, as if
    none were better than another: exact then, also where answers are rare (signs turned at random were wrong 8 % of
    the time at the 5 % level). Sources: Fisher 1935; the maximum over all cells as in `group_p`.
    """
    place = np.argsort(group, kind="stable")
    ordered, starts = deviation[:, place], _starts(np.bincount(group))
    contestants, questions = ordered.shape
    rng, every = np.random.default_rng(seed), np.arange(contestants)[:, None]
    draws = min(draws, max(FEWEST_DRAWS, MOST_MOVED // max(1, ordered.size)))
    largest = np.empty(draws)
    for number in range(draws):
        moved = rng.integers(contestants, size=questions)
        largest[number] = _cell_t(ordered[(every + moved) % contestants, np.arange(questions)], starts).max()
    return _adjusted(_cell_t(ordered, starts), largest)


def beyond_median_pair(wrong: NDArray[np.bool_]) -> bool:
    """Whether the pair with the highest kappa of errors shares more mistakes than the median pair; `wrong` is (M, Q).

    Its distance from the median kappa is more than z standard errors, z one-sided at 5 % over the number of pairs
    (Bonferroni, since the highest was picked). False with fewer than two pairs that have a kappa.
    """
    first, second = np.triu_indices(len(wrong), 1)
    kappa = error_kappa(wrong)[first, second]
    known = np.isfinite(kappa)
    if known.sum() < 2:
        return False
    top = int(np.nanargmax(kappa))
    error = kappa_error(wrong[first[top]], wrong[second[top]])
    distance = float(kappa[top] - np.median(kappa[known]))
    return distance > SMALL + float(ndtri(1 - 0.05 / known.sum())) * error


def kappa_error(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The standard error of Cohen's kappa of two contestants' errors (Q,).

        n·(1-e)²·se² = Σ p_ii·(1 - (p_i· + p_·i)(1-κ))² + (1-κ)²·Σ p_ij·(p_·i + p_j·)² - (κ - e(1-κ))²

    over the 2 x 2 of shares p, i ≠ j in the second sum, and e the agreement expected. Source: Fleiss, Cohen and
    Everitt 1969, equation 13. Not a number where both are always right or both always wrong.
    """
    p = np.array([[np.mean((first == a) & (second == b)) for b in (False, True)] for a in (False, True)])
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    expected = float(rows @ columns)
    if expected >= 1:
        return float("nan")
    kappa = (float(np.trace(p)) - expected) / (1 - expected)
    same = sum(p[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    other = sum(p[i, 1 - i] * (columns[i] + rows[1 - i]) ** 2 for i in (0, 1)) * (1 - kappa) ** 2
    spread = same + other - (kappa - expected * (1 - kappa)) ** 2
    return sqrt(max(0.0, float(spread)) / first.size) / (1 - expected)


def _group_t(scores: Floats, sizes: Integers) -> Floats:
    """(B, S, S) statistics of B arrangements (B, Q) of the scores, those of a subject side by side."""
    starts = _starts(sizes)
    sums = np.add.reduceat(scores, starts, axis=1)
    squares = np.add.reduceat(scores**2, starts, axis=1)
    count = sizes[:, None] + sizes[None, :]
    together: Floats = (sums[:, :, None] + sums[:, None, :]) ** 2 / count
    spread = (squares[:, :, None] + squares[:, None, :] - together) / np.maximum(count - 1, 1)
    means = sums / sizes
    apart = np.abs(means[:, :, None] - means[:, None, :])
    error = np.sqrt(np.maximum(spread, 0) * (1 / sizes[:, None] + 1 / sizes[None, :]))
    return np.asarray(np.where(error > SMALL, apart / np.maximum(error, SMALL), 0.0), dtype=np.float64)


def _cell_t(deviation: Floats, starts: Integers) -> Floats:
    """(C, S) statistics of deviations (C, Q), those of a subject side by side."""
    spread = np.sqrt(np.add.reduceat(deviation**2, starts, axis=1))
    sums = np.abs(np.add.reduceat(deviation, starts, axis=1))
    return np.asarray(np.where(spread > SMALL, sums / np.maximum(spread, SMALL), 0.0), dtype=np.float64)


def _starts(sizes: Integers) -> Integers:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]])


def _portions(draws: int, size: int) -> list[int]:
    """Draws in portions that hold few enough numbers at once."""
    most = max(1, AT_ONCE // max(1, size))
    return [min(most, draws - done) for done in range(0, draws, most)]


def _adjusted(seen: Floats, largest: Floats) -> Floats:
    reached = largest.size - np.searchsorted(np.sort(largest), seen - SMALL, side="left")
    return np.asarray((1.0 + reached) / (1.0 + largest.size), dtype=np.float64)
