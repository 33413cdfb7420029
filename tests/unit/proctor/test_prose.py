"""Sentences on a terminal go on at a word; in a pipe they stay a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.prose import folded, tell

LONG = "Each model answers ten questions at each quantization. That is too few for a difference."


def test_a_long_line_goes_on_at_a_word_and_a_short_one_stays_as_it_is() -> None:
    assert folded(f"  a  b\n{LONG}", 40) == (
        "  a  b\nEach model answers ten questions at each\n  quantization. That is too few for a\n  difference."
    )


def test_what_goes_on_stands_below_its_line_and_deeper() -> None:
    assert folded("  one two three four", 12) == "  one two\n    three\n    four"


def test_a_word_wider_than_the_terminal_stays_whole() -> None:
    assert folded("see https://example.org/a-long-name now", 20) == "see\n  https://example.org/a-long-name\n  now"


@given(st.text("ab-/ \n"), st.integers(8, 40))
def test_no_word_is_cut_lost_or_added(text: str, width: int) -> None:
    assert folded(text, width).split() == text.split()


def test_in_a_pipe_a_line_stays_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    tell(LONG)
    tell(LONG, err=True)
    assert capsys.readouterr() == (f"{LONG}\n", f"{LONG}\n")
