"""What a worker reads back of a reply that others had begun, and what of its own is still to be told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chat.client.reader import ReplyReader
from chat.protocol.turns import Ending, Entry, Piece, Progress, Stage, TokenScore, dump_entry
from proctor.nouns.conversations import Finish
from workers.conversation.streams import OutgoingEntry, ReplyWriter, SendResult, emitted


def piece(at: int, *tokens: int) -> Piece:
    return Piece(1, 1, at, 0, tokens, "")


def only(writer: ReplyWriter) -> OutgoingEntry:
    """The one piece that isn't told yet."""
    (note,) = writer.pieces()
    return note


def written(entries: Sequence[Entry]) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Entries as redis-py reads them from a stream."""
    return [
        (b"1-%d" % place, {name.encode(): value.encode() for name, value in dump_entry(entry).items()})
        for place, entry in enumerate(entries)
    ]


@pytest.mark.parametrize(
    ("pieces", "tokens"),
    [
        ([], ()),
        ([piece(0, 5, 6), piece(2, 7)], (5, 6, 7)),
        ([piece(0, 5, 6), piece(3, 8)], (5, 6)),  # a gap: what comes after it can't be joined on
        ([piece(1, 6), piece(0, 5)], (5,)),
        ([piece(0, 5, 6), piece(0, 5, 6, 7)], (5, 6, 7)),  # told again from the beginning, and further
        ([piece(0, 5, 6, 7), piece(0, 9)], (5, 6, 7)),  # a later attempt that is at its beginning yet
        ([piece(0, 5, 6), piece(0, 8, 9)], (5, 6)),  # no further than before: nothing new
        ([piece(0, 5, 6), piece(2)], (5, 6)),
        ([piece(0, 5, 6), piece(1, 8, 9)], (5, 8, 9)),
    ],
)
def test_the_tokens_of_a_stream_are_those_that_join_on(pieces: list[Piece], tokens: tuple[int, ...]) -> None:
    assert emitted(written(pieces)) == tokens


def test_what_is_no_piece_or_cannot_be_read_says_no_token() -> None:
    entries = written([Progress(Stage.ACCEPTED, 1), piece(0, 5), Ending(Finish.STOP)])
    assert emitted([*entries, (b"9-9", {b"entry": b"{"}), *written([piece(1, 6)])]) == (5, 6)


def test_a_piece_holds_what_is_not_told_yet_and_all_of_it_after_one_that_was_lost() -> None:
    writer = ReplyWriter("t1", 2)
    writer.say((5, 6), "Hel")
    first = only(writer)
    assert (first.attempt, first.seq, first.create) == (2, 1, True)
    assert first.entry == Piece(2, 1, 0, 0, (5, 6), "Hel")
    writer.heard(SendResult(sent=True))
    writer.say((7,), "lo")
    second = only(writer)
    assert (second.entry, second.create) == (Piece(2, 2, 2, 3, (7,), "lo"), False)
    writer.heard(SendResult(sent=False))
    assert only(writer).entry == Piece(2, 3, 0, 0, (5, 6, 7), "Hello")


def test_progress_makes_a_stream_where_there_is_none() -> None:
    reading = Progress(Stage.READING, 2)
    assert ReplyWriter("t1", 2).progress(reading) == OutgoingEntry("t1", 2, 1, reading, create=True)


def test_a_reply_ends_with_what_was_not_told_and_with_nothing_where_all_was() -> None:
    writer = ReplyWriter("t1", 1)
    writer.say((5,), "Hi")
    rest, ending = writer.end(Ending(Finish.STOP))
    assert rest.entry == Piece(1, 1, 0, 0, (5,), "Hi")
    assert (ending.seq, ending.entry, ending.create) == (2, Ending(Finish.STOP), True)
    writer.heard(SendResult(sent=True))
    assert [note.entry for note in writer.end(Ending(Finish.STOP))] == [Ending(Finish.STOP)]
    writer.say((), "!")  # bytes that were held back make a character: text without a token
    assert next(note.entry for note in writer.end(Ending(Finish.STOP))) == Piece(1, 4, 1, 2, (), "!")


def test_a_piece_has_the_scores_of_its_own_tokens() -> None:
    one, two = TokenScore(5, "Hi", -0.5), TokenScore(6, "!", -1.5)
    writer = ReplyWriter("t1", 1)
    writer.say((5,), "Hi", (one,))
    writer.heard(SendResult(sent=True))
    writer.say((6,), "!", (two,))
    told = only(writer).entry
    assert isinstance(told, Piece)
    assert told.scores == (two,)
    writer.say((7,), "")  # of one that an earlier attempt made nobody knows the score
    silent = only(writer).entry
    assert isinstance(silent, Piece)
    assert silent.scores == ()


def test_a_second_attempt_tells_the_scores_of_its_own_tokens_behind_those_of_the_first() -> None:
    writer = ReplyWriter("t1", 2)
    writer.say((5, 6), "Hi")
    seven, eight = TokenScore(7, " you", -0.5), TokenScore(8, "!", -1.5)
    writer.say((7,), " you", (seven,))
    first = [note.entry for note in writer.pieces()]
    assert first == [Piece(2, 1, 0, 0, (5, 6), "Hi"), Piece(2, 2, 2, 2, (7,), " you", (seven,))]
    writer.heard(SendResult(sent=True))
    writer.say((8,), "!", (eight,))
    assert only(writer).entry == Piece(2, 3, 3, 6, (8,), "!", (eight,))
    writer.heard(SendResult(sent=False))
    again = [note.entry for note in writer.pieces()]
    assert again == [Piece(2, 4, 0, 0, (5, 6), "Hi"), Piece(2, 5, 2, 2, (7, 8), " you!", (seven, eight))]
    # Whoever heard the first attempt lacks no score; the other is told of tokens without.
    heard = ReplyReader(tokens=2, _characters=2)
    assert [heard.take("2-5", entry) for entry in again] == [None, again[1]]
