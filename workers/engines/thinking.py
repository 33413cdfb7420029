"""Which marks a model thinks between: its tokenizer has them as tokens, or its chat template as text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from proctor.exams.judging.thoughts import NONE, PAIRS, ThinkingMarks
from workers.engines.base import Engine, Tokenizer
from workers.engines.detokenizer import Decode, Detokenizer


def marks_of(tokenizer: Tokenizer) -> ThinkingMarks:
    """The first of `PAIRS` that the model knows: each mark is one token, or both stand in its chat template."""
    return next((_marks(tokenizer, *pair) for pair in PAIRS if _knows(tokenizer, pair)), NONE)


def detokenizer_of(engine: Engine, marks: ThinkingMarks, behind: Sequence[int]) -> Detokenizer:
    """The engine's detokenizer for one reply, with the marks in its text also where they are special tokens."""
    if not marks.specials:
        return engine.detokenizer(behind=behind)
    return Detokenizer(_keeping(engine.tokenizer.decode, marks.specials), behind=behind)


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
