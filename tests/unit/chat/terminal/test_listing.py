"""The list of conversations at the width of a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from chat.terminal.listing import listed
from proctor.nouns.conversations import ListedConversation

TIME = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
TITLE = "Which rivers of Europe end in the Black Sea, and where do they rise?"
ONE = ListedConversation("0123456789abcdef", TITLE, TIME, TIME, 4, "cpu/smollm2/none")


def test_a_conversation_is_a_line_where_there_is_room_or_no_terminal() -> None:
    for columns in (None, 160):
        (line,) = listed([ONE], columns)
        assert line.startswith("0123456789ab  2026-11-")
        assert line.endswith(f"  4  cpu/smollm2/none                  {TITLE}")


def test_a_title_for_which_there_is_no_room_stands_below_and_no_word_of_it_is_cut() -> None:
    for columns in (50, 80):
        text = "\n".join(listed([ONE], columns))
        assert max(map(len, text.splitlines())) <= columns
        assert text.split()[-14:] == TITLE.split()[-14:]
        assert "cpu/smollm2/none" in text.split()
