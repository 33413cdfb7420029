"""Two contestants on the same questions: the 2 × 2 of right and wrong, and McNemar's mid-p test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, gammaln

from proctor.statistical_power import smallest_difference

FEW_DISCORDANT = 5  # below it no two-sided mid-p can reach 0.05: the smallest is 0.5 ** discordant


@dataclass(frozen=True)
class Paired:
    """The 2 × 2 of a first and a second contestant: counts of questions that both were asked."""

    both_right: int
    lost: int  # the first right, the second wrong
    gained: int  # the first wrong, the second right
    both_wrong: int

    @property
    def asked(self) -> int:
        return self.both_right + self.lost + self.gained + self.both_wrong

    @property
    def discordant(self) -> int:
        return self.lost + self.gained

    @property
    def smoothed_discordance(self) -> float:
        """The share of discordant questions, with one more of each kind: none seen isn't none there."""
        return (self.discordant + 2) / (self.asked + 2)

    @property
    def change(self) -> float:
        """Accuracy of the second minus that of the first, as a fraction."""
        return (self.gained - self.lost) / self.asked if self.asked else float("nan")

    @property
    def p(self) -> float:
        """The two-sided mid-p value, see `mid_p`."""
        return float(mid_p(np.array(self.lost), np.array(self.gained)))

    @property
    def test(self) -> str:
        """What `p` is of, in words."""
        return "mid-p McNemar"

    @property
    def detectable(self) -> float | None:
        """Smallest difference, a fraction, that so many questions show; None: never."""
        return smallest_difference(self.smoothed_discordance, self.asked)

    def turned(self) -> Paired:
        """The same seen from the second contestant."""
        return Paired(self.both_right, self.gained, self.lost, self.both_wrong)


def pair_up(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
    """Count two arrays (Q,) of right or wrong, one entry for each question that both were asked."""
    if first.shape != second.shape:
        raise ValueError(f"Shapes {first.shape} and {second.shape} differ: these aren't the same questions.")
    both = int(np.count_nonzero(first & second))
    lost, gained = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(~first & second))
    return Paired(both, lost, gained, first.size - both - lost - gained)


def mid_p(lost: NDArray[np.int64], gained: NDArray[np.int64]) -> NDArray[np.float64]:
    """McNemar's test with the mid-p correction, two-sided, elementwise over counts of any one shape.

    Given d = lost + gained discordant questions and X ~ Binomial(d, 1/2), it is the probability of
    what is more extreme than what was seen, plus half the probability of what is equally extreme:

        2·P(X ≤ min) - P(X = min),  or 1 - P(X = min)/2 where lost = gained;  1 where d = 0

    Source: Fagerland, Lydersen and Laake 2013 (BMC Medical Research Methodology 13:91): never above its level in
    practice, and more powerful than the exact test.
    """
    lost, gained = np.asarray(lost), np.asarray(gained)
    fewer, discordant = np.minimum(lost, gained), lost + gained
    ways = gammaln(discordant + 1.0) - gammaln(fewer + 1.0) - gammaln(discordant - fewer + 1.0)
    point = np.exp(ways - discordant * np.log(2.0))
    tail = bdtr(fewer.astype(float), discordant, 0.5)
    return np.where(lost == gained, np.where(discordant == 0, 1.0, 1.0 - point / 2), 2 * tail - point)
