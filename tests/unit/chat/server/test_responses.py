"""Tokens in the older shape of OpenAI's: where each begins, and what could have stood there."""

from __future__ import annotations

from typing import Any

import pytest

from chat.protocol.turns import Aside, AsidePlace, Ending, TokenScore, TopLogprob
from chat.server.responses import CompletionShape, EndedReply, offsets
from proctor.nouns.conversations import Counts, Finish

SHAPE = CompletionShape("t1", "m", chat=False, scored=True)
BROKEN = "\N{REPLACEMENT CHARACTER}"


def scores(*texts: str) -> list[TokenScore]:
    return [TokenScore(number, text, -1.0) for number, text in enumerate(texts)]


def choice(heard: EndedReply, shape: CompletionShape = SHAPE) -> dict[str, Any]:
    found: dict[str, Any] = shape.whole([heard])["choices"][0]
    return found


@pytest.mark.parametrize(
    ("text", "texts", "places"),
    [
        ("one two", ["one", " two"], [0, 3]),
        ("a\N{PARTY POPPER}b", ["a", "", "", "", "\N{PARTY POPPER}", "b"], [0, 1, 1, 1, 1, 2]),
        ("one", ["<s>", "one"], [0, 0]),  # put in front by the tokenizer
        ("one two", [" one", " two"], [0, 3]),  # SentencePiece's first
        ("one", ["one", " two", "\n"], [0, 3, 3]),  # behind a stop string
        ("", [], []),
    ],
)
def test_a_token_begins_where_its_text_does(text: str, texts: list[str], places: list[int]) -> None:
    assert offsets(text, scores(*texts)) == places


def test_of_two_rivals_that_are_one_text_the_likelier_stays() -> None:
    rivals = (TopLogprob(1, BROKEN, -1.5), TopLogprob(2, BROKEN, -1.7), TopLogprob(3, "a", -2.0))
    heard = EndedReply("x", (TokenScore(9, "x", -3.0, rivals),), Ending(Finish.STOP))
    assert choice(heard)["logprobs"]["top_logprobs"] == [{BROKEN: -1.5, "a": -2.0}]
    turned = EndedReply("x", (TokenScore(9, "x", -3.0, rivals[::-1]),), Ending(Finish.STOP))
    assert choice(turned)["logprobs"]["top_logprobs"] == [{BROKEN: -1.5, "a": -2.0}]


def test_an_echo_has_the_prompt_in_front_and_the_end_token_behind() -> None:
    prompt = Aside(1, 1, AsidePlace.PROMPT, "one two", tuple(scores("one", " two")))
    end = Aside(1, 2, AsidePlace.END, "", tuple(scores("")))
    heard = EndedReply(" three", tuple(scores(" three")), Ending(Finish.STOP), prompt, end)
    found = choice(heard)
    assert found["text"] == "one two three"
    assert found["logprobs"]["tokens"] == ["one", " two", " three", ""]
    assert found["logprobs"]["token_logprobs"] == [None, -1.0, -1.0, -1.0]
    assert found["logprobs"]["top_logprobs"] == [None, {}, {}, {}]
    assert found["logprobs"]["text_offset"] == [0, 3, 7, 13]


def test_where_the_prompt_alone_is_wanted_nothing_else_is_told() -> None:
    prompt = Aside(1, 1, AsidePlace.PROMPT, "one", tuple(scores("one")))
    heard = EndedReply(" two", tuple(scores(" two")), Ending(Finish.LENGTH, Counts(tokens_in=1, tokens_out=1)), prompt)
    silent = CompletionShape("t1", "m", chat=False, scored=True, silent=True)
    assert (choice(heard, silent)["text"], choice(heard, silent)["logprobs"]["tokens"]) == ("one", ["one"])
    assert silent.whole([heard])["usage"]["completion_tokens"] == 0


def test_several_prompts_are_choices_in_order_and_their_usage_is_summed() -> None:
    counts = Counts(tokens_in=3, tokens_cached=2, tokens_out=1)
    whole = SHAPE.whole([EndedReply(text, (), Ending(Finish.STOP, counts)) for text in ("a", "b")])
    assert [(each["index"], each["text"]) for each in whole["choices"]] == [(0, "a"), (1, "b")]
    usage = whole["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (6, 2, 8)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 4}


def test_in_a_chat_a_part_of_a_character_has_its_own_bytes() -> None:
    rivals = (TopLogprob(2, BROKEN, -1.0, b"\x9f"),)
    told = (TokenScore(1, "", -1.0, rivals, b"\xf0\x9f"), TokenScore(3, "\N{PARTY POPPER}", -1.0, (), b"\x8e\x89"))
    shape = CompletionShape("t1", "m", chat=True, scored=True)
    first, second = choice(EndedReply("\N{PARTY POPPER}", told, Ending(Finish.STOP)), shape)["logprobs"]["content"]
    assert bytes(first["bytes"] + second["bytes"]).decode() == "\N{PARTY POPPER}"
    assert first["top_logprobs"][0]["bytes"] == [0x9F]
