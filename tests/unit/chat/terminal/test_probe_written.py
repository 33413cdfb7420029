"""`/probe` of a written answer: asked here and alone, stopped where its exam stops it, marked by its form."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest

from chat.client.client import Reply, ReplySettings, TurnFailed
from chat.client.session import ChatSession
from chat.protocol.turns import Ending, Entry, Piece, TurnRequest
from chat.terminal.probe import find_question
from chat.terminal.probe_written import as_message, lines, probe_written
from proctor.errors import BadInput
from proctor.exams.tasks.form import Chain, Form, Headline, Kind, Metric, Step
from proctor.nouns.conversations import Fault, Finish, History
from proctor.nouns.exams import Question
from tests.unit.chat.listener import Listener

NUMBER = Chain("strict", (Step("regex", {"regex_pattern": r"#### (\d+)"}), Step("take_first")))
FORM = Form(
    Kind.WRITE,
    (Metric("exact_match"),),
    Headline("exact_match", "strict"),
    description="Sums.\n\n",
    chains=(NUMBER,),
    until=("\n\n",),
    max_tokens=40,
    repeats=3,
)
QUESTION = Question("0" * 16, 0, "9 + 9 =", reference="18")


class Teller(Listener):
    """Replies with the next of its texts, a character a piece; a reply that was stopped ends there."""

    def __init__(self, *texts: str, finish: Finish = Finish.STOP) -> None:
        super().__init__()
        self.texts, self.finish, self.stopped = deque(texts), finish, set[str]()

    def ask(self, request: TurnRequest) -> Reply:
        self.asked.append(request)
        return Told(self, request, self.texts.popleft())

    def stop(self, turn: str) -> None:
        self.stopped.add(turn)


class Told(Reply):
    def __init__(self, teller: Teller, request: TurnRequest, text: str) -> None:
        super().__init__(teller, request)
        self._teller, self._told = teller, text

    def entries(self) -> Iterator[Entry]:
        for place, letter in enumerate(self._told):
            if self.turn in self._teller.stopped:
                break
            entry = Piece(1, place, place, place, (ord(letter),), letter)
            self.reader.take(f"1-{place + 1}", entry)
            yield entry
        finish = Finish.STOPPED if self.turn in self._teller.stopped else self._teller.finish
        ending = Ending(finish, fault=Fault.TOO_LONG if finish is Finish.FAILED else None)
        self.reader.take("2-1", ending)
        yield ending


def shown(*texts: str, finish: Finish = Finish.STOP) -> list[str]:
    talk = ChatSession(Teller(*texts, finish=finish), ReplySettings("parrot"))
    return lines(probe_written(talk, QUESTION, FORM))


def test_it_is_asked_twice_apart_from_the_conversation_as_its_exam_says() -> None:
    client = Teller("#### 18", "no idea")
    talk = ChatSession(client, ReplySettings("parrot", history=History.WINDOW))
    probe_written(talk, QUESTION, FORM)
    here, alone = client.asked
    assert (here.history, alone.history) == (History.WINDOW, History.OFF)
    assert here.conversation == alone.conversation == talk.conversation
    assert talk.last_asked is None
    for one in (here, alone):
        assert one.apart
        assert one.say[-1].content == "Sums.\n\n9 + 9 =" == as_message(QUESTION, FORM)
        assert (one.sampling.greedy, one.sampling.max_tokens, one.sampling.stop) == (True, 40, ())


def test_each_reply_is_shown_with_what_was_read_out_of_it() -> None:
    assert shown("So.\n#### 18", "#### 17") == [
        "9 + 9 =",
        "here: '18' was read out: right",
        "  So.",
        "  #### 18",
        "alone: '17' was read out: wrong",
        "  #### 17",
        "the answer is 18",
    ]
    assert "here: nothing extracted" in shown("no idea", "no idea")
    assert "here: cut by the limit" in shown("no idea", "no idea", finish=Finish.LENGTH)


def test_a_reply_is_stopped_at_its_exam_s_stop_string_and_a_thought_is_not() -> None:
    client = Teller("#### 18\n\n" + "on and on" * 9, "<think>a\n\nb</think>#### 18\n\n" + "on and on" * 9)
    found = probe_written(ChatSession(client, ReplySettings("parrot")), QUESTION, FORM)
    assert (found.here.text, found.alone.text) == ("#### 18\n\n", "<think>a\n\nb</think>#### 18\n\n")
    assert lines(found)[1:3] == ["here: '18' was read out: right", "  #### 18"]
    assert "here: thinking unfinished" in shown("<think>a\n\n", "x")


def test_a_program_is_shown_and_not_run() -> None:
    form = Form(Kind.WRITE, (Metric("pass_at_1"),), Headline("pass_at_1", "none"))
    talk = ChatSession(Teller("return 1", "return 2"), ReplySettings("parrot"))
    assert lines(probe_written(talk, QUESTION, form))[1] == "here: a program, which nothing runs here"


def test_what_a_worker_refuses_is_an_error_of_the_turns() -> None:
    with pytest.raises(TurnFailed):
        shown("", "", finish=Finish.FAILED)


def test_a_question_of_any_benchmark_is_found_with_its_form() -> None:
    found = find_question("demo_words", "demo_words", 3)
    assert found.form is not None
    assert found.form.kind is Kind.WRITE
    assert find_question("demo", "arithmetic", 3).form is None


def test_a_text_that_is_scored_as_it_stands_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import in_forms

    paper = in_forms.endings()
    monkeypatch.setattr(
        "chat.terminal.probe.load_benchmark", lambda *_: type("Found", (), {"exams": {"endings": paper}})()
    )
    with pytest.raises(BadInput, match="neither options nor a written answer"):
        find_question("endings", "endings", 0)
