"""Rows that pieces of ours make ready."""

from __future__ import annotations

import random

import pytest

from proctor.exams.tasks import native_rows
from proctor.exams.tasks.definition import Row

GPQA = [
    {
        "Question": f"Which {n}?",
        "Correct Answer": f" right  {n}",
        "Incorrect Answer 1": "a [title]b",
        "Incorrect Answer 2": "c [x] d",
        "Incorrect Answer 3": None,
    }
    for n in range(12)
]


def offered(row: Row) -> list[object]:
    return [row[f"choice{number}"] for number in range(1, 5)]


def test_gpqas_options_are_cleaned_and_the_answer_is_the_letter_of_the_right_one() -> None:
    for row in native_rows.gpqa(choices=True)(GPQA):
        assert set(offered(row)) == {f"right {str(row['Question'])[6:-1]}", "a. b", "c [x] d", " "}
        assert row["choices"] == offered(row)
        assert str(offered(row)["ABCD".index(str(row["answer"])[1])]).startswith("right")
    (first,) = native_rows.gpqa(marks=True)(GPQA[:1])
    assert "c d" in offered(first)
    assert "choices" not in first


def test_gpqas_order_follows_from_a_questions_text_where_the_release_has_no_seed() -> None:
    made = native_rows.gpqa()(GPQA)
    assert native_rows.gpqa()(GPQA[::-1]) == made[::-1]
    assert len({str(row["answer"]) for row in made}) > 1


def test_gpqas_order_is_the_releases_where_it_has_a_seed() -> None:
    shared = random.Random(42)  # noqa: S311 -- no secret
    for row, made in zip(GPQA, native_rows.gpqa(seed=42)(GPQA), strict=True):
        wanted = ["a. b", "c [x] d", " ", str(row["Correct Answer"]).strip().replace("  ", " ")]
        shared.shuffle(wanted)
        assert offered(made) == wanted


def test_options_are_gathered_from_lettered_columns() -> None:
    row = {"question": "Q", "A": "1", "B": "2", "C": "3", "D": "4", "E": "5", "F": None, "answer": "E"}
    (made,) = native_rows.lettered_columns("ABCD", "EF")([row])
    assert (made["questions"], made["choices"], made["goal"]) == ("Q", ["1", "2", "3", "4", "5"], 4)
    with pytest.raises(ValueError, match="'E' is not in list"):
        native_rows.lettered_columns("ABCD", "")([row])


def test_rows_without_an_answer_or_options_are_left_out() -> None:
    rows: list[Row] = [
        {"answer": 3, "candidates": ["", "x", "", ""]},
        {"answer": 4, "candidates": ["a", "b", "c", "d"]},
        {"answer": 0, "candidates": [""] * 4},
    ]
    assert native_rows.answered_rows(rows) == rows[:1]


def test_translated_arc_has_as_many_options_as_are_given() -> None:
    row = {"instruction": " Why [x]? ", "answer": "B", **{f"option_{one}": one for one in "abcd"}, "option_e": ""}
    (made,) = native_rows.translated_arc([row])
    assert (made["query"], made["choices"], made["gold"]) == ("Question: Why ?\nAnswer:", ["a", "b", "c", "d"], 1)
