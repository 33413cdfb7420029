"""The parts of a large Run: a pure function of how many questions are asked, and what is scored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.exams.packs import REPLIES_A_PACK
from proctor.exams.parts import MOST_LONG, MOST_SCORED, WRITTEN, parts_of
from proctor.nouns.exams import Scoring

CHOSEN = (Scoring.LETTERS, Scoring.TEXT, Scoring.ONE_TEXT)


@given(st.integers(1, 30_000), st.sampled_from(Scoring))
def test_every_question_stands_in_exactly_one_part_and_none_is_too_large(questions: int, scoring: Scoring) -> None:
    parts = parts_of(questions, scoring)
    assert [place for part in parts for place in part] == list(range(questions))
    most = MOST_SCORED if scoring in CHOSEN else MOST_LONG
    assert max(map(len, parts)) <= most
    assert len(parts) == -(-questions // most)  # no more than it takes


@given(st.integers(1, 30_000), st.sampled_from(Scoring))
def test_parts_are_of_almost_one_size(questions: int, scoring: Scoring) -> None:
    *before, last = map(len, parts_of(questions, scoring))
    unit = REPLIES_A_PACK if scoring in WRITTEN else 1
    assert max([*before, last]) - min([*before, last + unit - 1]) <= unit


@given(st.integers(1, 30_000), st.sampled_from(WRITTEN))
def test_parts_of_written_answers_end_where_a_pack_does(questions: int, scoring: Scoring) -> None:
    *before, _ = parts_of(questions, scoring)
    assert all(len(part) % REPLIES_A_PACK == 0 for part in before)


@pytest.mark.parametrize(
    ("questions", "scoring"), [(1534, Scoring.LETTERS), (1, Scoring.WRITTEN), (256, Scoring.WRITTEN)]
)
def test_a_small_run_is_whole(questions: int, scoring: Scoring) -> None:
    assert parts_of(questions, scoring) == (range(questions),)


@pytest.mark.parametrize(
    ("questions", "scoring", "sizes"),
    [
        (10_042, Scoring.TEXT, [2008, 2008, 2009, 2008, 2009]),  # HellaSwag
        (1319, Scoring.WRITTEN, [192, 256, 192, 256, 192, 231]),  # GSM8K
        (300, Scoring.PAGES, [150, 150]),
    ],
)
def test_the_parts_of_large_exams_stay_as_they_are(questions: int, scoring: Scoring, sizes: list[int]) -> None:
    assert list(map(len, parts_of(questions, scoring))) == sizes


def test_without_a_question_there_is_no_part() -> None:
    with pytest.raises(ValueError, match="0 questions"):
        parts_of(0, Scoring.TEXT)
