"""How written answers fared: nothing extracted, empty, cut by the limit and thinking unfinished, each counted apart."""

from __future__ import annotations

from collections.abc import Iterable

from proctor.exams.judging.chains import Outcome
from proctor.exams.judging.replies import Standing
from proctor.nouns.runs import Fared


def fared(judged: Iterable[tuple[Outcome, float]]) -> Fared:
    """Count what a chain made of the replies to each question, with the points that it was given."""
    total = Fared()
    for outcome, points in judged:
        total += Fared(
            1,
            nothing=outcome.standing is Standing.NOTHING,
            empty=outcome.standing is Standing.EMPTY,
            cut=outcome.standing is Standing.CUT,
            thinking=outcome.standing is Standing.THINKING,
            unfinished=outcome.cut,
            finished_points=0.0 if outcome.cut else points,
        )
    return total
