"""Two contestants on the same questions, whose answers are worth from 0 to 1 point: the same as for right and wrong.

Every formula here is that for right and wrong where all points are 0 or 1: a test holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from analysis.stats.intervals import Interval, bonett_price, critical_z, wilson
from analysis.stats.noninferiority import loss_bound, within_p
from analysis.stats.paired import Paired, pair_up
from proctor.statistical_power import DETECTABLE

Floats = NDArray[np.float64]

EXACT = 16  # questions that differ, up to which all their signs are turned
SAME = 1e-9  # points that differ by less are equal


@dataclass(frozen=True)
class PairedPoints(Paired):
    """A first and a second contestant: lost are questions on which the second has fewer points, gained more.

    `both_right` counts where both have all points, `both_wrong` where they have equally many, but not all.
    """

    differences: tuple[float, ...] = ()  # points of the second minus those of the first, one a question asked

    @cached_property
    def _each(self) -> Floats:
        return np.array(self.differences)

    @property
    def change(self) -> float:
        """Mean points of the second minus those of the first."""
        return float(self._each.mean()) if self.asked else float("nan")

    @property
    def smoothed_discordance(self) -> float:
        """Mean squared difference, with two more questions that differ as the others that do (by 1 if none does)."""
        moved = self._each[np.abs(self._each) > SAME]
        usual = float((moved**2).mean()) if moved.size else 1.0
        return (float((self._each**2).sum()) + 2 * usual) / (self.asked + 2)

    @property
    def p(self) -> float:
        """The two-sided p-value, see `sign_p`."""
        return sign_p(self._each)

    @property
    def test(self) -> str:
        return "paired t" if self.discordant > EXACT else "signs turned, exact, mid-p"

    @property
    def detectable(self) -> float | None:
        return min(1.0, DETECTABLE * sqrt(self.smoothed_discordance / self.asked)) if self.asked else None

    @property
    def centre(self) -> float:
        """The shrunken change that the interval lies around."""
        return float(self._each.sum()) / (self.asked + 2)

    @property
    def error(self) -> float:
        """Standard error of `centre`."""
        return sqrt(max(0.0, self.smoothed_discordance - self.centre**2) / (self.asked + 2))

    def turned(self) -> PairedPoints:
        """The same seen from the second contestant."""
        return PairedPoints(
            self.both_right, self.gained, self.lost, self.both_wrong, tuple(-one for one in self.differences)
        )


def pair_marks(first: Floats, second: Floats) -> Paired:
    """Pair two arrays (Q,) of points, one entry a question that both were asked: a 2 × 2 where all are 0 or 1."""
    if all(((marks == 0) | (marks == 1)).all() for marks in (first, second)):
        return pair_up(first == 1, second == 1)
    if first.shape != second.shape:
        raise ValueError(f"Shapes {first.shape} and {second.shape} differ: these aren't the same questions.")
    change = second - first
    lost, gained = int((change < -SAME).sum()), int((change > SAME).sum())
    both = int(((first == 1) & (second == 1)).sum())
    return PairedPoints(both, lost, gained, first.size - both - lost - gained, tuple(change.tolist()))


def sign_p(differences: Floats) -> float:
    """Two-sided p-value of paired differences (Q,) having mean 0: as likely up as down, question by question.

    Up to `EXACT` questions that differ, every way to turn their signs is counted, sums as extreme as the one seen by
    half: McNemar's mid-p where all differences are 1. Beyond it Student's paired t, which that distribution nears:

        t = mean / (s/√n),  n - 1 degrees of freedom, questions without a difference included

    Sources: Fisher 1935, "The Design of Experiments", section 21, and Pitman 1937 (turned signs and their limit);
    Student 1908; Miller 2024 (arXiv 2411.00640) for paired t on evaluations of models.
    """
    moved = differences[np.abs(differences) > SAME]
    if not moved.size:
        return 1.0
    if moved.size <= EXACT:
        turned = (np.arange(1 << moved.size)[:, None] >> np.arange(moved.size)) & 1  # (2^D, D)
        sums, seen = np.abs((1 - 2 * turned) @ moved), abs(float(moved.sum()))
        return float((sums > seen + SAME).mean() + (np.abs(sums - seen) <= SAME).mean() / 2)
    error = float(differences.std(ddof=1)) / sqrt(differences.size)
    if error < SAME:
        return 0.0
    return float(2 * stdtr(differences.size - 1, -abs(float(differences.mean())) / error))


def change_interval(pair: Paired, level: float = 0.95) -> Interval:
    """Bonett and Price's interval for the change; of points, with the mean square in the place of the discordance.

        c = Σ d/(n+2),  v = (Σ d² + 2·h²)/(n+2),  c ± z·sqrt((v - c²)/(n+2)),  cut to [-1, 1]

    h² is the mean of d² over the questions that differ: where all of them differ by 1, this is `bonett_price`. The two
    questions that it adds keep the interval from closing where few differ, as they do there.
    """
    if not isinstance(pair, PairedPoints):
        return bonett_price(pair, level)
    half = critical_z(level) * pair.error
    return Interval(pair.change, max(-1.0, pair.centre - half), min(1.0, pair.centre + half))


def lost_within_p(pair: Paired, margin: float) -> float:
    """The p-value of "the second loses `margin` or more": `within_p`; of points by Student's one-sided t.

    t = (change + margin) / error,  n - 1 degrees of freedom, the error that of `change_interval`
    """
    if not isinstance(pair, PairedPoints):
        return within_p(pair, margin)
    return float(stdtr(pair.asked - 1, -(pair.change + margin) / pair.error)) if pair.asked > 1 else 1.0


def largest_loss(pair: Paired, level: float = 0.95) -> float:
    """The smallest loss that the pair rules out at this one-sided level: `lost_within_p` is 1 - level there."""
    if not isinstance(pair, PairedPoints):
        return loss_bound(pair, level)
    return min(1.0, float(stdtrit(pair.asked - 1, level)) * pair.error - pair.change) if pair.asked > 1 else 1.0


def mean_points(marks: Floats, level: float = 0.95) -> Interval:
    """Mean of marks (Q,) with its interval, cut to [0, 1]: Wilson's where all are 0 or 1, else Student's.

        mean ± t·s/√n,  n - 1 degrees of freedom

    Wilson's also where all marks are the same. Source: Student 1908.
    """
    size, total = marks.size, float(marks.sum())
    spread = float(marks.std(ddof=1)) if size > 1 else 0.0
    if spread < SAME or ((marks == 0) | (marks == 1)).all():
        return wilson(min(total, size), size, level)
    half = float(stdtrit(size - 1, 0.5 + level / 2)) * spread / sqrt(size)
    mean = total / size
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half))
