"""Windows of a page: every token is scored once, behind as much as the model can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engines.scoring import Continuation
from workers.engines.windows import parts_of, windows_of

BEGIN = -1


@given(length=st.integers(0, 60), window=st.integers(1, 20))
def test_each_token_is_scored_once_behind_what_stands_before_it(length: int, window: int) -> None:
    tokens = list(range(length))
    found = windows_of(tokens, window, BEGIN)
    assert [token for one in found for token in one.line[-one.scored :]] == tokens
    page = [BEGIN, *tokens]
    for number, one in enumerate(found):
        start = page.index(one.line[0])
        assert list(one.line) == page[start : start + len(one.line)]
        assert one.scored < len(one.line) <= window + 1
        assert number == 0 or len(one.line) == window + 1


@pytest.mark.parametrize(
    ("length", "lines"),
    [
        (3, [((BEGIN, 0, 1, 2), 3)]),
        (4, [((BEGIN, 0, 1, 2, 3), 4)]),
        (8, [((BEGIN, 0, 1, 2, 3), 4), ((3, 4, 5, 6, 7), 4)]),
        (9, [((BEGIN, 0, 1, 2, 3), 4), ((3, 4, 5, 6, 7), 4), ((4, 5, 6, 7, 8), 1)]),
        (0, []),
    ],
)
def test_later_windows_have_one_token_of_context_and_the_last_as_many_as_fit(
    length: int, lines: list[tuple[tuple[int, ...], int]]
) -> None:
    assert windows_of(list(range(length)), 4, BEGIN) == tuple(Continuation(*line) for line in lines)


@given(before=st.integers(1, 9), scored=st.integers(1, 30), most=st.integers(1, 12))
def test_a_window_in_parts_is_scored_once(before: int, scored: int, most: int) -> None:
    window = Continuation(tuple(range(before + scored)), scored)
    parts = parts_of(window, most)
    assert [token for part in parts for token in part.line[-part.scored :]] == list(window.line[before:])
    assert all(part.scored <= most and part.line == window.line[: len(part.line)] for part in parts)
    assert len(parts) == -(-scored // most)
