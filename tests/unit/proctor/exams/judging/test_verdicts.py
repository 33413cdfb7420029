"""A judge's last words: a rating, the better of two, and what both orders amount to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.exams.judging.verdicts import Better, Preferred, better, of_both_orders, rating


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It is clear.\nRating: [[7]]", 7),
        ("As in the example\nRating: [[3]]\nbut better.\n  Rating: [[8.5]] \n", 8.5),
        ("Rating: [[7]] or so", None),
        ("I give [[7]].", None),
        ("Rating: [[11]]", None),
        ("Rating: [[0]]", None),
        ("Rating: [[5]]\nRating: [[50]]", None),
        ("", None),
    ],
)
def test_the_last_line_of_the_form_is_the_rating(text: str, value: float | None) -> None:
    assert rating(text) == value


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("B is wrong.\nVerdict: [[A]]", Better.FIRST),
        ("Verdict: [[A]]\nNo:\nVerdict: [[B]]", Better.SECOND),
        ("Verdict: [[C]]", Better.TIE),
        ("[[A]]", None),
        ("Verdict: [[D]]", None),
    ],
)
def test_the_last_line_of_the_form_is_the_verdict(text: str, verdict: Better | None) -> None:
    assert better(text) is verdict


@pytest.mark.parametrize(
    ("one_first", "other_first", "preferred"),
    [
        (Better.FIRST, Better.SECOND, Preferred.ONE),
        (Better.SECOND, Better.FIRST, Preferred.OTHER),
        (Better.TIE, Better.TIE, Preferred.TIE),
        (Better.FIRST, Better.FIRST, Preferred.INCONSISTENT),
        (Better.TIE, Better.FIRST, Preferred.INCONSISTENT),
        (None, Better.FIRST, Preferred.UNJUDGED),
        (Better.FIRST, None, Preferred.UNJUDGED),
    ],
)
def test_a_pair_is_judged_in_both_orders(
    one_first: Better | None, other_first: Better | None, preferred: Preferred
) -> None:
    assert of_both_orders(one_first, other_first) is preferred


@given(st.text() | st.text("Rating: [7]\n"))
def test_no_words_of_a_judge_raise(text: str) -> None:
    value = rating(text)
    assert value is None or 1 <= value <= 10
    better(text)
