"""The slice that is scored again, its packs, and what is said to have moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.exams.packs import compose
from proctor.nouns.exams import Conditions, Pack, Reply, Scored, Written
from proctor.nouns.runs import Cost
from tests.made_up import EXAMINEE, SUMS
from workers.engines.scoring import Prepared
from workers.run.noise import SLICE, compare, spread
from workers.run.paper import Paper

ONE_DIGIT = SUMS.load(("one_digit",)).exams["one_digit"]


def other_packs(lengths: Sequence[int], budget: int) -> tuple[Pack, ...]:
    """The slice's packs of a Run whose packs hold twice `budget` tokens."""
    conditions = Conditions(shots=0, pack_tokens=2 * budget)
    paper = Paper(conditions, SUMS, ONE_DIGIT, EXAMINEE, ())
    ready = Prepared((), tuple(lengths), Cost(), padded=False)
    return paper.packs(ready, spread(len(lengths)), halved=True)


def scored(rows: Sequence[tuple[float, ...]]) -> list[tuple[Reply, ...]]:
    return [(Scored(row),) for row in rows]


@pytest.mark.parametrize(("questions", "taken", "last"), [(0, 0, None), (1, 1, 0), (64, 16, 60), (200, 29, 196)])
def test_a_slice_is_spread_over_the_whole_exam(questions: int, taken: int, last: int | None) -> None:
    chosen = spread(questions)
    assert len(chosen) == taken
    assert (chosen[-1] if chosen else None) == last


@given(st.lists(st.integers(1, 400), min_size=1, max_size=300), st.integers(1, 2000))
def test_every_question_of_the_slice_is_scored_again_once(lengths: list[int], budget: int) -> None:
    members = [index for pack in other_packs(lengths, budget) for index in pack.members]
    assert sorted(members) == list(spread(len(lengths)))
    assert len(members) <= SLICE


def test_a_question_stands_in_other_company_than_before() -> None:
    lengths = [40 + 7 * index % 50 for index in range(200)]
    before = {frozenset(pack.members) for pack in compose(lengths, 2048, padded=False)}
    assert before.isdisjoint(frozenset(pack.members) for pack in other_packs(lengths, 1024))


def test_what_moved_is_counted_in_picks_and_in_nats() -> None:
    before = [(-1.0, -2.0), (-1.0, -2.0), (-1.0, -1.0), (-3.0, -math.inf)]
    after = [(-1.0, -2.0), (-2.5, -2.0), (-1.0, -1.25), (-3.0, -math.inf)]
    noise = compare(scored(before), scored(after), 1024, 0.5)
    assert (noise.questions, noise.flips, noise.largest, noise.pack_tokens) == (4, 2, 1.5, 1024)
    assert noise.mean == pytest.approx((1.5 + 0.25) / 7)


def test_an_option_that_is_impossible_in_one_of_the_scorings_does_not_count_as_moved() -> None:
    possible, impossible = (-1.0, -2.0, -4.0), (-1.0, -math.inf, -4.5)
    for before, after in ((possible, impossible), (impossible, possible)):
        noise = compare(scored([before]), scored([after]), 1024, 0.5)
        assert (noise.flips, noise.largest, noise.mean) == (0, 0.5, 0.25)


def test_nothing_that_moved_is_no_noise() -> None:
    same = [(-1.0, -2.0)] * 3
    noise = compare(scored(same), scored(same), 1, 0.0)
    assert (noise.flips, noise.largest) == (0, 0.0)


def test_a_text_that_changed_is_a_flip() -> None:
    before: list[tuple[Reply, ...]] = [(Written("6", (1,)),), (Written("six", (2,)), Written("12", (3,)))]
    after: list[tuple[Reply, ...]] = [(Written("6", (4,)),), (Written("six", (2,)), Written("13", (3,)))]
    noise = compare(before, after, 1024, 0.5)
    assert (noise.questions, noise.flips, noise.largest, noise.mean) == (2, 1, 0.0, 0.0)
