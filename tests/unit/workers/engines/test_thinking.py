"""The marks between which a model thinks: how they are found out, and from where on it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from proctor.exams.chat_prompts import Turns
from proctor.exams.judging.thoughts import NONE, ThinkingMarks, ThoughtWatch, mark_in
from proctor.nouns.models import ModelRef, ModelSource, Quant
from tests.bigram import BigramEngine, Bytes
from workers.engines.chat_template import ChatTemplate
from workers.engines.thinking import detokenizer_of, marks_of

THINK = ThinkingMarks("<think>", "</think>")


class WithMarks(Bytes):
    """Bytes, and tokens of their own for marks behind them; `special` ones are left out of texts."""

    def __init__(self, *marks: str, special: bool = False, source: str = "") -> None:
        super().__init__()
        self.marks, self.special = marks, special
        self.template = ChatTemplate(written, "marked", source)

    def text_ids(self, text: str) -> list[int]:
        return [1000 + self.marks.index(text)] if text in self.marks else list(text.encode())

    def decode(self, tokens: Sequence[int], *, specials: bool = True) -> str:
        kept = [token for token in tokens if token < 1000 or specials or not self.special]
        return "".join(self.marks[one - 1000] if one >= 1000 else bytes([one]).decode() for one in kept)


def written(_turns: Turns, _moment: datetime) -> str:
    return ""


@pytest.mark.parametrize(
    ("tokenizer", "marks"),
    [
        (Bytes(), NONE),
        (WithMarks("<think>", "</think>"), THINK),
        (WithMarks("<think>"), NONE),
        (WithMarks(source="{{ '<think>' if think }}{{ text.split('</think>') }}"), THINK),
        (WithMarks("[THINK]", "[/THINK]", special=True), ThinkingMarks("[THINK]", "[/THINK]", frozenset({1000, 1001}))),
    ],
)
def test_a_models_marks_are_tokens_of_it_or_stand_in_its_template(tokenizer: Bytes, marks: ThinkingMarks) -> None:
    assert marks_of(tokenizer) == marks


def test_a_tokenizer_with_one_token_for_all_that_it_does_not_know_has_no_marks() -> None:
    class Unknowing(Bytes):
        def text_ids(self, text: str) -> list[int]:
            return [63] if "<" in text or "[" in text else list(text.encode())

    assert marks_of(Unknowing()) == NONE


@pytest.mark.parametrize(
    ("prompt", "text", "spoken", "end"),
    [
        ("Q:", "<think>\nhm</think> 18", 18, "</think>"),
        ("Q:", "\n<think>hm", None, "</think>"),
        ("Q: <think>\n", "hm", None, "</think>"),  # the template opened the thought
        ("Q: <think>\n", "hm</think>", 10, "</think>"),
        ("Q:", "<thi", None, ""),  # may become one
        ("Q:", " \n", None, ""),
        ("Q:", "18 <think>", 0, ""),
        ("Q: <think>\n\n</think>\n", "18", 0, ""),  # the template says that there is to be none
    ],
)
def test_a_reply_is_spoken_behind_its_thought(prompt: str, text: str, spoken: int | None, end: str) -> None:
    watch = ThoughtWatch(THINK, prompt)
    assert watch.spoken(text) == spoken
    assert watch.end == end


def test_without_marks_all_of_a_reply_is_spoken() -> None:
    watch = ThoughtWatch(NONE, "Q: <think>")
    assert (watch.spoken(""), watch.spoken("<think>"), watch.end) == (0, 0, "")


def test_marks_that_texts_are_decoded_without_stand_in_the_text_of_a_reply() -> None:
    tokenizer = WithMarks("[THINK]", "[/THINK]", "<end>", special=True)
    engine = BigramEngine(ModelRef("marked", ModelSource.HUB), Quant.NONE, tokenizer=tokenizer)
    text = detokenizer_of(engine, marks_of(tokenizer), ())
    text.push([1000, *b"hm", 1001, *b" 18", 1002])
    assert text.text == "[THINK]hm[/THINK] 18"


@pytest.mark.parametrize(
    ("text", "end"),
    [("\n<think>hm", "</think>"), ("hm</think> 18", "</think>"), ("18 <think>", ""), ("[THINK]", "[/THINK]"), ("", "")],
)
def test_of_a_model_that_is_not_known_a_reply_shows_its_thought(text: str, end: str) -> None:
    assert mark_in(text) == end
