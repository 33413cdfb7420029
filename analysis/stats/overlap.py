"""Do models fail on the same questions? Everything takes `wrong` (M, Q): M models on the same Q questions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def discordant_counts(wrong: Booleans) -> Integers:
    """(M, M): entry [a, b] counts the questions that a has right and b has wrong (lost on the way from a to b)."""
    missed = wrong.astype(np.float32)
    return np.asarray((1 - missed) @ missed.T, dtype=np.int64)


def error_kappa(wrong: Booleans) -> Floats:
    """(M, M) Cohen's kappa of being wrong: 0 is the overlap of independent errors, 1 the same errors.

        κ = (observed agreement - expected) / (1 - expected),  expected = e_a·e_b + (1-e_a)(1-e_b)

    Not a number where both are always right or both always wrong. Source: Cohen 1960. The yardstick for a pair is the
    median pair, never 0: questions differ in difficulty, so all models overlap.
    """
    questions = wrong.shape[1]
    lost = discordant_counts(wrong)
    agreed = 1 - (lost + lost.T) / questions
    rate = wrong.mean(axis=1)
    expected = np.outer(rate, rate) + np.outer(1 - rate, 1 - rate)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected < 1, (agreed - expected) / (1 - expected), np.nan)


def wrong_together(wrong: Booleans) -> Floats:
    """(M, M) Jaccard overlap of the mistakes: both wrong over either wrong; not a number where neither ever is."""
    both = _together(wrong)
    alone = np.diag(both)
    either = alone[:, None] + alone[None, :] - both
    with np.errstate(invalid="ignore"):
        return np.where(either > 0, both / np.where(either > 0, either, 1), np.nan)


def same_wrong_option(wrong: Booleans, picked: NDArray[np.int8]) -> Floats:
    """(M, M) P(same option picked | both wrong and both picked one); not a number where that never happened.

    `picked` (M, Q) holds the option's index, negative for no answer, which is left out here. 1/3 is not the yardstick
    with four options (the probability rises with accuracy): compare a pair with the other pairs.
    """
    options = int(picked.max(initial=0)) + 1
    told = wrong & (picked >= 0)
    same = sum((_together(told & (picked == option)) for option in range(options)), np.zeros((len(wrong), len(wrong))))
    both = _together(told)
    with np.errstate(invalid="ignore"):
        return np.where(both > 0, same / np.where(both > 0, both, 1), np.nan)


def misses_observed(wrong: Booleans) -> Integers:
    """(M+1,): how many questions were missed by exactly 0, 1, … M models."""
    return np.bincount(wrong.sum(axis=0), minlength=wrong.shape[0] + 1)


def misses_expected(wrong: Booleans, subject: Integers) -> Floats:
    """(M+1,): what `misses_observed` would be if, within each subject, every model erred at its own rate independently.

    `subject` (Q,) numbers each question's subject. A subject's count is Poisson-binomial: the convolution of the
    models' (right, wrong) probabilities, times the subject's number of questions.
    """
    total = np.zeros(wrong.shape[0] + 1)
    for number in np.unique(subject):
        part = wrong[:, subject == number]
        spread = np.ones(1)
        for rate in part.mean(axis=1):
            spread = np.convolve(spread, (1 - rate, rate))
        total += spread * part.shape[1]
    return total


def matched_lift(wrong: Booleans, family: Integers) -> Floats:
    """(M, M): both wrong, over what their rates give among questions that equally many *other* models missed.

    `family` (M,) numbers the model behind each contestant: both models are left out of the count together with all
    their quantizations. For a pair, questions are put in strata by how many others missed them; the expectation is
    the sum over strata of w_a·w_b/n. Not a number where that is 0, and where no other family is left.
    """
    models = wrong.shape[0]
    lift = np.full((models, models), np.nan)
    by_family = np.stack([wrong[family == number].sum(axis=0) for number in np.unique(family)])
    place = {int(number): index for index, number in enumerate(np.unique(family))}
    everyone = wrong.sum(axis=0)
    for first in range(models):
        for second in range(first):
            ours = {place[int(family[first])], place[int(family[second])]}
            if len(ours) == by_family.shape[0]:
                continue
            others = everyone - sum(by_family[index] for index in ours)
            lift[first, second] = lift[second, first] = _lift(wrong[first], wrong[second], others)
    return lift


def _together(flags: Booleans) -> Floats:
    """(M, M) counts of the questions on which both rows of `flags` (M, Q) are set; exact up to 2 ** 24 questions."""
    ones = flags.astype(np.float32)
    return np.asarray(ones @ ones.T, dtype=np.float64)


def _lift(first: Booleans, second: Booleans, stratum: Integers) -> float:
    size = np.bincount(stratum)
    alone = np.bincount(stratum, weights=first), np.bincount(stratum, weights=second)
    filled = size > 0
    expected = float(np.sum(alone[0][filled] * alone[1][filled] / size[filled]))
    return float(np.count_nonzero(first & second)) / expected if expected > 0 else float("nan")
