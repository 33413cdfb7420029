"""The verdict on a pair: one of a few sentences, derived from two p-values, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from analysis.stats.families import ALPHA
from analysis.stats.intervals import Interval
from analysis.stats.paired import FEW_DISCORDANT, Paired
from analysis.stats.points import change_interval, largest_loss, lost_within_p
from proctor.statistical_power import questions_needed


class Finding(StrEnum):
    """What can be said about the second contestant, seen from the first."""

    BETTER = "better"
    WORSE = "worse"
    WITHIN = "within the margin"
    WORSE_WITHIN = "worse, but within the margin"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Verdict:
    """A pair judged: every figure is a fraction of the questions, not a percentage."""

    pair: Paired
    finding: Finding
    change: Interval  # 95 %, of the second minus the first; of this pair alone
    p: float  # adjusted for its family where there is one
    within_p: float  # of a loss of the margin or more; adjusted likewise
    margin: float
    detectable: float | None  # smallest difference that so many questions show; None: never
    questions_needed: int  # how many would show a difference of the margin

    @cached_property
    def loss_bound(self) -> float:
        """The largest loss that this pair alone leaves possible, one-sided 95 %: below the margin, it is within."""
        return largest_loss(self.pair)

    @property
    def few_discordant(self) -> bool:
        """Too few questions on which the two differ for any test to say so."""
        return self.pair.discordant < FEW_DISCORDANT

    @property
    def differs(self) -> bool:
        """Whether the finding is that the second is better or worse."""
        return self.finding in (Finding.BETTER, Finding.WORSE, Finding.WORSE_WITHIN)

    @property
    def disputed(self) -> bool:
        """Whether the interval of the change holds 0 although the two differ, or leaves 0 out although they don't.

        The p-value and the interval are reckoned in two ways, and only the first is adjusted for a family.
        """
        return self.differs == (self.change.low <= 0 <= self.change.high)


def judge(pair: Paired, margin: float = 0.01, p: float | None = None, within: float | None = None) -> Verdict:
    """Judge the second contestant against the first.

    Better or worse: the p-value (mid-p of right and wrong) is below 0.05. Within: the p-value of a loss of `margin` or
    more is below 0.05 (`lost_within_p`, exact for right and wrong), which is to say that the bound of the loss lies
    below the margin. Neither: cannot tell, and how many questions would. `p` and `within` are these p-values where the
    caller has adjusted them for a family.
    """
    p = pair.p if p is None else p
    within = lost_within_p(pair, margin) if within is None else within
    return Verdict(
        pair=pair,
        finding=_finding(pair, p, within=within < ALPHA),
        change=change_interval(pair),
        p=p,
        within_p=within,
        margin=margin,
        detectable=pair.detectable,
        questions_needed=questions_needed(pair.smoothed_discordance, margin),
    )


def _finding(pair: Paired, p: float, *, within: bool) -> Finding:
    if p < ALPHA and pair.gained > pair.lost:
        return Finding.BETTER
    if p < ALPHA:
        return Finding.WORSE_WITHIN if within else Finding.WORSE
    return Finding.WITHIN if within else Finding.CANNOT_TELL
