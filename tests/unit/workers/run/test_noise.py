"""The slice that is scored again, its packs, and what is said to have moved."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.exams.packs import compose
from proctor.nouns.runs import Cost
from workers.engines.scoring import Prepared
from workers.run.noise import SLICE, compare, other_packs, spread


def prepared(lengths: list[int]) -> Prepared:
    return Prepared((), tuple(lengths), Cost(), padded=False)


@pytest.mark.parametrize(("questions", "taken", "last"), [(0, 0, None), (1, 1, 0), (64, 16, 60), (200, 29, 196)])
def test_a_slice_is_spread_over_the_whole_exam(questions: int, taken: int, last: int | None) -> None:
    chosen = spread(questions)
    assert len(chosen) == taken
    assert (chosen[-1] if chosen else None) == last


@given(st.lists(st.integers(1, 400), min_size=1, max_size=300), st.integers(1, 2000))
def test_every_question_of_the_slice_is_scored_again_once(lengths: list[int], budget: int) -> None:
    members = [index for pack in other_packs(prepared(lengths), budget) for index in pack.members]
    assert sorted(members) == list(spread(len(lengths)))
    assert len(members) <= SLICE


def test_a_question_stands_in_other_company_than_before() -> None:
    lengths = [40 + 7 * index % 50 for index in range(200)]
    before = {frozenset(pack.members) for pack in compose(lengths, 2048, padded=False)}
    assert before.isdisjoint(frozenset(pack.members) for pack in other_packs(prepared(lengths), 1024))


def test_what_moved_is_counted_in_picks_and_in_nats() -> None:
    before = [(-1.0, -2.0), (-1.0, -2.0), (-1.0, -1.0), (-3.0, -math.inf)]
    after = [(-1.0, -2.0), (-2.5, -2.0), (-1.0, -1.25), (-3.0, -math.inf)]
    noise = compare(before, after, 1024, 0.5)
    assert (noise.questions, noise.flips, noise.largest, noise.pack_tokens) == (4, 2, 1.5, 1024)
    assert noise.mean == pytest.approx((1.5 + 0.25) / 7)


def test_an_option_that_is_impossible_in_one_of_the_scorings_does_not_count_as_moved() -> None:
    possible, impossible = (-1.0, -2.0, -4.0), (-1.0, -math.inf, -4.5)
    for before, after in ((possible, impossible), (impossible, possible)):
        noise = compare([before], [after], 1024, 0.5)
        assert (noise.flips, noise.largest, noise.mean) == (0, 0.5, 0.25)


def test_nothing_that_moved_is_no_noise() -> None:
    same = [(-1.0, -2.0)] * 3
    assert (compare(same, same, 1, 0.0).flips, compare(same, same, 1, 0.0).largest) == (0, 0.0)
