"""What a Mark can be, for any points, pick and extracted answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.exams.marking.answers import answer_of
from proctor.nouns.exams import Exchange, Mark, Prompt, Question, Write, Written

POINTS = st.floats(0, 1)
PICKED = st.none() | st.integers(0, 25)
EXTRACTED = st.none() | st.text(max_size=5)
PROMPT = Prompt(Question("0" * 16, 0, "1 + 1 =", reference="2"), Write("1 + 1 ="), "f" * 64)


@st.composite
def marks(draw: st.DrawFn) -> Mark:
    picked, extracted = draw(PICKED), draw(EXTRACTED)
    answered = picked is not None or extracted is not None
    return Mark(draw(POINTS) if answered else 0.0, picked, extracted)


@settings(deadline=None)
@given(marks())
def test_correct_is_all_points_and_none_is_no_answer(mark: Mark) -> None:
    assert (mark.correct is None) is (mark.picked is None and mark.extracted is None)
    assert (mark.correct is True) is (mark.points == 1)
    assert mark.correct is not None or mark.points == 0


@settings(deadline=None)
@given(marks())
def test_an_answer_is_worth_what_its_mark_is_worth(mark: Mark) -> None:
    answer = answer_of(PROMPT, (Exchange(Write("1 + 1 ="), Written("2")),), mark)

    assert answer.points == mark.points
    assert answer.correct is (mark.correct is True)
    assert answer.answered is mark.answered
    assert (answer.partial is None) is (mark.points in (0, 1))
    assert (answer.picked, answer.extracted) == (mark.picked, mark.extracted)


@pytest.mark.parametrize("points", [-0.1, 1.1, math.nan, math.inf])
def test_points_are_from_0_to_1(points: float) -> None:
    with pytest.raises(ValueError, match="not from 0 to 1"):
        Mark(points, extracted="7")


def test_no_answer_has_no_points() -> None:
    with pytest.raises(ValueError, match="no answer"):
        Mark(0.5)
