"""What a number of questions can show, before a sweep (`submit-sweep --plan`) and after it (the verdicts). Pure."""

from __future__ import annotations

from math import ceil, comb, sqrt
from statistics import NormalDist

DETECTABLE = 2.80  # the 97.5 % plus the 80 % quantile of the normal: two-sided 5 %, power 80 %
POWER = 0.8
ENOUGH_ONE_WAY = 5  # discordant questions that differ all one way: mid-p is 1 / 2 ** 5


def smallest_difference(discordance: float, questions: int) -> float | None:
    """The smallest paired difference, as a fraction, that `questions` would show with power 80 % at the 5 % level.

        δ = 2.80·sqrt(discordance/n)

    `discordance` is the share of questions on which the two differ; no difference exceeds it. Where the formula does,
    which is an approximation for many discordant questions, it is the discordance itself if that is shown with such
    power: all differ one way then, and five of them do. None means never: not even that is shown. Source: Connor 1987
    (Biometrics 43:207, sample size for McNemar's test), without its small second-order term.
    """
    if questions < 1:
        return None
    difference = DETECTABLE * sqrt(discordance / questions)
    if difference <= discordance:
        return difference
    return discordance if power_one_way(discordance, questions) >= POWER else None


def power_one_way(discordance: float, questions: int) -> float:
    """How often mid-p McNemar calls two different who differ on this share of all questions, always one way. Exact."""
    few = range(min(ENOUGH_ONE_WAY, questions + 1))
    return 1 - sum(comb(questions, k) * discordance**k * (1 - discordance) ** (questions - k) for k in few)


def questions_needed(discordance: float, difference: float) -> int:
    """How many questions would show `difference` (both fractions): the inverse of `smallest_difference`."""
    if difference <= 0:
        raise ValueError(f"A difference of {difference} can't be shown by any number of questions.")
    return max(1, ceil(DETECTABLE**2 * discordance / difference**2))


def wilson_bounds(right: float, asked: int, level: float = 0.95) -> tuple[float, float]:
    """The lower and upper end of Wilson's score interval for `right` of `asked`, as fractions.

    `right` may be a sum of points from 0 to 1: their variance is p(1-p) at most, so the interval is wide enough.

        centre = (p + z²/2n) / (1 + z²/n)
        half   = z·sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)

    Source: Wilson 1927; Brown, Cai and DasGupta 2001 recommend it at every n. With nothing asked it is all of [0, 1].

    Raises
    ------
    ValueError
        for more right than asked, or a level that isn't between 0 and 1.
    """
    if not 0 <= right <= asked:
        raise ValueError(f"{right} right of {asked} asked can't be.")
    if not 0 < level < 1:
        raise ValueError(f"A confidence level of {level} is not between 0 and 1.")
    if asked == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, shrink = right / asked, 1 + z * z / asked
    centre = (share + z * z / (2 * asked)) / shrink
    half = z * sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked)) / shrink
    return 0.0 if right == 0 else max(0.0, centre - half), 1.0 if right == asked else min(1.0, centre + half)
