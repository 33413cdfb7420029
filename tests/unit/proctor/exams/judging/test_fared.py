"""Counts of how written answers fared."""

from __future__ import annotations

from proctor.exams.judging.chains import Outcome
from proctor.exams.judging.fared import fared
from proctor.exams.judging.filters import Piece
from proctor.exams.judging.replies import Standing
from proctor.nouns.runs import Fared


def outcome(standing: Standing, *, cut: bool = False) -> Outcome:
    return Outcome("strict", (Piece("7"),), standing, cut)


def test_each_standing_is_counted_apart_and_cut_replies_whatever_was_read_out_of_them() -> None:
    found = fared(
        [
            (outcome(Standing.EXTRACTED), 1.0),
            (outcome(Standing.EXTRACTED, cut=True), 1.0),
            (outcome(Standing.EXTRACTED), 0.0),
            (outcome(Standing.NOTHING), 0.0),
            (outcome(Standing.EMPTY), 0.0),
            (outcome(Standing.CUT, cut=True), 0.0),
            (outcome(Standing.THINKING, cut=True), 0.0),
        ]
    )
    assert found == Fared(7, nothing=1, empty=1, cut=1, thinking=1, unfinished=3, finished_points=1.0)
    assert (found.finished, found.unanswered) == (4, 4)
    assert (found + found).finished_points == 2.0
    assert str(found) == ("1 with nothing extracted, 1 empty, 1 cut by the limit, 1 with thinking unfinished")


def test_nothing_is_said_where_every_answer_was_read_out() -> None:
    assert str(fared([(outcome(Standing.EXTRACTED, cut=True), 1.0)])) == ""
