"""Replies on a real broker and a real database, by the child's own code in this process: what a client gets to hear."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from chat.client.client import Client, new_id
from chat.protocol.turns import Piece, Progress, Stage
from chat.terminal.figures import left_out
from proctor.exams.chat_prompts import Message
from proctor.nouns.conversations import Fault, Finish, History, Role, Sampling, TurnStatus, Utterance
from proctor.store.conversations import conversations
from proctor.store.database.session import Store
from tests import templates, tiny
from tests.integration.conversation.desk import GREEDY, Desk, accepted, ended, ending, request
from tests.models import of_hf
from workers.engines.generation import PIECE


def test_a_reply_is_told_step_by_step_and_stands_in_the_store(
    client: Client, desk: Desk, store: Store, model: str
) -> None:
    (reply,) = accepted(client, request(model))
    desk.work()
    told = list(reply.entries())
    stages = [entry.stage for entry in told if isinstance(entry, Progress)]
    assert stages == [Stage.LOADING, Stage.READING]
    pieces = [entry for entry in told if isinstance(entry, Piece)]
    assert [piece.at_token for piece in pieces] == list(range(20))
    kept = conversations.find_turn(store, reply.turn)
    assert kept is not None
    assert (kept.content, kept.finish, kept.context) == (reply.text, Finish.LENGTH, ending(reply).context)
    assert ending(reply).counts == kept.counts
    assert (kept.counts.tokens_out, len(kept.token_ids)) == (20, 20)
    assert client.redis.ttl(f"chat.reply.{reply.turn}") > 0


def test_many_conversations_are_the_same_in_company(client: Client, desk: Desk, model: str) -> None:
    said = [f"Number {n}, which is{' very' * n} large?" for n in range(6)]
    alone = [ended(client, desk, request(model, one))[0].text for one in said]
    together = ended(client, desk, *(request(model, one) for one in said))
    assert [reply.text for reply in together] == alone


def test_the_second_turn_computes_only_what_is_new(client: Client, desk: Desk, model: str) -> None:
    (first,) = ended(client, desk, request(model))
    (second,) = ended(client, desk, request(model, "And the sun?", conversation=first.request.conversation))
    before, after = ending(first).counts, ending(second).counts
    assert after.tokens_in > before.tokens_in + before.tokens_out
    assert after.tokens_cached >= before.tokens_in + before.tokens_out - PIECE


def test_with_history_off_no_earlier_word_is_read(client: Client, desk: Desk, model: str) -> None:
    (alone,) = ended(client, desk, request(model, "And the sun?"))
    (first,) = ended(client, desk, request(model))
    (second,) = ended(
        client, desk, request(model, "And the sun?", conversation=first.request.conversation, history=History.OFF)
    )
    assert second.text == alone.text
    assert ending(second).counts.tokens_in == ending(alone).counts.tokens_in


def test_a_stop_string_ends_a_reply_before_it(client: Client, desk: Desk, store: Store, model: str) -> None:
    (whole,) = ended(client, desk, request(model))
    stop = whole.text[6:9]
    (reply,) = ended(client, desk, request(model, sampling=dataclasses.replace(GREEDY, stop=(stop,))))
    assert reply.text == whole.text[: whole.text.index(stop)]
    assert ending(reply).finish is Finish.STOP
    kept = conversations.find_turn(store, reply.turn)
    assert kept is not None
    assert kept.content == reply.text


def test_log_probabilities_come_with_each_token_and_are_kept(
    client: Client, desk: Desk, store: Store, model: str
) -> None:
    (reply,) = accepted(client, request(model, sampling=dataclasses.replace(GREEDY, rivals=2)))
    desk.work()
    scores = [score for entry in reply.entries() if isinstance(entry, Piece) for score in entry.scores]
    assert len(scores) == 20
    assert all(score.rivals[0].logprob == pytest.approx(score.logprob, abs=1e-6) for score in scores)  # greedy
    kept = conversations.find_turn(store, reply.turn)
    assert kept is not None
    assert kept.logprobs == tuple(score.logprob for score in scores)


def test_a_completion_keeps_the_space_before_its_first_word_and_so_do_its_tokens(
    client: Client, desk: Desk, store: Store, tmp_path: Path
) -> None:
    folder = str(tiny.make_sentencepiece(tmp_path / "spm"))
    said, words, spaced = "Paris is the", tiny.sentencepiece(), 0
    for seed in range(8):
        sampling = Sampling(temperature=1.0, seed=seed, max_tokens=12, rivals=1)
        (reply,) = accepted(client, request(folder, said, history=History.RAW, sampling=sampling))
        desk.work()
        scores = [score for entry in reply.entries() if isinstance(entry, Piece) for score in entry.scores]
        kept = conversations.find_turn(store, reply.turn)
        assert kept is not None
        ids = words(said)["input_ids"] + in_words(kept.token_ids)
        assert (said + reply.text).startswith(str(words.decode(ids, skip_special_tokens=True)))
        assert reply.text.startswith("".join(score.text for score in scores))  # but for bytes that end in the middle
        spaced += reply.text.startswith(" ")
    assert spaced > 0


def in_words(tokens: Sequence[int]) -> list[int]:
    """The tokens before the first that is a single byte (3 to 258): of bytes in a row the tokenizer makes one text."""
    return list(itertools.takewhile(lambda token: not 3 <= token < 259, tokens))


def test_a_reply_that_is_gone_on_with_keeps_the_space_between(
    client: Client, desk: Desk, store: Store, tmp_path: Path
) -> None:
    folder = str(tiny.make_sentencepiece(tmp_path / "spm"))
    words, spaced = tiny.sentencepiece(), 0
    for seed in range(8):
        sampling = Sampling(temperature=1.0, seed=seed, max_tokens=8)
        (first,) = ended(client, desk, request(folder, sampling=sampling))
        (second,) = ended(
            client, desk, request(folder, conversation=first.request.conversation, say=(), sampling=sampling)
        )
        kept = conversations.find_turn(store, second.turn)
        assert kept is not None
        ids = [*words("a", add_special_tokens=False)["input_ids"], *in_words(kept.token_ids)]
        assert ("a" + kept.content).startswith(str(words.decode(ids, skip_special_tokens=True)))
        spaced += kept.content.startswith(" ")
    assert spaced > 0


def test_a_probe_scores_its_options_behind_the_context(client: Client, desk: Desk, model: str) -> None:
    probe = request(model, options=("A", "B", " It turns"))
    (reply,) = ended(client, desk, probe)
    engine = of_hf(desk.models.held)
    text = engine.tokenizer.chat([Message(said.role.value, said.content) for said in probe.say])
    prompt = engine.tokenizer.ids(text)
    for option, found in zip(probe.options, ending(reply).options_logprob, strict=True):
        ids = engine.tokenizer.library(option, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = engine.model.model(torch.tensor([[*prompt, *ids]])).logits[0]
        logprobs = logits.float().log_softmax(-1)
        expected = sum(float(logprobs[len(prompt) - 1 + n, token]) for n, token in enumerate(ids))
        assert found == pytest.approx(expected, abs=1e-4)
        assert not math.isnan(found)


def test_what_is_too_long_is_refused_with_both_numbers(client: Client, desk: Desk, model: str) -> None:
    (reply,) = ended(client, desk, request(model, "Why? " * 400))
    found = ending(reply)
    assert (found.finish, found.fault) == (Finish.FAILED, Fault.TOO_LONG)
    assert found.counts.tokens_in > found.window_tokens > 0


def test_a_model_without_a_chat_template_says_so(client: Client, desk: Desk, tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    (reply,) = ended(client, desk, request(str(folder)))
    assert ending(reply).fault is Fault.BAD_MODEL
    assert "no chat template" in ending(reply).error


def test_a_system_prompt_without_a_place_in_the_template_is_read_and_that_is_said(
    client: Client, desk: Desk, tmp_path: Path
) -> None:
    for name, template in (
        ("gemma", templates.GEMMA),
        ("silent", templates.IGNORES_SYSTEM),
        ("chatml", templates.CHATML),
    ):
        folder = tiny.make(tmp_path / name)
        (folder / "chat_template.jinja").write_text(template)
        say = (Utterance(Role.SYSTEM, "Say BANANA."), Utterance(Role.USER, "Why?"))
        (reply,) = ended(client, desk, request(str(folder), say=say))
        context = ending(reply).context
        assert context is not None
        assert context.system_in_user is (name != "chatml")
        assert ("the system prompt stands in the first message" in left_out(context)) is (name != "chatml")
        tokenizer = of_hf(desk.models.held).tokenizer
        unread = tokenizer.ids(tokenizer.chat([Message("user", "Why?")]))
        assert ending(reply).counts.tokens_in > len(unread)


def test_earlier_thoughts_are_not_shown_again(client: Client, desk: Desk, tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "r1")
    (folder / "chat_template.jinja").write_text(templates.R1)
    said = [("user", "Hi"), ("assistant", "Hm. " * 40 + "</think>Hello"), ("user", "Why?")]
    say = tuple(Utterance(Role(role), content) for role, content in said)
    (reply,) = ended(client, desk, request(str(folder), say=say))
    tokenizer = of_hf(desk.models.held).tokenizer
    (short,) = ended(client, desk, request(str(folder), say=(say[0], Utterance(Role.ASSISTANT, "Hello"), say[2])))
    assert ending(reply).counts.tokens_in == ending(short).counts.tokens_in
    assert ending(reply).counts.tokens_in == tokenizer.count(
        "<s><|User|>Hi<|Assistant|>Hello</s><|User|>Why?<|Assistant|><think>\n"
    )
    assert reply.text == short.text


def test_a_reply_that_was_stopped_before_it_began_ends_without_a_word(
    client: Client, desk: Desk, store: Store, model: str
) -> None:
    stopped, other = accepted(client, request(model), request(model, "And the sun?"))
    stopped.stop()
    desk.work()
    for reply in (stopped, other):
        for _ in reply.entries():
            pass
    assert (ending(stopped).finish, stopped.text, ending(stopped).counts.tokens_out) == (Finish.STOPPED, "", 0)
    kept = conversations.find_turn(store, stopped.turn)
    assert kept is not None
    assert (kept.status, kept.finish, kept.token_ids) == (TurnStatus.DONE, Finish.STOPPED, ())
    assert ending(other).counts.tokens_out == 20


def test_a_long_conversation_is_summarised_and_goes_on(client: Client, desk: Desk, store: Store, model: str) -> None:
    conversation = new_id()
    for n in range(8):
        said = f"My cat {n} is called Tom{n}, and she was born in 19{n}0. Remember that."
        (reply,) = ended(client, desk, request(model, said, conversation=conversation))
        assert ending(reply).finish is not Finish.FAILED, ending(reply).error
    found = conversations.load(store, conversation)
    assert found.summaries
    context = ending(reply).context
    assert context is not None
    assert context.tokens <= context.budget
    assert context.summary_id is not None or context.left_out
