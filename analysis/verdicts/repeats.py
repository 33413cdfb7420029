"""Several replies to each question as figures with intervals: pass@k, and the vote of k."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.data.panel import Panel
from analysis.stats.points import mean_points
from proctor.exams.judging.repeats import Repeats, chance, ks

ESTIMATOR = "pass@k = 1 - C(n - c, k) / C(n, k), without bias (Chen et al. 2021, arXiv 2107.03374)"
REPEATS = (
    f"Several replies to a question, each with a seed of its own: {ESTIMATOR}, of n replies c with all points; and the "
    "points of what most of the first k say. 95 % intervals over questions."
)
Ends = tuple[float | None, float | None, float | None]  # estimate, low, high


@dataclass(frozen=True)
class ByK:
    """Figures of k replies a question."""

    k: int
    passing: Ends
    voting: Ends  # of programs there is no vote


def by_k(some: Repeats) -> Iterator[ByK]:
    """The figures for each k."""
    for place, k in enumerate(some.ks):
        yield ByK(k, _ends(some.chances(k)), _ends([row[place] for row in some.voted]))


def of_contestant(panel: Panel, place: int) -> Iterator[ByK]:
    """The same from a panel: of the questions with several replies whose outcome is known; the vote is of all."""
    repeats = None if panel.replies is None else panel.replies.repeats
    if repeats is None:
        return
    known = panel.asked[place] & (repeats.passed[place] >= 0)
    if not known.any():
        return
    replies, passed, voted = (one[place, known] for one in (repeats.replies, repeats.passed, repeats.voted))
    for k in ks(int(replies.min())):
        chances = [chance(int(right), int(of), k) for right, of in zip(passed, replies, strict=True)]
        yield ByK(k, _ends(chances), _ends(voted) if k == replies.min() and not np.isnan(voted).any() else _ends([]))


def _ends(points: object) -> Ends:
    values = np.array(points, dtype=np.float64)
    if not values.size:
        return None, None, None
    interval = mean_points(values)
    return interval.estimate, interval.low, interval.high
