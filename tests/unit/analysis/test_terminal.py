"""Tables at the width of a terminal: no word is ever cut into letters, and nothing is left out."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.data.tables import Column, Table
from analysis.report.standing import accuracy_table
from analysis.terminal import fitted, print_captioned, shared_out
from analysis.verdicts.standings import stand
from tests.panels import QUANTS, panel_of

PANEL = panel_of(6, 3, quants=QUANTS)
TABLES = {
    "accuracy": accuracy_table(PANEL, stand(PANEL)),
    "ids": Table(
        "lost",
        "Lost.",
        (Column("question"), Column("subject"), Column("key"), Column("text")),
        [("85e9298b9a3bdfeb", "high_school_european_history", "A", "Which of these is a long question? " * 4)],
    ),
    "picks": Table(
        "lost",
        "Lost.",
        (*map(Column, ("question", "subject", "key", "smollm2", "smollm2 4 bit", "text")),),
        [("e9fd0aa2cfb0eb5c", "everyday_science", "C", "C", "B", "What is the hexadecimal number 2A in decimal?")],
    ),
}


def printed(table: Table, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(fitted(table, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 61, 76, 80, 87, 120])
@pytest.mark.parametrize("name", TABLES)
def test_every_word_of_a_table_stands_whole_at_every_width(name: str, width: int) -> None:
    table, text = TABLES[name], printed(TABLES[name], width)
    assert all(len(line) <= width for line in text.splitlines())
    words = text.replace("│", " ").replace("┃", " ").split()
    for row in table.shown():
        for cell in row:
            assert set(cell.split()) <= set(words), cell


def test_a_table_that_does_not_fit_has_each_value_under_its_row_with_its_heading() -> None:
    first = printed(TABLES["accuracy"], 40).splitlines()
    at = next(place for place, line in enumerate(first) if line.startswith("Some-Model"))
    assert "right" in first[at + 1]
    assert "┃" in printed(TABLES["accuracy"], 200)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), min_size=1), st.integers(0, 99))
def test_columns_get_their_longest_word_and_of_the_rest_as_much_as_they_want_and_there_is(
    columns: list[tuple[int, int]], spare: int
) -> None:
    least, whole = [one for one, _ in columns], [one + more for one, more in columns]
    room = sum(least) + spare
    widths = shared_out(least, whole, room)
    assert all(low <= width <= high for low, width, high in zip(least, widths, whole, strict=True))
    assert sum(widths) == min(room, sum(whole))


@pytest.mark.parametrize("terminal", [False, True])
def test_a_caption_is_printed_once(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    print_captioned(TABLES["ids"])
    assert capsys.readouterr().out.count("Lost.") == 1
