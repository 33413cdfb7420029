"""Intervals for one proportion (Wilson), for a paired difference (Bonett-Price), and a proportion against chance."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from analysis.stats.families import ALPHA, holm
from analysis.stats.paired import Paired
from proctor.statistical_power import wilson_bounds


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it, as fractions."""

    estimate: float
    low: float
    high: float


class AgainstChance(StrEnum):
    """Where a model's accuracy lies relative to blind guessing."""

    ABOVE = "above chance"
    AT = "at chance"
    BELOW = "below chance"


def critical_z(level: float) -> float:
    """The two-sided normal quantile of a confidence level: 1.96 for 0.95."""
    if not 0 < level < 1:
        raise ValueError(f"A confidence level of {level} is not between 0 and 1.")
    return float(ndtri(0.5 + level / 2))


def wilson(right: float, asked: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for `right` of `asked` (see `wilson_bounds`); its estimate is the plain proportion.

    With nothing asked it is the whole of [0, 1] around not-a-number.
    """
    low, high = wilson_bounds(right, asked, level)
    return Interval(right / asked if asked else float("nan"), low, high)


def subject_widening(right: NDArray[np.int64], asked: NDArray[np.int64]) -> float | None:
    """How many times wider an accuracy's interval would be for subjects drawn anew than for these subjects.

    `right` and `asked` (S,) count a contestant's answers by subject. The standard error with errors clustered by
    subject over the binomial one:

        sqrt(S/(S-1)·Σ (right_s - p·asked_s)²) / sqrt(n·p·(1-p)),  p = Σ right / n,  n = Σ asked

    Source: Liang and Zeger 1986, for a mean. None with fewer than two subjects, or where all or nothing is right.
    """
    total, subjects = int(asked.sum()), int(np.count_nonzero(asked))
    share = right.sum() / total if total else 0.0
    if subjects < 2 or not 0 < share < 1:
        return None
    clustered = subjects / (subjects - 1) * float(((right - share * asked) ** 2).sum())
    return sqrt(clustered / (total * share * (1 - share)))


def bonett_price(pair: Paired, level: float = 0.95) -> Interval:
    """Bonett and Price's interval for the change in accuracy from the first to the second (gained minus lost).

        p = (lost+1)/(n+2), q = (gained+1)/(n+2)
        (q - p) ± z·sqrt((p + q - (q - p)²)/(n+2)),  cut to [-1, 1]

    Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data", equation 3. `estimate` is the plain (gained - lost)/n.
    """
    size = pair.asked + 2
    lost, gained = (pair.lost + 1) / size, (pair.gained + 1) / size
    half = critical_z(level) * sqrt((lost + gained - (gained - lost) ** 2) / size)
    return Interval(pair.change, max(-1.0, gained - lost - half), min(1.0, gained - lost + half))


def against_chance(right: NDArray[np.int64], asked: NDArray[np.int64], chance: float) -> tuple[AgainstChance, ...]:
    """Whether each of C contestants is above blind guessing, around it, or below it; adjusted by Holm over all C.

    `right` and `asked` (C,) are counts; `chance` is the mean of 1 over a question's number of choices: 0.25 with four.
    The p-value is that of the score test, so that for one contestant the answer is that of its 95 % Wilson interval:

        z = (right - n·chance) / sqrt(n·chance·(1 - chance))

    At chance where nothing was asked.
    """
    excess = right - asked * chance
    z = excess / np.sqrt(np.maximum(asked * chance * (1 - chance), np.finfo(np.float64).tiny))
    told = holm(2 * ndtr(-np.abs(z))) < ALPHA
    sides = np.where(told, np.sign(excess), 0).astype(int).tolist()
    return tuple((AgainstChance.AT, AgainstChance.ABOVE, AgainstChance.BELOW)[side] for side in sides)
