"""Answer keys: which of the ways to write them a file means."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proctor.exams.keys import Style, read_key, resolve


def meant(*rows: tuple[object, Sequence[str]]) -> list[int | str]:
    """What the keys of one file mean, or why they mean nothing."""
    found = resolve([read_key(*row) for row in rows], [len(choices) for _, choices in rows])
    return [key.cause or key.index for key in found]


WORDS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("written", "index"),
    [(0, 0), (2, 2), (1.0, 1), ("2", 2), (" 1 ", 1), ("A", 0), ("c", 2), ("green", 1), (" blue", 2)],
)
def test_a_key_is_an_index_a_letter_or_an_options_text(written: object, index: int) -> None:
    assert meant((written, WORDS)) == [index]


@pytest.mark.parametrize("written", [3, -1, 1.5, True, None, float("nan"), "3", "D", "", "Green", "٢", "0x1", 10**30])
def test_what_is_none_of_these_is_no_key(written: object) -> None:
    (cause,) = meant((written, WORDS))
    assert "is not an index from 0 to 2, a letter from A to C, or the text of one option" in str(cause)


def test_a_number_in_json_is_an_index_and_never_an_options_text() -> None:
    assert meant((1, ("3", "2", "1", "0"))) == [1]
    assert read_key(1, ("3", "2", "1", "0")).readings == {Style.INDEX: 1}


def test_a_file_of_indexes_is_told_by_the_row_that_can_be_nothing_else() -> None:
    sums, words = ("3", "2", "1", "0"), WORDS
    assert meant(("1", sums), ("2", words)) == [1, 2]


def test_a_file_of_texts_is_told_by_the_row_that_can_be_nothing_else() -> None:
    sums, words = ("3", "2", "1", "0"), WORDS
    assert meant(("1", sums), ("blue", words)) == [2, 2]


def test_a_key_with_two_meanings_is_not_guessed() -> None:
    (cause,) = meant(("1", ("3", "2", "1", "0")))
    assert cause == "'1' can be read as index (B) and option's text (C)"


def test_two_ways_that_mean_the_same_are_no_trouble() -> None:
    assert meant(("1", ("0", "1", "2"))) == [1]


def test_styles_may_mix_where_each_key_has_one_meaning() -> None:
    assert meant(("A", WORDS), (1, WORDS), ("blue", WORDS)) == [0, 1, 2]


def test_a_text_that_two_options_share_is_no_key() -> None:
    (cause,) = meant(("x", ("x", "x", "y")))
    assert "the text of one option" in str(cause)


def test_a_row_without_a_key_does_not_hide_what_the_others_mean() -> None:
    sums = ("3", "2", "1", "0")
    found = meant(("1", sums), ("2", WORDS), ("purple", WORDS))
    assert found[:2] == [1, 2]
    assert "'purple' is not" in str(found[2])
