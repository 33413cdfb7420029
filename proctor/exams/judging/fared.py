"""How written answers fared: nothing extracted, empty, cut by the limit and thinking unfinished, each counted apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proctor.exams.judging.chains import Outcome
from proctor.exams.judging.replies import Standing


@dataclass(frozen=True)
class Fared:
    """Counts over answers on one filter chain. Those without an answer are in one of the four before `unfinished`."""

    answers: int = 0
    nothing: int = 0  # ended by themselves, and no filter found an answer
    empty: int = 0
    cut: int = 0  # cut by the limit, and nothing extracted
    thinking: int = 0  # cut by the limit within the thought
    unfinished: int = 0  # with a reply that was cut by the limit, extracted from or not
    finished_points: float = 0.0  # of those whose replies ended by themselves

    def __add__(self, other: Fared) -> Fared:
        return Fared(
            self.answers + other.answers,
            self.nothing + other.nothing,
            self.empty + other.empty,
            self.cut + other.cut,
            self.thinking + other.thinking,
            self.unfinished + other.unfinished,
            self.finished_points + other.finished_points,
        )

    @property
    def finished(self) -> int:
        """Answers whose replies ended by themselves."""
        return self.answers - self.unfinished

    @property
    def unanswered(self) -> int:
        """Answers of which nothing was extracted."""
        return self.nothing + self.empty + self.cut + self.thinking

    def __str__(self) -> str:
        """`3 with nothing extracted, 2 empty, 1 cut by the limit`; "" where an answer was extracted from all."""
        parts = (
            (self.nothing, f"with {Standing.NOTHING}"),
            (self.empty, Standing.EMPTY),
            (self.cut, Standing.CUT),
            (self.thinking, f"with {Standing.THINKING}"),
        )
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)


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
