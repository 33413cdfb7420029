"""Answer keys: which of the ways to write them a file means."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proctor.exams.reading.keys import Style, read_key, resolve


def meant(*rows: tuple[object, Sequence[str]]) -> list[int | str]:
    """What the keys of one file mean, or why they mean nothing."""
    found = resolve([read_key(*row) for row in rows], [len(choices) for _, choices in rows])
    return [key.cause or key.index for key in found.keys]


WORDS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("written", "index"),
    [(0, 0), (2, 2), (1.0, 1), ("2", 2), (" 1 ", 1), ("A", 0), ("c", 2), ("green", 1), (" blue", 2)],
)
def test_a_key_is_an_index_a_letter_or_an_options_text(written: object, index: int) -> None:
    assert meant((written, WORDS)) == [index]


@pytest.mark.parametrize("written", [3, -1, 1.5, True, None, float("nan"), "3", "D", "", "Green", "٢", "0x1", 10**30])
def test_what_is_none_of_these_is_no_key(written: object) -> None:
    _, cause = meant((0, WORDS), (written, WORDS))
    assert "is not an index from 0 to 2, a letter from A to C, or the text of one option" in str(cause)


def test_a_number_that_is_also_an_options_text_is_not_guessed_in_json_either() -> None:
    assert meant((1, ("3", "2", "1", "0"))) == ["1 can be read as index from 0 (B) and option's text (C)"]
    assert meant((1, ("3", "2", "1", "0")), (3, (*WORDS, "x"))) == [1, 3]
    assert meant((1, ("3", "2", "1", "0")), (12, ("11", "12"))) == [2, 1]
    assert meant((2.5, ("2.5", "3.5")), (4.0, ("4.0", "4"))) == [
        0,
        "4.0 is not an index from 0 to 1, a letter from A to B, or the text of one option",
    ]


def test_a_file_of_numbers_with_the_last_one_and_no_0_counts_from_1() -> None:
    keys = [read_key(key, (*WORDS, "black")) for key in (1, 4, 2)]
    found = resolve(keys, [4, 4, 4])
    assert [key.index for key in found.keys] == [0, 3, 1]
    assert found.from_one == 1


def test_a_file_of_numbers_with_a_0_counts_from_0_and_its_last_one_is_no_key() -> None:
    keys = [read_key(key, WORDS) for key in ("0", "3", "2")]
    found = resolve(keys, [3, 3, 3])
    assert [key.index for key in found.keys] == [0, -1, 2]
    assert found.keys[1].cause.startswith("'3' is not an index from 0 to 2")
    assert found.from_one is None


def test_a_number_among_letters_is_refused_unless_the_file_shows_where_it_counts_from() -> None:
    assert meant(("A", WORDS), ("C", WORDS), ("1", WORDS)) == [
        0,
        2,
        "'1' can be read as index from 0 (B) and number from 1 (A)",
    ]
    assert meant(("A", WORDS), ("0", WORDS), ("1", WORDS)) == [0, 0, 1]
    assert meant(("A", WORDS), ("3", WORDS), (1, WORDS)) == [0, 2, 0]
    both = meant(("A", WORDS), ("0", WORDS), ("3", WORDS), ("1", WORDS))
    assert both[:2] + both[3:] == [0, 0, 1]
    assert str(both[2]).startswith("'3' is not an index from 0 to 2")


def test_ten_and_eleven_are_indexes_where_there_are_twelve_options() -> None:
    twelve = tuple(f"option {n}" for n in range(12))
    assert meant(("10", twelve), ("11", twelve), ("0", twelve)) == [10, 11, 0]


def test_a_key_is_an_options_text_although_white_space_stands_around_the_option() -> None:
    assert meant(("green", ("red", " green ", "blue"))) == [1]


@pytest.mark.parametrize(
    ("written", "labels", "index"),
    [("B", "ABCD", 1), ("1", "1234", 0), (4, "1234", 3), ("4", "1234", 3), (" D ", "ABCD", 3), (2.0, "1234", 1)],
)
def test_a_key_of_a_row_with_labels_is_one_of_them(written: object, labels: str, index: int) -> None:
    key = read_key(written, ("4", "3", "2", "1"), tuple(labels))
    assert key.readings == {Style.LABEL: index}


def test_labels_are_read_row_by_row_whatever_the_rest_of_the_file_does() -> None:
    keys = [
        read_key("1", WORDS, ("1", "2", "3")),
        read_key("A", WORDS, ("A", "B", "C")),
        read_key("E", WORDS, ("A", "B", "C")),
    ]
    found = resolve([*keys, read_key(1, WORDS), read_key("", WORDS, ("1", "2", "3"))], [3] * 5).keys
    assert [key.index for key in found] == [0, 0, -1, 1, -1]
    assert found[2].cause == "'E' is not one of the labels 'A', 'B', 'C'"


def test_a_file_of_indexes_is_told_by_the_row_that_can_be_nothing_else() -> None:
    sums, words = ("3", "2", "1", "0"), WORDS
    assert meant(("1", sums), ("2", words)) == [1, 2]


def test_a_file_of_texts_is_told_by_the_row_that_can_be_nothing_else() -> None:
    sums, words = ("3", "2", "1", "0"), WORDS
    assert meant(("1", sums), ("blue", words)) == [2, 2]


def test_a_key_with_two_meanings_is_not_guessed() -> None:
    (cause,) = meant(("1", ("3", "2", "1", "0")))
    assert cause == "'1' can be read as index from 0 (B) and option's text (C)"


def test_two_ways_that_mean_the_same_are_no_trouble() -> None:
    assert meant(("1", ("0", "1", "2"))) == [1]


def test_styles_may_mix_where_each_key_has_one_meaning() -> None:
    assert meant(("A", WORDS), (0, WORDS), ("blue", WORDS)) == [0, 0, 2]


def test_a_text_that_two_options_share_is_no_key() -> None:
    (cause,) = meant(("x", ("x", "x", "y")))
    assert "the text of one option" in str(cause)


def test_a_row_without_a_key_does_not_hide_what_the_others_mean() -> None:
    sums = ("3", "2", "1", "0")
    found = meant(("1", sums), ("2", WORDS), ("purple", WORDS))
    assert found[:2] == [1, 2]
    assert "'purple' is not" in str(found[2])
