"""The marks between which a model thinks before it replies, as its tokenizer or its chat template knows them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from workers.engines.base import Engine, Tokenizer
from workers.engines.detokenizer import Decode, Detokenizer

# Of DeepSeek-R1, Qwen3, SmolLM3, GLM and most others; of Magistral, Command A, Seed-OSS, gpt-oss.
PAIRS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)


@dataclass(frozen=True)
class ThinkingMarks:
    """What a thought begins and ends with."""

    begin: str
    end: str
    specials: frozenset[int] = frozenset()  # tokens of the marks that texts are decoded without, unless they are kept


NONE = ThinkingMarks("", "")  # a model that has no marks of its own


def marks_of(tokenizer: Tokenizer) -> ThinkingMarks:
    """The first of `PAIRS` that the model knows: each mark is one token, or both stand in its chat template."""
    return next((_marks(tokenizer, *pair) for pair in PAIRS if _knows(tokenizer, pair)), NONE)


def detokenizer_of(engine: Engine, marks: ThinkingMarks, behind: Sequence[int]) -> Detokenizer:
    """The engine's detokenizer for one reply, with the marks in its text also where they are special tokens."""
    if not marks.specials:
        return engine.detokenizer(behind=behind)
    return Detokenizer(_keeping(engine.tokenizer.decode, marks.specials), behind=behind)


class ThoughtWatch:
    """Follows one reply: whether the model thinks, and from where on it speaks."""

    def __init__(self, marks: ThinkingMarks, prompt: str) -> None:
        self._marks = marks
        self.thinks = bool(marks.begin) and prompt.rstrip().endswith(marks.begin)  # a template may open the thought

    def spoken(self, text: str) -> int | None:
        """Where what the model says begins in the reply's text so far; None while it thinks, or may be about to."""
        if not self.thinks:
            begun = text.lstrip()
            if begun.startswith(self._marks.begin) and self._marks.begin:
                self.thinks = True
            else:
                return None if self._marks.begin.startswith(begun) and self._marks.begin else 0
        place = text.find(self._marks.end)
        return None if place < 0 else place + len(self._marks.end)

    @property
    def end(self) -> str:
        """The mark that ends the thought; "" where there is none."""
        return self._marks.end if self.thinks else ""


def _knows(tokenizer: Tokenizer, pair: tuple[str, str]) -> bool:
    return all(_is_token(tokenizer, mark) for mark in pair) or all(mark in tokenizer.template.source for mark in pair)


def _is_token(tokenizer: Tokenizer, mark: str) -> bool:
    ids = tokenizer.text_ids(mark)
    return len(ids) == 1 and tokenizer.decode(ids).strip() == mark  # not the one for unknown texts


def _marks(tokenizer: Tokenizer, begin: str, end: str) -> ThinkingMarks:
    ids = {token for mark in (begin, end) for token in tokenizer.text_ids(mark)}
    return ThinkingMarks(begin, end, frozenset(one for one in ids if not tokenizer.decode([one], specials=False)))


def _keeping(decode: Decode, kept: Collection[int]) -> Decode:
    """The way back to text that leaves out all special tokens but these."""

    def text_of(tokens: Sequence[int], *, specials: bool = True) -> str:
        made, begun = "", 0
        for place, token in enumerate(tokens):
            if token in kept:
                made += decode(tokens[begun:place], specials=specials) + decode([token])
                begun = place + 1
        return made + decode(tokens[begun:], specials=specials)

    return text_of
