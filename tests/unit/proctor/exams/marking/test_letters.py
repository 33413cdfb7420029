"""Letters that are read out of what a model wrote."""

from __future__ import annotations

import pytest

from proctor.errors import BadScores
from proctor.exams.marking.letters import letter_of, mark
from proctor.nouns.exams import Choose, Exam, Exchange, Question, Scored, Write, Written

QUESTION = Question("0" * 16, 0, "Which?", ("one", "two", "three", "four"), 1)
EXAM = Exam("made", "made", (), (QUESTION,), "0" * 64)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (" B", "B"),
        ("B\n", "B"),
        ("(C)", "C"),
        ("**D.** Mars", "D"),
        ("B) two", "B"),
        ("The answer is C.", "C"),
        ("The correct answer is (D), as A is too small.", "D"),
        ("Answer: **A**", "A"),
        ("It must be C, since nothing else fits.", "C"),
        ("A planet turns. So it is D.", "D"),
        ("A planet turns around the sun.", None),
        ("Both B and C are right.", None),
        ("E", None),
        ("I don't know.", None),
        ("D'accord", None),
        ("", None),
    ],
)
def test_the_letter_of_a_reply(text: str, letter: str | None) -> None:
    assert letter_of(text, 4) == letter


@pytest.mark.parametrize(
    ("reply", "points", "picked"),
    [
        (Written("B"), 1.0, 1),
        (Written("A."), 0.0, 0),
        (Written("Neither."), 0.0, None),
        (Written("<think>A? No.</think>B", think_end="</think>"), 1.0, 1),
    ],
)
def test_a_letter_is_marked_as_a_pick(reply: Written, points: float, picked: int | None) -> None:
    found = mark(EXAM, QUESTION, (Exchange(Write("Which?"), reply),))
    assert (found.points, found.picked, found.answered) == (points, picked, picked is not None)


def test_scores_are_no_letters() -> None:
    scored = Exchange(Choose("Which?", (" A", " B", " C", " D")), Scored((-1.0, -2.0, -3.0, -4.0)))
    with pytest.raises(BadScores, match="was to be written"):
        mark(EXAM, QUESTION, (scored,))
