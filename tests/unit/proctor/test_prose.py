"""Sentences on a terminal go on at a word; in a pipe they stay a line."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.prose import folded, stacked, tell

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


def test_colours_take_no_room() -> None:
    red = click.style("Error:", fg="red", bold=True)
    assert folded(f"{red} a model that isn't there", 20) == f"{red} a model that\n  isn't there"


def test_a_number_and_its_unit_stay_together() -> None:
    assert folded("about 0.56 GB, 30 MiB", 10) == "about\n  0.56 GB,\n  30 MiB"
    assert folded("it has 12 % right", 9) == "it has\n  12 %\n  right"
    assert folded("a\N{NO-BREAK SPACE}% b", 4) == "a\N{NO-BREAK SPACE}%\n  b"


def test_of_a_stacked_row_each_cell_stays_with_its_heading() -> None:
    heads, cells = ("model", "change, points", "p (Holm)", "note", "right"), ("tiny 4 bit", "+1.2", ".344", "", "0.2 %")
    assert stacked(heads, cells, 40) == "tiny 4 bit\n  change, points: +1.2 · p (Holm): .344\n  right: 0.2 %"
    assert stacked(heads, cells, 34) == "tiny 4 bit\n  change, points: +1.2\n  p (Holm): .344 · right: 0.2 %"
    assert stacked(("a", "a long heading"), ("x", "and a cell"), 16) == "x\n  a long\n    heading: and\n    a cell"


def test_in_a_pipe_a_line_stays_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    tell(LONG)
    tell(LONG, err=True)
    assert capsys.readouterr() == (f"{LONG}\n", f"{LONG}\n")
