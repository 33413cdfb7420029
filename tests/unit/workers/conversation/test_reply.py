"""One reply under way: what each token adds, when it began to speak, what is kept of it; and what its failures are."""

from __future__ import annotations

import time

import pytest

from chat.context.window import ContextTooLong
from chat.protocol.turns import Piece, TokenScore, TopLogprob
from proctor.errors import BadInput, BadModel, OutOfMemory, ProctorError
from proctor.nouns.conversations import ContextFacts, Counts, Fault, Finish, History, Sampling
from proctor.nouns.models import Device, Lane, Quant
from proctor.store.conversations.turns import TurnClaim
from tests import tiny
from workers.conversation.failures import _failed, fault_of
from workers.conversation.prompts import BuiltPrompt
from workers.conversation.reply import ActiveReply
from workers.conversation.streams import ReplyWriter, SendResult
from workers.conversation.vocabulary import Vocabulary
from workers.engines.detokenizer import Detokenizer
from workers.engines.generation import NextToken, TokenLogprob
from workers.engines.hf.tokens import HfTokenizer

TOKENIZER = tiny.tokenizer()
OURS = HfTokenizer(TOKENIZER, tiny.WINDOW, "tiny")
WORDS = tuple(TOKENIZER.encode("The moon turns once. Once is enough."))
LANE = Lane(Device.CPU, "org/x@r1", Quant.NONE)


def live(stop: tuple[str, ...] = (), began: float = 0.0) -> ActiveReply:
    claim = TurnClaim("t1", "c1", "t0", 1, LANE, Sampling(seed=7), History.SUMMARY, (), 30.0, 2.5, ())
    shown = BuiltPrompt((1, 2, 3, 4), ContextFacts(tokens=4, budget=100), 512)
    detokenizer, vocabulary = Detokenizer(OURS.decode, stop), Vocabulary(OURS.token_bytes)
    return ActiveReply(claim, ReplyWriter("t1", 1), detokenizer, shown, 3, began, vocabulary, load_s=1.5)


def token(place: int, **more: object) -> NextToken:
    return NextToken("t1", WORDS[place], **more)  # type: ignore[arg-type] # fields of Token


def test_each_token_is_told_and_the_reply_says_what_it_took() -> None:
    began = time.monotonic()
    reply = live(began=began)
    text = ""
    for place in range(len(WORDS)):
        (note,) = reply.take(token(place, finish=Finish.LENGTH if place == len(WORDS) - 1 else None))
        assert isinstance(note.entry, Piece)
        assert (note.entry.at_token, note.entry.tokens) == (place, (WORDS[place],))
        text += note.entry.text
        reply.writer.heard(SendResult(sent=True))
        assert (reply.finish is None) == (place < len(WORDS) - 1)
    assert text == "The moon turns once. Once is enough."
    assert (reply.kept.token_ids, reply.kept.content) == (WORDS, text)
    outcome = reply.end(Finish.LENGTH)
    assert (outcome.finish, outcome.content, outcome.token_ids, outcome.logprobs) == (Finish.LENGTH, text, WORDS, ())
    counts = outcome.counts
    assert (counts.tokens_in, counts.tokens_cached, counts.tokens_out) == (4, 3, len(WORDS))
    assert (counts.wait_s, counts.load_s) == (2.5, 1.5)
    assert counts.first_token_s == reply.first_at - began
    assert counts.generate_s == reply.last_at - reply.first_at
    assert began <= reply.first_at < reply.last_at


def test_a_reply_that_ended_before_its_first_token_took_no_time_to_it() -> None:
    assert live(began=5.0).counts(0).first_token_s == 0.0


def test_an_end_token_is_not_said() -> None:
    reply = live()
    reply.take(token(0))
    reply.take(NextToken("t1", 2, finish=Finish.STOP))
    assert (reply.kept.token_ids, reply.finish) == (WORDS[:1], Finish.STOP)
    assert reply.end(Finish.STOP).counts.tokens_out == 1


def test_a_stop_string_ends_a_reply_whose_tokens_and_scores_go_as_far_as_its_text() -> None:
    reply = live(stop=(". Once",))
    for place in range(len(WORDS)):
        reply.take(token(place, logprob=-float(place)))
        if reply.finish is not None:
            break
    assert reply.finish is Finish.STOP
    outcome = reply.end(Finish.STOP)
    assert outcome.content == "The moon turns once"
    assert TOKENIZER.decode(list(outcome.token_ids)) == outcome.content
    assert outcome.logprobs == tuple(-float(place) for place in range(len(outcome.token_ids)))
    assert outcome.counts.tokens_out > len(outcome.token_ids)  # what was made, too much as it is


def test_scores_come_with_their_rivals_in_words() -> None:
    reply = live()
    (note,) = reply.take(token(0, logprob=-0.5, rivals=(TokenLogprob(WORDS[0], -0.5), TokenLogprob(WORDS[1], -2.0))))
    told = note.entry
    assert isinstance(told, Piece)
    (score,) = told.scores
    assert isinstance(score, TokenScore)
    first, second = (TOKENIZER.decode([WORDS[place]]) for place in (0, 1))
    assert (score.token, score.text, score.logprob) == (WORDS[0], first, -0.5)
    assert [(rival.token, rival.text, rival.logprob) for rival in score.rivals] == [
        (WORDS[0], first, -0.5),
        (WORDS[1], second, -2.0),
    ]
    assert all(isinstance(rival, TopLogprob) for rival in score.rivals)


def test_scores_that_some_tokens_lack_are_not_kept() -> None:
    reply = live()
    reply.take(token(0))
    reply.take(token(1, logprob=-1.0))
    assert reply.end(Finish.LENGTH).logprobs == ()


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ContextTooLong(90, 70), Fault.TOO_LONG),
        (BadModel("org/x", "no such file"), Fault.BAD_MODEL),
        (BadInput("nothing to answer"), Fault.BAD_REQUEST),
        (OutOfMemory("a reply", "a small device"), Fault.INTERNAL),
    ],
)
def test_failures_have_a_kind_for_programs(error: ProctorError, fault: Fault) -> None:
    assert fault_of(error) is fault
    told = _failed(fault, str(error), error)
    assert (told.finish, told.fault, told.error) == (Finish.FAILED, fault, str(error))
    numbers = (90, 70) if fault is Fault.TOO_LONG else (0, 0)
    assert (told.counts, told.window_tokens) == (Counts(tokens_in=numbers[0]), numbers[1])
