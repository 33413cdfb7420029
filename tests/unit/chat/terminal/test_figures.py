"""Numbers of replies and conversations in words; an exam question in a conversation; two replies side by side."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chat.client.client import Reply, ReplySettings, TurnFailed
from chat.client.session import ChatSession
from chat.protocol.turns import Ending, Progress, Stage, TurnRequest
from chat.terminal import figures, probe
from chat.terminal.columns import Side, first_difference, lines, names, parting
from chat.terminal.commands import SETTABLE, changed
from chat.terminal.probe import Probe
from proctor.errors import BadInput, ProctorError
from proctor.nouns.conversations import (
    NO_COUNTS,
    ContextFacts,
    Conversation,
    Counts,
    Fault,
    Finish,
    History,
    Role,
    Sampling,
    Summary,
    Turn,
    TurnStatus,
)
from proctor.nouns.exams import Question
from tests.unit.chat.listener import Listener

NOW = datetime(2031, 5, 6, tzinfo=UTC)
COUNTS = Counts(
    tokens_in=1200, tokens_cached=1000, tokens_out=41, wait_s=0.25, load_s=2.0, first_token_s=0.5, generate_s=10.0
)


def test_the_line_after_a_reply_has_all_its_numbers() -> None:
    seen = ContextFacts(tokens=1200, budget=2048, left_out=2, summary_id=3, cut=("t1",))
    assert figures.after_reply(Ending(Finish.LENGTH, COUNTS, context=seen)) == (
        "cut at its longest, /continue goes on · in 1,200 of 2,048, 1,000 cached · out 41 · first token 0.75 s · "
        "4.0 tokens/s · earlier ones summarised, 2 messages not read, one exchange cut in the middle"
    )


def test_what_there_is_nothing_to_say_of_is_left_out() -> None:
    assert figures.after_reply(Ending(Finish.STOP, Counts(tokens_in=7, tokens_out=1))) == (
        "in 7 · out 1 · first token 0.00 s"
    )
    assert figures.left_out(ContextFacts(tokens=7, budget=9)) == ""
    assert figures.left_out(ContextFacts(left_out=1)) == "1 message not read"


def test_what_a_turn_waits_for_is_said() -> None:
    assert figures.waiting(Progress(Stage.ACCEPTED, ahead=2)).startswith("waiting for a worker, 2 ahead: ")
    assert figures.waiting(Progress(Stage.ACCEPTED)).startswith("waiting for a worker: ")
    assert figures.waiting(Progress(Stage.LOADING, lane="cpu/org/x@1a2b/4bit", worker="w1")) == "w1 loads x 4 bit …"
    assert figures.waiting(Progress(Stage.LOADING, lane="tpu/x/none", worker="w1")) == "w1 loads tpu/x/none …"
    assert figures.waiting(Progress(Stage.CLAIMED)) == "a worker has it …"
    assert figures.waiting(Progress(Stage.READING, context=ContextFacts(tokens=1200))) == "reading 1,200 tokens …"
    assert figures.waiting(Progress(Stage.READING)) == "reading …"


def turn(name: str, parent: str | None, position: int, role: Role, content: str, counts: Counts = NO_COUNTS) -> Turn:
    lane = "cpu/x/none" if role is Role.ASSISTANT else ""
    return Turn(name, "c1", parent, position, role, content, TurnStatus.DONE, NOW, lane=lane, counts=counts)


def summary(number: int, through: str, undone: datetime | None = None) -> Summary:
    return Summary(number, "c1", through, f"- User: {number}.", "facts", 1500, 60, NOW, undone)


STORY = Conversation(
    "c1",
    "Moons",
    NOW,
    NOW,
    "r2",
    (
        turn("s", None, 0, Role.SYSTEM, "Be kind."),
        turn("u1", "s", 1, Role.USER, "Hello"),
        turn("r0", "u1", 2, Role.ASSISTANT, "another"),
        turn("r1", "u1", 2, Role.ASSISTANT, "Hi!", COUNTS),
        turn("u2", "r1", 3, Role.USER, "And?"),
        turn("r2", "u2", 4, Role.ASSISTANT, ""),
    ),
    (summary(1, "u1", NOW + timedelta(hours=1)), summary(2, "r1"), summary(3, "elsewhere")),
)


def test_statistics_count_the_path_and_tell_the_rest_apart() -> None:
    assert figures.statistics(STORY, "on") == [
        "conversation c1: Moons",
        "messages 5 (system 1, user 2, assistant 2), exchanges 1, on other branches 1",
        "tokens in 1,200 (cached 1,000), out 41",
        "seconds waited 0.2, loading 2.0",
        "seconds to first tokens 0.5, generating 10.0",
        "history on, summaries 2 in use, 1 taken back",
        "turn      in  cached     out  first token  tokens/s  model",
        "   1   1,200   1,000      41       0.50 s       4.0  cpu/x/none",
        "   2       0       0       0       0.00 s         -  cpu/x/none",
    ]


def test_replies_add_up_in_every_number() -> None:
    assert figures.total([COUNTS, COUNTS]) == Counts(2400, 2000, 82, 0.5, 4.0, 1.0, 20.0)


def test_each_summary_says_what_it_stands_for_and_whether_it_is_in_use() -> None:
    assert figures.summaries(STORY) == [
        "summary 1 (taken back): messages 1 to 2, made by facts, 60 tokens for 1,500",
        "- User: 1.",
        "summary 2 (in use): messages 1 to 3, made by facts, 60 tokens for 1,500",
        "- User: 2.",
        "summary 3 (in use): messages 1 to ?, made by facts, 60 tokens for 1,500",
        "- User: 3.",
    ]


# --- an exam question

QUESTION = Question("0" * 16, 4, " Which? ", ("one", "two", "three"), 2)


def test_a_probe_shows_scores_shares_the_key_and_what_is_picked() -> None:
    here, alone = (math.log(0.1), math.log(0.3), math.log(0.1)), (math.log(0.2), math.log(0.1), math.log(0.1))
    found = Probe(QUESTION, here, alone)
    assert found.moved
    assert probe.lines(found) == [
        "Which?",
        "           here             alone",
        "A     -2.303  20.0%     -1.609  50.0%  one",
        "B     -1.204  60.0%     -2.303  25.0%  two",
        "C*    -2.303  20.0%     -2.303  25.0%  three",
        "here it picks B, alone A; the key is C",
    ]
    assert not Probe(QUESTION, here, here).moved


def test_a_probe_of_contexts_asks_whole_sentences_and_marks_all_that_is_right() -> None:
    contexts = ("Ann beat Bob because Ann", "Ann beat Bob because Bob")
    asked = Question("b" * 16, 0, "won.", contexts, 0, further=(1,), contexts=contexts)
    assert probe.as_message(asked).splitlines() == [
        "Which of these is right?",
        "A. Ann beat Bob because Ann won.",
        "B. Ann beat Bob because Bob won.",
        "Answer with the letter of the right option only.",
    ]
    shown = probe.lines(Probe(asked, (0.0, -1.0), (0.0, -1.0)))
    assert [line[:2] for line in shown[2:4]] == ["A*", "B*"]
    assert shown[-1].endswith("the key is A and B")


class Ended(Listener):
    """Each of its replies has come to this end."""

    def __init__(self, ending: Ending) -> None:
        super().__init__()
        self.ending = ending

    def ask(self, request: TurnRequest) -> Reply:
        reply = super().ask(request)
        reply.reader.take("1-1", self.ending)
        return reply


def probed(ending: Ending) -> tuple[Probe, list[TurnRequest]]:
    client = Ended(ending)
    return probe.probe(ChatSession(client, ReplySettings("parrot", history=History.ALL)), QUESTION), client.asked


def test_a_probe_asks_for_every_letter_in_the_conversation_and_without_it() -> None:
    found, asked = probed(Ending(Finish.STOP, options_logprob=(-1.0, -2.0, -3.0)))
    assert found == Probe(QUESTION, (-1.0, -2.0, -3.0), (-1.0, -2.0, -3.0))
    assert [each.history for each in asked] == [History.ALL, History.OFF]
    assert [each.options for each in asked] == [("A", "B", "C")] * 2
    assert [each.say[-1].content for each in asked] == [probe.as_message(QUESTION)] * 2


@pytest.mark.parametrize("scores", [(), (-1.0, -2.0), (-1.0, -2.0, -3.0, -4.0)])
def test_an_answer_without_the_score_of_each_option_is_an_error(scores: tuple[float, ...]) -> None:
    with pytest.raises(ProctorError, match="no log-probability of each option"):
        probed(Ending(Finish.STOP, options_logprob=scores))


def test_a_probe_that_a_worker_refuses_is_an_error_of_the_turns() -> None:
    with pytest.raises(TurnFailed):
        probed(Ending(Finish.FAILED, fault=Fault.TOO_LONG))


def test_shares_add_up_to_one_however_small_the_numbers() -> None:
    assert probe.shares([-2000.0, -2000.0]) == [0.5, 0.5]
    assert math.fsum(probe.shares([-1.0, -3.0, -800.0])) == pytest.approx(1.0)


def test_a_question_is_put_with_all_its_options() -> None:
    assert probe.as_message(QUESTION) == (
        "Which?\nA. one\nB. two\nC. three\nAnswer with the letter of the right option only."
    )


def test_a_question_is_found_by_its_place_in_the_split_from_zero() -> None:
    assert [probe.find_question("demo", "arithmetic", index).question.index for index in (0, 39)] == [0, 39]
    with pytest.raises(BadInput, match=r"no question 40\. It has 0 to 39, counted from 0\."):
        probe.find_question("demo", "arithmetic", 40)


def test_a_copy_that_was_dropped_shifts_no_number(tmp_path: Path) -> None:
    texts = ("One?", "One?", "Two?")
    rows = [{"question": text, "choices": ["a", "b"], "answer": 0, "subject": "sums"} for text in texts]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert probe.find_question(str(path), "sums", 2).question.text == "Two?"
    with pytest.raises(BadInput, match=r"no question 1\. It has 0 to 2, counted from 0 without those"):
        probe.find_question(str(path), "sums", 1)


# --- side by side


def test_two_replies_part_at_the_first_token_that_differs() -> None:
    left = Side("left", ("He", "", "rons", "."))
    assert first_difference(left, Side("right", ("He", "", "rons", "!"))) == 4
    assert first_difference(left, left) is None
    assert parting(left, left) == "They say the same, in 4 tokens."
    assert parting(left, Side("right", ("He", "", "rons"))) == "They differ from token 4: '.' and '(its end)'."
    assert parting(Side("right", ("He",)), left) == "They differ from token 2: '(its end)' and ''."


def test_columns_share_the_width_and_wide_characters_take_two_cells() -> None:
    ending = Ending(Finish.STOP, COUNTS)
    shown = lines(Side("left", ("月" * 12,), ending), Side("right", ("one two\n\nthree",)), 45)
    assert shown[0] == "left                  | right"
    assert shown[1] == "-" * 21 + "-+-" + "-" * 21
    assert shown[2] == "月" * 10 + "  | one two"
    assert shown[3] == "月" * 2 + " " * 17 + " |"
    assert shown[4] == " " * 21 + " | three"
    assert shown[5].startswith("41 tokens, 4.0 tokens")
    assert shown[5].endswith("|")
    assert lines(Side("a", ("x",)), Side("b", ("y",)), 10)[2] == "x" + " " * 19 + " | y"  # never below 20
    assert lines(Side("a", ("x" * 50,)), Side("b", ()), 45)[2:5] == [f"{'x' * n:21} |" for n in (21, 21, 8)]


@pytest.mark.parametrize(
    ("models", "quants", "pairs"),
    [
        (["a", "b"], ["none"], (("a", "none"), ("b", "none"))),
        (["a"], ["none", "4bit"], (("a", "none"), ("a", "4bit"))),
        (["a", "b"], ["none", "4bit"], (("a", "none"), ("b", "4bit"))),
        (["a"], ["none"], None),
        (["a", "b", "c"], ["none"], None),
        (["a", "b"], ["none", "8bit", "4bit"], None),
    ],
)
def test_two_are_compared_and_no_other_number(
    models: list[str], quants: list[str], pairs: tuple[tuple[str, str], ...] | None
) -> None:
    if pairs is None:
        with pytest.raises(BadInput, match="it takes two"):
            names(models, quants)
    else:
        assert names(models, quants) == pairs


# --- /set


@pytest.mark.parametrize(
    ("name", "said", "value"),
    [
        ("temperature", "0.5", 0.5),
        ("top_p", "0.25", 0.25),
        ("top_k", "7", 7),
        ("repetition_penalty", "1.5", 1.5),
        ("seed", "11", 11),
        ("max_tokens", "9", 9),
        ("stop", "END|\\n|", ("END", "\n")),
    ],
)
def test_a_value_is_set_and_none_takes_it_back(name: str, said: str, value: object) -> None:
    plain = Sampling()
    found = changed(plain, name, said)
    assert getattr(found, name) == value
    assert all(getattr(found, other) == getattr(plain, other) for other in SETTABLE if other != name)
    for word in ("none", "DEFAULT", ""):
        assert changed(found, name, word) == plain


def test_what_cannot_be_set_is_named_with_what_can() -> None:
    with pytest.raises(BadInput, match=r"'heat' can't be set\. These can: temperature, "):
        changed(Sampling(), "heat", "1")
    with pytest.raises(BadInput, match="'many' is no value of top_k"):
        changed(Sampling(), "top_k", "many")
