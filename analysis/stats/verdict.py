"""The verdict on a pair: one of a few sentences, derived from the p-value and the 90 % bound, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analysis.stats.intervals import Interval, bonett_price
from analysis.stats.paired import FEW_DISCORDANT, Paired
from proctor.power import questions_needed, smallest_difference

ALPHA = 0.05


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
    change: Interval  # 95 %, of the second minus the first
    p: float  # adjusted for its family where there is one
    loss_bound: float  # upper end of the 90 % interval of the loss: one-sided 95 %
    margin: float
    detectable: float | None  # smallest difference that so many questions show; None: never
    questions_needed: int  # how many would show a difference of the margin

    @property
    def few_discordant(self) -> bool:
        """Too few questions on which the two differ for any test to say so."""
        return self.pair.discordant < FEW_DISCORDANT


def judge(pair: Paired, margin: float = 0.01, p: float | None = None) -> Verdict:
    """Judge the second contestant against the first.

    Better or worse: the mid-p value (or `p`, adjusted by the caller for a family) is below 0.05. Within: the loss
    is less than `margin` by the upper end of its 90 % interval, the usual test of non-inferiority (two one-sided
    tests, Schuirmann 1987). Neither: cannot tell, and how many questions would.
    """
    p = pair.p if p is None else p
    loss_bound = -bonett_price(pair, level=0.90).low
    spread = pair.smoothed_discordance
    return Verdict(
        pair=pair,
        finding=_finding(pair, p, within=loss_bound < margin),
        change=bonett_price(pair),
        p=p,
        loss_bound=loss_bound,
        margin=margin,
        detectable=smallest_difference(spread, pair.asked),
        questions_needed=questions_needed(spread, margin),
    )


def _finding(pair: Paired, p: float, *, within: bool) -> Finding:
    if p < ALPHA and pair.gained > pair.lost:
        return Finding.BETTER
    if p < ALPHA:
        return Finding.WORSE_WITHIN if within else Finding.WORSE
    return Finding.WITHIN if within else Finding.CANNOT_TELL
