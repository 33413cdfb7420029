"""Examples are drawn as lm-evaluation-harness 0.4.13 draws them: one generator a task, in the order of all its rows."""

from __future__ import annotations

from random import Random

import pytest

from proctor.errors import BadExam
from proctor.exams.tasks.definition import Rows
from proctor.exams.tasks.draw import copies_of, draw, first

SEED = 1234


def test_a_draw_is_one_sample_a_row_of_one_generator() -> None:
    random = Random(SEED)  # noqa: S311 -- the published draw
    assert draw(50, 4, 3, SEED) == [tuple(random.sample(range(50), 3)) for _ in range(4)]


def test_the_places_are_those_of_a_sample_of_the_rows_themselves() -> None:
    pool = [f"row {place}" for place in range(50)]
    random = Random(SEED)  # noqa: S311 -- the published draw
    assert [[pool[place] for place in row] for row in draw(50, 3, 5, SEED)] == [random.sample(pool, 5) for _ in "abc"]


def test_the_first_rows_have_the_same_examples_however_many_follow() -> None:
    assert draw(50, 100, 5, SEED)[:7] == draw(50, 7, 5, SEED)


def test_no_examples_need_no_pool() -> None:
    assert draw(0, 2, 0, SEED) == first(0, 2, 0) == [(), ()]


def test_a_row_that_may_meet_itself_is_taken_out_of_one_more() -> None:
    random = Random(SEED)  # noqa: S311 -- the published draw
    wanted = []
    for row in range(20):
        drawn = random.sample(range(6), 4)
        wanted.append(tuple(place for place in drawn if place != row % 6)[:3])
    copies = [[row % 6] for row in range(20)]
    assert draw(6, 20, 3, SEED, copies) == wanted
    assert not any(set(row) & set(out) for row, out in zip(wanted, copies, strict=True))


def test_where_copies_leave_too_few_all_are_drawn_anew_without_them() -> None:
    copies = [[0, 1, 2]] * 10
    random = Random(SEED)  # noqa: S311 -- the published draw
    wanted = []
    for _ in range(10):
        kept = [place for place in random.sample(range(6), 4) if place > 2][:3]
        wanted.append(tuple(kept if len(kept) == 3 else random.sample([3, 4, 5], 3)))
    assert draw(6, 10, 3, SEED, copies) == wanted


def test_the_first_examples_leave_out_what_equals_the_row() -> None:
    assert first(4, 2, 2, [[0], [3]]) == [(1, 2), (0, 1)]
    assert first(4, 1, 2) == [(0, 1)]


@pytest.mark.parametrize("copies", [None, [[]]])
def test_a_pool_that_is_too_small_is_refused(copies: list[list[int]] | None) -> None:
    with pytest.raises(BadExam, match=r"5 are to be had|5 examples"):
        draw(5 if copies is None else 4, 1, 6 if copies is None else 4, SEED, copies)


def test_rows_are_equal_by_content() -> None:
    row = {"question": "Why?", "choices": {"text": ["a", "b"]}, "n": None}
    other = {**row, "choices": {"text": ["a", "c"]}}
    assert copies_of([row, other, {}], [other, dict(row), {"n": 1}, dict(row)]) == [[1, 3], [0], ()]


@pytest.mark.parametrize(
    ("rows", "meets"),
    [
        (Rows("x", training="train", validation="validation"), True),  # neither is named: None == None
        (Rows("x", training="train", test="test"), False),
        (Rows("x", training="train", test="test", pool="train"), False),
        (Rows("x", test="test", pool="test"), True),
        (Rows("x", test="test"), False),  # the row may then show itself, as there
        (Rows("x", validation="validation", pool="validation"), False),
    ],
)
def test_a_row_is_taken_out_of_its_examples_where_pool_and_test_split_have_one_name(rows: Rows, meets: bool) -> None:
    assert rows.may_meet_itself is meets
