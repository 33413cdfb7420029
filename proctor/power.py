"""What a number of questions can show, before a sweep (`submit-sweep --plan`) and after it (the verdicts). Pure."""

from __future__ import annotations

from math import ceil, sqrt

DETECTABLE = 2.80  # the 97.5 % plus the 80 % quantile of the normal: two-sided 5 %, power 80 %


def smallest_difference(discordance: float, questions: int) -> float | None:
    """The smallest paired difference, as a fraction, that `questions` would show with power 80 % at the 5 % level.

        δ = 2.80·sqrt(discordance/n)

    `discordance` is the share of questions on which the two differ. None means never: a difference can't exceed
    the discordance. Source: Connor 1987 (Biometrics 43:207, sample size for McNemar's test), without its small
    second-order term.
    """
    if questions < 1:
        return None
    difference = DETECTABLE * sqrt(discordance / questions)
    return difference if difference <= discordance else None


def questions_needed(discordance: float, difference: float) -> int:
    """How many questions would show `difference` (both fractions): the inverse of `smallest_difference`."""
    if difference <= 0:
        raise ValueError(f"A difference of {difference} can't be shown by any number of questions.")
    return max(1, ceil(DETECTABLE**2 * discordance / difference**2))
