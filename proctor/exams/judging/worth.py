"""What a metric says of one question."""

from __future__ import annotations

from dataclasses import dataclass

Item = float | tuple[float, float] | tuple[str, str] | tuple[bool, ...]


@dataclass(frozen=True)
class Worth:
    """What one question is worth by one metric.

    `item` is what a set's summary is made of (`proctor.exams.judging.sets`): the figure that lm-evaluation-harness has
    in its samples, (right, picked) for F1 and its like, (log-probability, words or bytes) for perplexities.
    """

    points: float  # 0 to 1, the more the better
    item: Item
    picked: int | None = None  # of options, the one that it goes by; None: an exact tie, or there are none


def all_or_none(right: bool, picked: int | None = None) -> Worth:
    """1 or 0 points, the set's summary being their mean."""
    return Worth(float(right), float(right), picked)
