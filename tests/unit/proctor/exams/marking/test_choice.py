"""From log-probabilities to an Answer."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.errors import BadScores
from proctor.exams.marking.choice import judge, per_character
from proctor.nouns.exams import Choose, Prompt, Question

QUESTION = Question("0123456789abcdef", 7, "Which?", ("w", "x", "y", "z"), answer=2)
PROMPT = Prompt(QUESTION, Choose("Which?\nAnswer:", (" A", " B", " C", " D"), shots=3), "f" * 64)


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


@given(st.lists(st.floats(max_value=0, allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_the_picked_option_beats_every_other(scores: list[float]) -> None:
    answer = judge(PROMPT, scores)
    others = [score for index, score in enumerate(scores) if index != answer.picked]
    if answer.picked is None:
        assert sorted(scores)[-1] == sorted(scores)[-2]
    else:
        assert scores[answer.picked] > max(others)
    assert answer.correct == (answer.picked == QUESTION.answer)


def test_per_character_a_long_option_is_no_worse_for_its_length() -> None:
    prompt = replace(PROMPT, ask=Choose("Which?\nAnswer:", (" no", " certainly", " x", " y"), (2, 9, 1, 1)))
    answer = judge(prompt, [-4.0, -9.0, -20.0, -2.0])
    assert (answer.picked, answer.correct, answer.correct_norm) == (3, False, False)
    key = replace(prompt, question=replace(QUESTION, answer=1))
    assert (judge(key, [-4.0, -9.0, -20.0, -2.0]).correct, judge(key, [-4.0, -9.0, -20.0, -2.0]).correct_norm) == (
        False,
        True,
    )


def test_a_tie_per_character_is_not_correct() -> None:
    prompt = replace(PROMPT, ask=Choose("Which?\nAnswer:", (" A", " B", " C", " D"), (2, 4, 2, 2)))
    assert not judge(prompt, [-8.0, -8.0, -4.0, -9.0]).correct_norm


def test_an_option_without_a_character_is_never_the_best_per_character() -> None:
    assert per_character([-1.0, -1.0], [0, 5]) == (-math.inf, -0.2)


def test_letters_are_right_per_character_where_they_are_right() -> None:
    answer = judge(PROMPT, [-3.0, -2.0, -0.5, -9.0])
    assert answer.correct_norm
