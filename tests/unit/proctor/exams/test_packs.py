"""Packs: a pure function of lengths and budget."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.exams.packs import compose

lengths = st.lists(st.integers(1, 3000), max_size=120)
budgets = st.integers(1, 5000)


@given(lengths, budgets)
def test_every_prompt_stands_in_exactly_one_pack(lengths: list[int], budget: int) -> None:
    members = [member for pack in compose(lengths, budget) for member in pack.members]
    assert sorted(members) == list(range(len(lengths)))


@given(lengths, budgets)
def test_a_padded_pack_is_within_the_budget_or_has_one_member(lengths: list[int], budget: int) -> None:
    for pack in compose(lengths, budget):
        padded = len(pack.members) * max(lengths[member] for member in pack.members)
        assert padded <= budget or len(pack.members) == 1


@given(lengths, budgets)
def test_packs_go_from_the_longest_prompt_to_the_shortest(lengths: list[int], budget: int) -> None:
    order = [member for pack in compose(lengths, budget) for member in pack.members]
    assert [lengths[member] for member in order] == sorted(lengths, reverse=True)
    assert all(a < b for a, b in pairwise(order) if lengths[a] == lengths[b])


@given(lengths, budgets)
def test_no_pack_has_room_for_the_next_prompt(lengths: list[int], budget: int) -> None:
    packs = compose(lengths, budget)
    for pack in packs[:-1]:
        assert (len(pack.members) + 1) * lengths[pack.members[0]] > budget


@given(lengths, budgets)
def test_packs_are_numbered_in_order(lengths: list[int], budget: int) -> None:
    assert [pack.index for pack in compose(lengths, budget)] == list(range(len(compose(lengths, budget))))


def test_an_example() -> None:
    assert [pack.members for pack in compose([10, 30, 20, 200, 30], 60)] == [(3,), (1, 4), (2, 0)]


def test_nothing_to_ask_makes_no_packs() -> None:
    assert compose([], 2048) == ()


@pytest.mark.parametrize(("lengths", "budget"), [([5, 0], 10), ([-1], 10), ([5], 0), ([], 0)])
def test_lengths_and_budget_below_one_are_refused(lengths: list[int], budget: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        compose(lengths, budget)


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 120))
def test_unpadded_packs_hold_the_sum_of_their_members(lengths: list[int], budget: int) -> None:
    packs = compose(lengths, budget, padded=False)
    assert sorted(member for pack in packs for member in pack.members) == list(range(len(lengths)))
    sizes = [sum(lengths[member] for member in pack.members) for pack in packs]
    assert all(size <= budget or len(pack.members) == 1 for size, pack in zip(sizes, packs, strict=True))
    assert packs == compose(lengths, budget, padded=False)
