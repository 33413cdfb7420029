"""Inquiries, answered from both databases as they travel."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.client.connect import reader
from chat.protocol.answers import reply_to
from chat.protocol.inquiries import Answer, Inquiry, InquiryKind, Unanswered, load_answer
from proctor.nouns.conversations import Conversation, History, Role, Sampling, TurnStatus, Utterance
from proctor.nouns.models import Device, ModelRef, ModelSource, Quant
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.conversations.filing import Filing, file_turn
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import workers
from proctor.wire import to_json


def file(store: Store, turn: str, conversation: str, text: str) -> None:
    filing = Filing(
        turn_id=turn,
        conversation_id=conversation,
        model=ModelRef("smollm2", ModelSource.DEMO, "r1"),
        quant=Quant.NONE,
        device=Device.CPU,
        sampling=Sampling(seed=1),
        history=History.SUMMARY,
        broker="b",
        say=(Utterance(Role.USER, text),),
    )
    file_turn(store, filing)


def ask(store: Store, what: InquiryKind, conversation: str = "", text: str = "", summary: int = 0) -> Answer:
    replied = reply_to(store, to_json(Inquiry("i1", what, conversation, text, summary)))
    assert replied is not None
    assert replied[0] == "i1"
    return load_answer(replied[1])


def story(answer: Answer) -> Conversation:
    assert answer.story is not None
    return answer.story


def test_conversations_are_listed_and_searched(store: Store) -> None:
    file(store, "t1", "c1", "What is a heron?")
    file(store, "t2", "c2", "100% of rivers")
    assert {row.id for row in ask(store, InquiryKind.CONVERSATIONS).conversations} == {"c1", "c2"}
    (found,) = ask(store, InquiryKind.CONVERSATIONS, text="HERON").conversations
    assert (found.id, found.title, found.turns, found.lane) == ("c1", "What is a heron?", 2, "cpu/smollm2@r1/none")
    assert ask(store, InquiryKind.CONVERSATIONS, text="0%_of").conversations == ()


def test_a_conversation_comes_whole_by_the_beginning_of_its_id(store: Store) -> None:
    file(store, "t1", "conversation1", "Grüße, \u2028 \x1b[31m 🦆")
    found = story(ask(store, InquiryKind.CONVERSATION, "conv"))
    kept = conversations.load(store, "conversation1")
    assert (found.id, found.turns, found.created_at) == (kept.id, kept.turns, kept.created_at)
    assert [(turn.id, turn.status) for turn in found.turns] == [("t1-0", TurnStatus.DONE), ("t1", TurnStatus.PENDING)]


def test_a_summary_is_taken_back_once_however_often_it_is_asked(store: Store) -> None:
    file(store, "t1", "c1", "hello")
    first, second = (
        conversations.add_summary(store, "c1", "t1", content=text, method="facts", source_tokens=9, tokens=2)
        for text in ("one", "two")
    )
    for _ in range(2):
        after = story(ask(store, InquiryKind.UNDO_SUMMARY, "c1", summary=second.id)).summaries
        assert [row.undone_at is None for row in after] == [True, False]
    assert after[0] == first


def test_what_is_not_there_is_refused_with_the_reason(store: Store) -> None:
    with pytest.raises(Unanswered, match="Unknown conversation 'nope'"):
        ask(store, InquiryKind.CONVERSATION, "nope")
    assert reply_to(store, "no inquiry") is None
    assert reply_to(store, '{"id":"i1","what":"drop tables"}') is None


def test_workers_that_live_are_told_with_what_they_hold(store: Store) -> None:
    workers.register(store, WorkerCard("cpu@host:1", "host", Device.CPU, "a CPU", 1))
    assert [(held.worker, held.lane) for held in ask(store, InquiryKind.LANES).held] == [("cpu@host:1", "")]


def test_without_a_fleet_the_database_of_this_machine_is_asked(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'proctor.db'}")
    with open_store(settings) as store:
        file(store, "t1", "c1", "What is a heron?")
    found = reader(settings)(Inquiry("i1", InquiryKind.CONVERSATIONS))
    assert [row.id for row in found.conversations] == ["c1"]
    with pytest.raises(Unanswered, match="Unknown conversation 'nope'"):
        reader(settings)(Inquiry("i2", InquiryKind.CONVERSATION, "nope"))
