"""Each command of the terminal: what it asks for, what it changes, what it says."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chat.client.client import ReplySettings
from chat.client.connect import Connection
from chat.client.session import ChatSession
from chat.protocol.inquiries import Answer, Inquiry, InquiryKind
from chat.protocol.turns import Ending, Piece
from chat.terminal.commands import COMMANDS, TerminalSession, obey
from chat.terminal.screen import Screen
from proctor.errors import BadInput, UnknownName
from proctor.nouns.conversations import Conversation, Finish, History, Role, Summary, Turn, TurnStatus, Utterance
from tests.unit.chat.listener import Listener

NOW = datetime(2031, 5, 6, tzinfo=UTC)


def turn(name: str, parent: str | None, position: int, role: Role, content: str) -> Turn:
    return Turn(name, "c1", parent, position, role, content, TurnStatus.DONE, NOW)


TURNS = (turn("u1", None, 0, Role.USER, "Hello"), turn("r1", "u1", 1, Role.ASSISTANT, "Hi"))


def summary(number: int, undone: bool = False) -> Summary:
    return Summary(number, "c1", "r1", f"- User: {number}.", "facts", 9, 3, NOW, NOW if undone else None)


class Room:
    """A parlour, and all that goes in and out of it."""

    def __init__(self, folder: Path) -> None:
        self.out = io.StringIO()
        self.client = Listener()
        self.inquiries: list[Inquiry] = []
        self.summaries: tuple[Summary, ...] = ()
        self.edited: list[str] = []
        self.written: str | None = None  # what the editor gives back
        place = Connection(self.client, self._answer, "nowhere", "redis://127.0.0.1:1/0")
        talk = ChatSession(self.client, ReplySettings("parrot"))
        self.session = TerminalSession(talk, place, Screen(self.out, styled=False), folder, edit=self._edit)

    def _answer(self, inquiry: Inquiry) -> Answer:
        self.inquiries.append(inquiry)
        if inquiry.what is InquiryKind.UNDO_SUMMARY:
            kept = [each for each in self.summaries if each.id != inquiry.summary]
            self.summaries = (*kept, summary(inquiry.summary, undone=True))
        return Answer(story=Conversation("c1", "Hello", NOW, NOW, "r1", TURNS, self.summaries))

    def _edit(self, text: str) -> str | None:
        self.edited.append(text)
        return self.written

    def obey(self, line: str) -> str:
        """What a line that asks for no reply says."""
        before = len(self.out.getvalue())
        assert obey(self.session, line) is None
        return self.out.getvalue()[before:]

    def begin(self) -> None:
        """Something is said and answered."""
        reply = self.session.talk.say("Hello")
        reply.reader.take("1-1", Piece(1, 1, 0, 0, (5,), "Hi"))
        reply.reader.take("1-2", Ending(Finish.STOP))
        self.session.talk.ended(reply)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_replies_are_shown_as_they_come_or_whole_as_was_said(room: Room) -> None:
    assert room.session.streaming
    steps = [("/stream", False), ("/stream", True), ("/stream OFF", False), ("/stream off", False)]
    for line, streaming in [*steps, ("/stream perhaps", False), ("/stream On", True), ("/stream perhaps", True)]:
        shown = "as they come" if streaming else "when they are complete"
        assert room.obey(line) == f"replies are shown {shown}\n"
        assert room.session.streaming is streaming


def test_what_the_editor_gives_back_is_said(room: Room) -> None:
    room.written = "A longer\nmessage."
    reply = obey(room.session, "/edit  A longer ")
    assert reply is not None
    assert room.edited == ["A longer"]
    assert [each.content for each in reply.request.say] == ["A longer\nmessage."]


@pytest.mark.parametrize("written", [None, "", " \n"])
def test_where_the_editor_gives_nothing_back_nothing_is_said(room: Room, written: str | None) -> None:
    room.written = written
    assert room.obey("/edit") == "nothing is said\n"
    assert room.client.asked == []


def test_a_setting_is_shown_and_goes_with_the_next_message(room: Room) -> None:
    assert room.obey("/set seed 11") == "seed 11\n"
    assert room.obey("/set top_k 7") == "top_k 7\n"
    assert room.obey("/set stop a|\\n") == "stop a|\\n\n"
    assert room.session.talk.reply_settings.sampling.seed == 11
    obey(room.session, "/set seed none")
    shown = room.obey("/set").splitlines()
    assert [line.partition(" ")[0] for line in shown] == [
        "temperature", "top_p", "top_k", "repetition_penalty", "seed", "max_tokens", "stop"
    ]  # fmt: skip
    assert {"top_k 7", "seed none", "stop a|\\n"} <= {*shown}
    request = room.session.talk.say("Hello").request
    assert (request.sampling.seed, request.sampling.top_k, request.sampling.stop) == (None, 7, ("a", "\n"))


@pytest.mark.parametrize(
    ("said", "history", "shown"),
    [
        ("on", History.SUMMARY, "history on: the newest exchanges that fit, and a summary"),
        ("WINDOW", History.WINDOW, "history window: the newest exchanges that fit\n"),
        ("all", History.ALL, "history all: everything, or an error"),
        ("off", History.OFF, "history off: the model reads only what you say now"),
    ],
)
def test_a_history_is_taken_and_told(room: Room, said: str, history: History, shown: str) -> None:
    assert room.obey(f"/history {said}").startswith(shown)
    assert room.obey("/history").startswith(shown)
    assert room.session.talk.say("Hello").request.history is history


def test_what_no_command_takes_is_refused_with_what_it_does(room: Room) -> None:
    for line, said in (
        ("/history some", "/history some means nothing. It is one of on, off, window, all."),
        ("/system", "/system wants the prompt."),
        ("/probe arithmetic", "/probe wants a subject and a question's number, from 0."),
        ("/probe 3", "/probe wants a subject and a question's number, from 0."),
    ):
        with pytest.raises(BadInput) as refused:
            obey(room.session, line)
        assert str(refused.value).startswith(said)
    with pytest.raises(UnknownName, match="/history"):
        obey(room.session, "/hisory on")
    with pytest.raises(EOFError):
        obey(room.session, "/quit")


def test_help_lists_every_command(room: Room) -> None:
    shown = room.obey("/help").splitlines()
    column = shown[0].index("this list")
    for command, line in zip(COMMANDS, shown, strict=False):
        assert (line[:column].strip(), line[column:]) == (command.usage, command.does)
    assert len(shown) == len(COMMANDS) + 2


def test_nothing_is_kept_of_a_conversation_in_which_nothing_was_said(room: Room) -> None:
    for line in ("/stats", "/summary", "/summary undo", "/save talk.json"):
        with pytest.raises(BadInput, match="Nothing has been said in this conversation yet"):
            obey(room.session, line)
    assert room.inquiries == []


def test_the_newest_summary_in_use_is_taken_back(room: Room) -> None:
    room.begin()
    assert room.obey("/summary") == "nothing is summarised yet\n"
    room.summaries = (summary(1), summary(2), summary(3, undone=True))
    assert room.obey("/summary").startswith("summary 1 (in use)")
    shown = room.obey("/summary undo")
    assert [each.summary for each in room.inquiries if each.what is InquiryKind.UNDO_SUMMARY] == [2]
    assert shown.startswith("taken back: its messages are read again")
    assert "summary 2 (taken back)" in shown
    with pytest.raises(BadInput, match="/summary all means nothing"):
        obey(room.session, "/summary all")
    obey(room.session, "/summary undo")
    with pytest.raises(BadInput, match="No summary is in use"):
        obey(room.session, "/summary undo")


def test_a_conversation_is_saved_once_and_loaded_into_a_new_one(room: Room, tmp_path: Path) -> None:
    room.begin()
    before = room.session.talk.conversation
    path = tmp_path / "talk.json"
    assert room.obey("/save talk.json") == f"2 messages written to {path}\n"
    with pytest.raises(BadInput, match="there already"):
        obey(room.session, "/save talk.json")
    path.write_text("[]", "utf-8")
    room.obey("/save! talk.json")
    assert [each["content"] for each in json.loads(path.read_text("utf-8"))["messages"]] == ["Hello", "Hi"]
    assert room.obey("/load talk.json").startswith(f"2 messages read from {path}")
    request = room.session.talk.say("And?").request
    assert request.conversation != before
    assert request.say == (
        Utterance(Role.USER, "Hello"),
        Utterance(Role.ASSISTANT, "Hi"),
        Utterance(Role.USER, "And?"),
    )
    assert room.obey("/clear").startswith("a new conversation")
    assert not room.session.talk.begun
    assert room.session.talk.conversation != request.conversation


def test_a_file_is_said_behind_its_question(room: Room, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Herons wade.\n\n", "utf-8")
    for line, front in (("/file notes.txt  What wades? ", "What wades?\n\n"), ("/file notes.txt", "")):
        reply = obey(room.session, line)
        assert reply is not None
        assert reply.request.say[-1].content == f"{front}notes.txt:\n```\nHerons wade.\n```"


def test_the_newest_reply_is_answered_again_or_gone_on_with(room: Room) -> None:
    room.begin()
    first = room.client.asked[-1].turn
    for line, after in (("/retry", f"{first}-0"), ("/continue", first)):
        reply = obey(room.session, line)
        assert reply is not None
        assert (reply.request.say, reply.request.after) == ((), after)


def test_a_system_prompt_goes_with_the_next_message(room: Room) -> None:
    assert room.obey("/system  Be kind. ") == "the system prompt from your next message on\n"
    assert room.session.talk.say("Hello").request.say[0] == Utterance(Role.SYSTEM, "Be kind.")
