"""Prompts of random tokens, asked of a scorer; and how far two ways are from one another, in nats."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from proctor.exams.packs import compose
from proctor.nouns.exams import Choose, Prompt, Question
from proctor.nouns.runs import Cost
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.packing import common_length, length_of, stem
from workers.engines.hf.scoring.plain import HfPrepared, PlainScorer, lines_of
from workers.engines.hf.scoring.prefix import prefill
from workers.engines.scoring import Continuation, EncodedPrompt, Prepared, Scorer

OPTIONS = ("A", "B", "C", "D")
_LONGEST_OPTION = 9  # tokens, where options are scored by their texts
PLAIN_BUDGET = 4096  # tokens of a batch of full prompts


@dataclass(frozen=True)
class Off:
    """How far log-probabilities are from others, in nats."""

    largest: float
    mean: float

    def __str__(self) -> str:
        return f"{self.largest:.2g}"


def prompts(vocabulary: int, count: int, prefix: int, own: tuple[int, int], *, text: bool) -> tuple[EncodedPrompt, ...]:
    """Prompts that begin with the same `prefix` tokens and have from `own[0]` to `own[1]` of their own.

    Options are single tokens, or of one to nine tokens where `text` is to be scored. The same arguments give the same.
    """
    draw = random.Random(count)  # noqa: S311 -- no secret: the same tokens every time

    def tokens(number: int) -> tuple[int, ...]:
        return tuple(draw.randrange(vocabulary) for _ in range(number))

    shared = tokens(prefix)
    found = []
    for index in range(count):
        line = (*shared, index % vocabulary, *tokens(draw.randint(*own) - 1))
        lengths = [draw.randint(1, _LONGEST_OPTION) if text else 1 for _ in OPTIONS]
        options = tuple(Continuation((*line, *tokens(length)), length) for length in lengths)
        question = Question(f"{index:016x}", index, "random tokens", OPTIONS, 0)
        found.append(EncodedPrompt(Prompt(question, Choose("", OPTIONS), "0" * 64), options))
    return tuple(found)


def prepared(model: CausalModel, scorer: Scorer, asked: Sequence[EncodedPrompt]) -> HfPrepared:
    """What `scorer.prepare` gives for prompts that are tokens already."""
    texts = tuple(one.prompt for one in asked)
    if isinstance(scorer, PlainScorer):
        lengths = tuple(sum(len(line.tokens) for line in lines_of([one])) for one in asked)
        return HfPrepared(texts, lengths, Cost(), encoded=tuple(asked))
    shared = common_length(asked)
    lengths = tuple(length_of(prompt, shared) for prompt in asked)
    prefix = prefill(model, stem(asked[0])[:shared])
    return HfPrepared(texts, lengths, Cost(), padded=False, encoded=tuple(asked), prefix=prefix)


def scores(scorer: Scorer, ready: Prepared, budget: int) -> torch.Tensor:
    """Log-probabilities of all options, question by question, in packs of `budget` tokens: (questions, options)."""
    rows: dict[int, tuple[float, ...]] = {}
    for pack in compose(ready.lengths, budget, padded=ready.padded):
        rows |= dict(zip(pack.members, scorer.score(ready, pack).options_logprob, strict=True))
    return torch.tensor([rows[index] for index in sorted(rows)], dtype=torch.float64)


def asked_of(model: CausalModel, scorer: Scorer, asked: Sequence[EncodedPrompt], budget: int) -> torch.Tensor:
    """The same from prompts on."""
    return scores(scorer, prepared(model, scorer, asked), budget)


def off(found: torch.Tensor, exact: torch.Tensor) -> Off:
    """The largest and the mean distance; NaN where a number is none."""
    apart = (found - exact).abs()
    return Off(round(float(apart.max()), 6), round(float(apart.mean()), 6))
