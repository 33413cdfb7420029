"""Sampling: the next token from a model's logits, and its top log-probabilities. Shapes: R rows, V the vocabulary.

In the order of transformers: repetition penalty (CTRL, https://arxiv.org/abs/1909.05858), temperature, top-k, top-p
(https://arxiv.org/abs/1904.09751). What is left is drawn from by one number between 0 and 1 that is a hash of the
reply's seed and the token's place, so that no state has to travel with a reply.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch

from proctor.errors import BadScores
from proctor.nouns.conversations import Finish, Sampling
from workers.engines.generation import GenerationRequest, NextToken, PromptLogprob, TokenLogprob

_FIRST_LOOK = 512  # tokens among which a nucleus is looked for before all are sorted


@dataclass(frozen=True)
class Chosen:
    """A token, and what was asked for about it."""

    token: int
    logprob: float | None
    rivals: tuple[TokenLogprob, ...]


def choose(logits: torch.Tensor, sampling: Sampling, before: Sequence[int], place: int) -> Chosen:
    """The token at `place` of a reply (from 0), whose prompt and earlier tokens are `before`; `logits` are (V,).

    Raises
    ------
    BadScores
        where the logits are NaN, or all of them minus infinity.
    """
    logits = logits.float()
    scores = penalize(logits, before, sampling.repetition_penalty)
    token = int(scores.argmax()) if sampling.greedy else _draw(scores, sampling, uniform(sampling.seed or 0, place))
    if not torch.isfinite(logits[token]):
        raise BadScores("The model gives numbers that are no logits (NaN or infinity).", "Try --dtype float32.")
    if sampling.rivals is None:
        return Chosen(token, None, ())
    logprobs = logits.log_softmax(-1)
    best = logprobs.topk(sampling.rivals)
    rivals = tuple(TokenLogprob(*rank) for rank in zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Chosen(token, float(logprobs[token]), rivals)


def next_token(
    logits: torch.Tensor,
    request: GenerationRequest,
    tokens: list[int],
    ends: AbstractSet[int],
    prompt: Sequence[PromptLogprob],
) -> NextToken:
    """Choose the next token of a reply from its `logits` (V,), and add it to the reply's `tokens`, unless it ends it.

    `ends` are the tokens that end replies; `prompt` is what is told of the prompt's tokens with this one. Raises
    `BadScores` as `choose` does.
    """
    chosen = choose(logits, request.sampling, (*request.prompt, *tokens), len(tokens))
    finish = None
    if chosen.token in ends:
        finish = Finish.STOP
    else:
        tokens.append(chosen.token)
        if len(tokens) >= request.limit:
            finish = Finish.LENGTH
    return NextToken(request.id, chosen.token, chosen.logprob, chosen.rivals, finish, tuple(prompt))


def score_prompt(logits: torch.Tensor, tokens: Sequence[int], rivals: int) -> list[PromptLogprob]:
    """Log-probabilities of n tokens of a prompt from the logits (n, V) of what stands before each; taken in float32.

    Raises
    ------
    BadScores
        where a number is none.
    """
    logprobs = logits.float().log_softmax(-1)
    chosen = logprobs.gather(1, torch.tensor(list(tokens), device=logits.device)[:, None])[:, 0].tolist()
    if any(math.isnan(value) for value in chosen):
        raise BadScores("The model gives numbers that are no logits (NaN).", "Try --dtype float32.")
    best = logprobs.topk(rivals)
    ranks = [
        tuple(TokenLogprob(*rank) for rank in zip(*row, strict=True))
        for row in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    return [PromptLogprob(*each) for each in zip(tokens, chosen, ranks, strict=True)]


def penalize(logits: torch.Tensor, before: Sequence[int], penalty: float) -> torch.Tensor:
    """Logits (V,) with those of tokens that came before divided by the penalty, or multiplied where below 0."""
    if penalty == 1.0 or not before:
        return logits
    seen = torch.tensor(sorted(set(before)), device=logits.device)
    scores = logits[seen]
    penalized = logits.clone()
    penalized[seen] = torch.where(scores < 0, scores * penalty, scores / penalty)
    return penalized


def uniform(seed: int, place: int) -> float:
    """A number from 0 up to, and without, 1: 53 bits of a hash of both."""
    digest = hashlib.blake2b(f"{seed} {place}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def _draw(scores: torch.Tensor, sampling: Sampling, point: float) -> int:
    """The token at `point` of the cumulated probabilities."""
    scores = scores / sampling.temperature
    if sampling.top_k == 0 and sampling.top_p == 1.0:
        return _at(scores.softmax(-1), point)
    count = min(sampling.top_k or len(scores), len(scores))
    kept, tokens = _nucleus(scores, count, sampling.top_p)
    return int(tokens[_at(kept, point)])


def _nucleus(scores: torch.Tensor, count: int, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities, in falling order, of the likeliest tokens that reach `top_p` among the `count` best; and those."""
    total = scores.topk(count).values.logsumexp(-1) if count < len(scores) else scores.logsumexp(-1)
    for look in (min(_FIRST_LOOK, count), count):
        best = scores.topk(look)
        probabilities = (best.values - total).exp()
        reached = _cumulated(probabilities)
        if look == count or float(reached[-1]) >= top_p:
            break
    size = min(int((reached < top_p).sum()) + 1, look)
    return probabilities[:size], best.indices[:size]


def _cumulated(probabilities: torch.Tensor) -> torch.Tensor:
    """Their sums up to each, on the CPU: a GPU adds numbers up in an order that depends on the moment."""
    return probabilities.cpu().cumsum(-1)


def _at(probabilities: torch.Tensor, point: float) -> int:
    """The index at which the cumulated probabilities pass `point` of their sum."""
    passed = _cumulated(probabilities.double())
    index = int(torch.searchsorted(passed, passed[-1:] * point, right=True))
    return min(index, len(probabilities) - 1)
