"""Text that streams into a terminal: no word is torn at its edge, and none is lost."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.terminal.wrap import WordWrap

COLUMNS = 20


def seen(*pieces: str) -> list[str]:
    """The lines of a terminal of 20 columns after these pieces."""
    screen = pyte.Screen(COLUMNS, 60)
    screen.set_mode(pyte.modes.LNM)
    stream, flow = pyte.Stream(screen), WordWrap(COLUMNS)
    for piece in pieces:
        stream.feed(flow.take(piece))
    return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")


def test_a_word_that_reaches_the_edge_goes_on_in_the_next_line() -> None:
    assert seen("the relentless pur", "su", "it of knowledge") == ["the relentless", "pursuit of", "knowledge"]


def test_a_space_at_the_edge_begins_no_line() -> None:
    assert seen("abcdefghi jklmnopqr stuvw") == ["abcdefghi jklmnopqr", "stuvw"]


def test_a_word_longer_than_a_line_is_left_to_the_terminal() -> None:
    address = "https://example.org/" + "x" * 30
    assert "".join(seen(f"see {address}")).replace(" ", "") == f"see{address}"


def test_wide_characters_are_broken_anywhere() -> None:
    assert "".join(seen("ab " + "月" * 12)).replace(" ", "") == "ab" + "月" * 12


@given(st.lists(st.text(alphabet="abc dé\n", max_size=12), max_size=12))
def test_nothing_is_lost_and_no_word_that_fits_is_torn(pieces: list[str]) -> None:
    said, shown = "".join(pieces).split(), seen(*pieces)
    assert "".join(said) == "".join("".join(shown).split())
    if all(len(word) < COLUMNS - 1 for word in said):
        assert [word for line in shown for word in line.split()] == said


@pytest.mark.parametrize("text", ["", "\n\n", "one\ttwo"])
def test_line_breaks_and_tabs_stay_as_they_are(text: str) -> None:
    assert WordWrap(80).take(text) == text
