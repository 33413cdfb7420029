"""Who can be told from whom: every pair's adjusted p-value, and the groups that can't be told apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.stats.families import ALPHA, holm
from analysis.stats.intervals import AgainstChance, against_chance
from analysis.stats.overlap import discordant_counts
from analysis.stats.paired import mid_p
from analysis.stats.points import SAME, sign_p


@dataclass(frozen=True, eq=False)
class Standings:
    """C contestants on the same questions. The family of `p` is all pairs, that of `against_chance` all contestants."""

    order: tuple[int, ...]  # places from the most accurate to the least
    level: tuple[int, ...]  # places of the most accurate: more than one where they have equally many right
    lost: NDArray[np.int64]  # (C, C) questions on which the row's has more points: it is right, the column's wrong
    p: NDArray[np.float64]  # (C, C) symmetric, 1 on the diagonal
    against_chance: tuple[AgainstChance, ...]  # (C,) all above it where nobody can guess
    silent: NDArray[np.bool_]  # (C, C) symmetric: told apart only by questions that either left without a single answer

    @property
    def pairs(self) -> int:
        return len(self.order) * (len(self.order) - 1) // 2

    @property
    def told_apart(self) -> int:
        """How many of the pairs differ."""
        return int(np.count_nonzero(np.triu(self.p < ALPHA, 1)))

    @property
    def told_apart_by_silence(self) -> int:
        """How many of these differ only by questions that either left without a single answer."""
        return int(np.count_nonzero(np.triu(self.silent, 1)))

    def groups(self) -> list[tuple[int, int]]:
        """Runs of ranks (first, last) within which no pair differs; the longest ones, two ranks or more, in order."""
        ranked = self.p[np.ix_(self.order, self.order)] >= ALPHA
        found: list[tuple[int, int]] = []
        for first in range(len(self.order)):
            last = first
            while last + 1 < len(self.order) and ranked[last + 1, first : last + 1].all():
                last += 1
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found

    def leaders(self) -> tuple[int, ...]:
        """Places of the best, of those level with it, and of all that can't be told from one of these, best first."""
        rest = (place for place in self.order if place not in self.level)
        return (*self.level, *(place for place in rest if (self.p[list(self.level), place] >= ALPHA).any()))


def stand(panel: Panel) -> Standings:
    """Compare all pairs of a level panel: everyone on the same questions."""
    if panel.graded:
        return _stand_by_points(panel)
    lost = discordant_counts(panel.wrong)
    count = len(panel.contestants)
    first, second = np.triu_indices(count, 1)
    p, answered = np.ones((count, count)), np.ones((count, count))
    p[first, second] = p[second, first] = holm(mid_p(lost[first, second], lost[second, first]))
    told = _lost_by_an_answer(panel)
    answered[first, second] = answered[second, first] = holm(mid_p(told[first, second], told[second, first]))
    same_way = np.sign(lost - lost.T) == np.sign(told - told.T)
    silent = (p < ALPHA) & ~((answered < ALPHA) & same_way)
    right, asked = (panel.correct & panel.asked).sum(axis=1), panel.asked.sum(axis=1)
    level = tuple(place for place in panel.ranking if right[place] == right[panel.ranking[0]])
    above = against_chance(right, asked, panel.chance) if panel.has_options else (AgainstChance.ABOVE,) * count
    return Standings(panel.ranking, level, lost, p, above, silent)


def _stand_by_points(panel: Panel) -> Standings:
    """The same where answers are worth parts of a point. There is no chance to be held against."""
    count, marks = len(panel.contestants), panel.marks
    lost = np.array([[np.count_nonzero(mine > theirs + SAME) for theirs in marks] for mine in marks], dtype=np.int64)
    first, second = np.triu_indices(count, 1)
    p, answered = np.ones((count, count)), np.ones((count, count))
    changes = [marks[b] - marks[a] for a, b in zip(first, second, strict=True)]
    told = [
        np.where(np.where(change > 0, panel.silent[a], panel.silent[b]), 0.0, change)
        for a, b, change in zip(first, second, changes, strict=True)
    ]
    p[first, second] = p[second, first] = holm(np.array([sign_p(change) for change in changes]))
    answered[first, second] = answered[second, first] = holm(np.array([sign_p(change) for change in told]))
    same_way = np.zeros((count, count), dtype=bool)
    agree = [np.sign(change.sum()) == np.sign(part.sum()) for change, part in zip(changes, told, strict=True)]
    same_way[first, second] = same_way[second, first] = agree
    silent = (p < ALPHA) & ~((answered < ALPHA) & same_way)
    sums = marks.sum(axis=1)
    level = tuple(place for place in panel.ranking if abs(sums[place] - sums[panel.ranking[0]]) <= SAME)
    return Standings(panel.ranking, level, lost, p, (AgainstChance.ABOVE,) * count, silent)


def _lost_by_an_answer(panel: Panel) -> NDArray[np.int64]:
    """(C, C): entry [a, b] counts the questions that a has right and b has answered wrongly."""
    right = (panel.correct & panel.asked).astype(np.float32)
    answered = (panel.wrong & ~panel.silent).astype(np.float32)
    return np.asarray(right @ answered.T, dtype=np.int64)
