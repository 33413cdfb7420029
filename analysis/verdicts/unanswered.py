"""What rests on questions without a single answer: they count as not right, and whoever reads a figure is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.data.phrases import listed
from analysis.stats.paired import Paired
from analysis.stats.points import pair_marks
from analysis.stats.verdict import Verdict, judge

NOTABLE = 0.05  # of the questions; from so many on, a figure says how many were left without a single answer


@dataclass(frozen=True)
class Silence:
    """Discordant questions of a pair on which the one that isn't right gave no single answer."""

    lost: int = 0  # by the second
    gained: int = 0  # by the first
    told: Paired | None = None  # of points: the pair, as if both had equally many on these questions

    @property
    def questions(self) -> int:
        return self.lost + self.gained

    def carries(self, verdict: Verdict) -> bool:
        """Whether the finding would be another one if these questions told nothing about the two.

        The p-value is the pair's own here, without its family.
        """
        pair = verdict.pair
        told = self.told or Paired(
            pair.both_right + self.questions, pair.lost - self.lost, pair.gained - self.gained, pair.both_wrong
        )
        return judge(told, verdict.margin).finding is not judge(pair, verdict.margin).finding


def silence_of(panel: Panel, first: int, second: int) -> Silence:
    """Of two contestants on the questions that both were asked."""
    both = panel.asked[first] & panel.asked[second]
    lost = both & (panel.marks[first] > panel.marks[second]) & panel.silent[second]
    gained = both & (panel.marks[second] > panel.marks[first]) & panel.silent[first]
    told = None
    if panel.graded:
        alike = panel.alike([first, second])
        theirs = np.where(lost | gained, panel.marks[first], panel.marks[second])
        told = pair_marks(panel.marks[first, alike], theirs[alike])
    return Silence(int(np.count_nonzero(lost)), int(np.count_nonzero(gained)), told)


def silent_shares(panel: Panel) -> NDArray[np.float64]:
    """(C,) share of the questions asked that each contestant left without a single answer."""
    return np.asarray(panel.unanswered / np.maximum(panel.asked.sum(axis=1), 1))


def named(panel: Panel, place: int) -> str:
    """The contestant's label, and where it is notable, on how many questions it gave no single answer."""
    share = float(silent_shares(panel)[place])
    if panel.not_run[place]:
        return f"{panel.labels[place]} (programs not run yet)"
    return panel.labels[place] if share < NOTABLE else f"{panel.labels[place]} ({silent_words(share)})"


def not_run_sentences(panel: Panel) -> list[str]:
    """Whose programs weren't run yet, and how they are; nothing where nobody's wait."""
    who = [panel.labels[place] for place in np.flatnonzero(panel.not_run)]
    if not who:
        return []
    said = f"The programs of {listed(who)} weren't run yet, and nothing of them is right or wrong until then"
    return [f"{said}: proctor mark --run-code."]


def silent_words(share: float) -> str:
    """`no single answer on 40 %`"""
    return f"no single answer on {100 * share:.0f} %"


def verdict_rest(verdict: Verdict, silence: Silence) -> str:
    """What a verdict rests on, for behind it in a table's cell; nothing where all that differs was answered."""
    if not silence.questions:
        return ""
    rests = "rests on" if silence.carries(verdict) else "of these"
    return f"; {rests} {silence.questions:,} without an answer"
