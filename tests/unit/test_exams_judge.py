"""From log-probabilities to an Answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.errors import BadScores
from proctor.exams.judge import judge
from proctor.nouns import Prompt, Question

unhurried = settings(deadline=None)  # a busy machine is no fault

QUESTION = Question("0123456789abcdef", 7, "Which?", ("w", "x", "y", "z"), answer=2)
PROMPT = Prompt(QUESTION, "Which?\nAnswer:", "f" * 64, shots=3, options=(" A", " B", " C", " D"))


def test_the_most_probable_option_is_picked_and_marked_by_the_key() -> None:
    right, wrong = judge(PROMPT, [-3.0, -2.0, -0.5, -9.0]), judge(PROMPT, [-0.1, -2.0, -0.5, -9.0])
    assert (right.picked, right.correct) == (2, True)
    assert (wrong.picked, wrong.correct) == (0, False)


def test_an_answer_carries_what_it_was_given() -> None:
    answer = judge(PROMPT, [-3, -2, -1, -math.inf])
    assert answer.options_logprob == (-3.0, -2.0, -1.0, -math.inf)
    assert (answer.question_id, answer.prompt_hash, answer.shots) == (QUESTION.id, PROMPT.hash, 3)


@pytest.mark.parametrize("scores", [[-1.0, -5.0, -1.0, -4.0], [-1.0, -1.0, -1.0, -1.0], [-2.0, -2.0, -1.0, -1.0]])
def test_an_exact_tie_picks_nothing_and_is_not_correct(scores: list[float]) -> None:
    answer = judge(PROMPT, scores)
    assert answer.picked is None
    assert not answer.correct


def test_a_tie_below_the_first_place_is_no_tie() -> None:
    assert judge(PROMPT, [-4.0, -4.0, -1.0, -4.0]).picked == 2


@pytest.mark.parametrize(
    "scores",
    [
        [math.nan, -1.0, -2.0, -3.0],
        [-1.0, -1.0, math.nan, -3.0],
        [math.inf, -1.0, -2.0, -3.0],
        [-math.inf] * 4,
        [-1.0, -2.0, -3.0],
        [-1.0, -2.0, -3.0, -4.0, -5.0],
        [],
    ],
)
def test_what_is_no_log_probability_is_refused_and_the_question_named(scores: list[float]) -> None:
    with pytest.raises(BadScores, match="Question 7"):
        judge(PROMPT, scores)


@unhurried
@given(st.lists(st.floats(max_value=0, allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_the_picked_option_beats_every_other(scores: list[float]) -> None:
    answer = judge(PROMPT, scores)
    others = [score for index, score in enumerate(scores) if index != answer.picked]
    if answer.picked is None:
        assert sorted(scores)[-1] == sorted(scores)[-2]
    else:
        assert scores[answer.picked] > max(others)
    assert answer.correct == (answer.picked == QUESTION.answer)
