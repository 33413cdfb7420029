"""What is asked for when a conversation goes on: said, said again, gone on with, begun anew."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from chat.client.client import Reply, ReplySettings, new_id
from chat.client.session import ChatSession, settings_of
from chat.protocol.turns import Ending, Piece, TurnRequest
from proctor.errors import BadInput
from proctor.nouns.conversations import Conversation, Fault, Finish, History, Role, Turn, TurnStatus, Utterance
from proctor.nouns.models import Device, Quant
from tests.unit.chat.listener import Listener

NOW = datetime(2031, 5, 6, tzinfo=UTC)


@pytest.fixture
def talk() -> ChatSession:
    return ChatSession(Listener(), ReplySettings("parrot"))


def asked(talk: ChatSession) -> TurnRequest:
    assert isinstance(talk.client, Listener)
    return talk.client.asked[-1]


def end(talk: ChatSession, reply: Reply, text: str = "Hi!", fault: Fault | None = None) -> None:
    """The reply as a client has heard it."""
    if text:
        reply.reader.take("1-1", Piece(1, 1, 0, 0, (5,), text))
    reply.reader.take("1-2", Ending(Finish.FAILED if fault else Finish.STOP, fault=fault))
    talk.ended(reply)


def test_ids_are_96_random_bits() -> None:
    found = {new_id() for _ in range(100)}
    assert len(found) == 100
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in found)


def words(request: TurnRequest) -> list[tuple[Role, str]]:
    return [(each.role, each.content) for each in request.say]


def test_what_lies_in_front_is_said_once_with_the_next_message(talk: ChatSession) -> None:
    begun = [talk.begun]
    talk.lay([Utterance(Role.SYSTEM, "Be brief."), Utterance(Role.USER, "Hello"), Utterance(Role.ASSISTANT, "Hi")])
    assert [*begun, talk.begun] == [False, True]
    talk.set_system("Be kind.")  # in the place of the other one
    end(talk, talk.say("And?"))
    assert words(asked(talk)) == [
        (Role.USER, "Hello"),
        (Role.ASSISTANT, "Hi"),
        (Role.SYSTEM, "Be kind."),
        (Role.USER, "And?"),
    ]
    first = asked(talk)
    assert (talk.last_asked, talk.last_reply) == (f"{first.turn}-3", first.turn)
    talk.say("Then?")
    assert words(asked(talk)) == [(Role.USER, "Then?")]
    assert asked(talk).conversation == first.conversation


def test_again_answers_the_newest_message_and_going_on_the_newest_reply(talk: ChatSession) -> None:
    for act in (talk.again, talk.go_on):
        with pytest.raises(BadInput, match="yet"):
            act()
    end(talk, talk.say("Hello"))
    first = asked(talk)
    end(talk, talk.again())
    again = asked(talk)
    assert (words(again), again.after) == ([], f"{first.turn}-0")
    talk.go_on()
    assert (words(asked(talk)), asked(talk).after) == ([], again.turn)


def test_a_reply_of_which_nothing_came_is_not_gone_on_with(talk: ChatSession) -> None:
    end(talk, talk.say("Hello"))
    end(talk, talk.say("And?"), text="", fault=Fault.INTERNAL)
    assert talk.last_reply is None
    assert talk.last_asked == f"{asked(talk).turn}-0"  # it was filed, and can be answered again


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.FULL, Fault.BAD_REQUEST])
def test_what_was_not_filed_is_still_to_be_said(talk: ChatSession, fault: Fault) -> None:
    end(talk, talk.say("Hello"))
    before = (talk.last_asked, talk.last_reply)
    talk.set_system("Be kind.")
    end(talk, talk.say("And?"), text="", fault=fault)
    assert (talk.last_asked, talk.last_reply) == before
    talk.say("And?")
    assert words(asked(talk)) == [(Role.SYSTEM, "Be kind."), (Role.USER, "And?")]


def test_a_probe_changes_nothing(talk: ChatSession) -> None:
    talk.set_system("Be kind.")
    talk.score("Which?", ("A", "B"), History.OFF)
    request = asked(talk)
    assert (request.options, request.history, words(request)[-1]) == (("A", "B"), History.OFF, (Role.USER, "Which?"))
    assert words(request)[0] == (Role.SYSTEM, "Be kind.")
    assert talk.reply_settings.history is not History.OFF
    talk.say("Hello")
    assert words(asked(talk)) == [(Role.SYSTEM, "Be kind."), (Role.USER, "Hello")]
    assert asked(talk).options == ()


def test_nothing_is_not_said_and_a_new_conversation_has_another_id(talk: ChatSession) -> None:
    with pytest.raises(BadInput, match="nothing to say"):
        talk.say(" \n")
    end(talk, talk.say("Hello"))
    talk.set_system("Be kind.")
    before = talk.conversation
    talk.begin_anew()
    assert talk.conversation != before
    assert not talk.begun
    assert (talk.last_asked, talk.last_reply) == (None, None)


def turn(name: str, parent: str | None, role: Role, content: str, lane: str = "") -> Turn:
    return Turn(name, "c1", parent, 0, role, content, TurnStatus.DONE, NOW, lane=lane)


def test_a_conversation_is_resumed_where_it_was_left_and_by_whoever_answered_last(talk: ChatSession) -> None:
    turns = (
        turn("u1", None, Role.USER, "Hello"),
        turn("r1", "u1", Role.ASSISTANT, "Hi", "cpu/org/a@r1/none"),
        turn("u2", "r1", Role.USER, "And?"),
        turn("r2", "u2", Role.ASSISTANT, "", "gpu/org/b@r2/4bit"),
    )
    story = Conversation("c1", "t", NOW, NOW, "r2", turns, ())
    talk.lay([Utterance(Role.SYSTEM, "Be kind.")])
    talk.resume(story)
    assert (talk.conversation, talk.last_asked, talk.last_reply) == ("c1", "u2", "r1")
    talk.say("Go on.")
    assert words(asked(talk)) == [(Role.USER, "Go on.")]
    last = settings_of(story, ReplySettings("other", history=History.OFF))
    assert (last.model, last.quant, last.device, last.history) == (
        "org/b@r2",
        Quant.FOUR_BIT,
        Device.GPU,
        History.OFF,
    )
    nobody = Conversation("c1", "t", NOW, NOW, None, (), ())
    assert settings_of(nobody, ReplySettings("other")) == ReplySettings("other")
