"""Whatever is heard again, and in whatever pieces, is passed on once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.client.reader import BEGINNING, ReplyReader
from chat.protocol.turns import Ending, Piece, Progress, Stage
from proctor.nouns.conversations import Finish

REPLY = "Ünïcode, and plain words."


def pieces(attempt: int, cuts: list[int], start: int = 0) -> list[tuple[str, Piece]]:
    """The reply from `start`, one token a character, in pieces that end at `cuts`."""
    ends = sorted({cut for cut in cuts if start < cut < len(REPLY)} | {len(REPLY)})
    found = []
    for seq, end in enumerate(ends, 1):
        text = REPLY[start:end]
        found.append((f"{attempt}-{seq}", Piece(attempt, seq, start, start, tuple(map(ord, text)), text)))
        start = end
    return found


CUTS = st.lists(st.integers(1, len(REPLY) - 1), max_size=6)


@given(CUTS, CUTS, st.integers(0, 7), st.integers(0, len(REPLY) - 1))
def test_a_takeover_and_a_replay_give_each_character_once(
    first: list[int], second: list[int], heard: int, overlap: int
) -> None:
    reader = ReplyReader()
    fresh: list[Piece] = []
    for entry_id, piece in pieces(1, first)[:heard]:
        got = reader.take(entry_id, piece)
        assert isinstance(got, Piece)
        fresh.append(got)
    for entry_id, piece in pieces(2, second, min(overlap, reader.tokens)):
        got = reader.take(entry_id, piece)
        if isinstance(got, Piece):
            fresh.append(got)
    assert "".join(piece.text for piece in fresh) == REPLY == reader.text
    assert [token for piece in fresh for token in piece.tokens] == list(map(ord, REPLY))
    assert [piece.at_token for piece in fresh] == [piece.at_character for piece in fresh]


def test_a_gap_is_not_passed_over_but_heard_from_the_beginning() -> None:
    reader = ReplyReader()
    all_pieces = pieces(1, [5, 10])
    assert reader.take(*all_pieces[0]) is not None
    assert reader.take(*all_pieces[2]) is None
    assert reader.last_id == BEGINNING
    assert [reader.take(*each) is not None for each in all_pieces] == [False, True, True]
    assert reader.text == REPLY


def test_an_ending_is_kept_and_any_entry_says_that_a_worker_knows() -> None:
    assert not ReplyReader().accepted
    reader = ReplyReader()
    reader.take("0-1", Progress(Stage.ACCEPTED))
    assert reader.accepted
    assert ReplyReader().ending is None
    ending = Ending(Finish.STOP)
    assert reader.take("1-9", ending) is ending is reader.ending
    assert reader.last_id == "1-9"


def test_half_a_character_adds_a_token_and_no_text() -> None:
    reader = ReplyReader()
    assert reader.take("1-1", Piece(1, 1, 0, 0, (240,), "")) is not None
    assert (reader.tokens, reader.text) == (1, "")
    got = reader.take("1-2", Piece(1, 2, 1, 0, (159,), "🦆"))
    assert isinstance(got, Piece)
    assert (reader.tokens, reader.text) == (2, "🦆")
