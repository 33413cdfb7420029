"""Whether replies are the right ones: many at once beside one after the other, seeds, draws."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

import torch

from bench.device_check.check import Check
from bench.device_check.results import Found
from bench.device_check.shapes import VOCABULARY
from bench.device_check.workshop import Workshop
from proctor.nouns.conversations import Sampling
from proctor.nouns.models import DType
from workers.engines.generation import GenerationRequest, Generator
from workers.engines.hf.generation.choose import generator_for
from workers.engines.hf.generation.continuous import ContinuousBatcher
from workers.engines.hf.generation.sampling import choose
from workers.engines.hf.model import CausalModel

Wish = Callable[[int], Sampling]


def checks() -> list[Check]:
    """In float32, where all ways agree to the token; in bfloat16, where they round in other places; and draws alone."""
    return [
        Check(
            "replies-float32",
            "many at once are transformers' own, token by token; with a seed the same again, alone and in company",
            in_float32,
        ),
        Check("replies-bfloat16", "many at once are the same again, token by token", in_bfloat16),
        Check("draws", "seeded draws fall on the same tokens three times", draws),
    ]


def in_float32(shop: Workshop) -> Found:
    """Greedy replies beside `generate`, drawn ones beside themselves."""
    model = shop.load(shop.checkpoint("llama", DType.FLOAT32), DType.FLOAT32).model
    asked = _prompts(shop)
    expected = _as_transformers(model, asked, shop.sizes.tokens)
    greedy = _replies(shop, model, asked, _greedy)
    first, second = (_replies(shop, model, asked, _drawn) for _ in range(2))
    alone = [_replies(shop, model, [tokens], partial(_drawn_of, n))[0] for n, tokens in enumerate(asked)]
    same = [_equal(greedy, expected), _equal(first, second), _equal(first, alone)]
    said = f"{same[0]} as transformers', {same[1]} again, {same[2]} alone, of {len(asked)}"
    rows = isinstance(generator_for(model, shop.device, frozenset()), ContinuousBatcher)
    return Found(said if rows else f"{said}; one after the other", rows and same == [len(asked)] * 3)


def in_bfloat16(shop: Workshop) -> Found:
    """Drawn replies twice; how many are transformers' own is a figure, for company rounds in another place."""
    model = shop.load(shop.checkpoint("llama", DType.BFLOAT16), DType.BFLOAT16).model
    asked = _prompts(shop)
    first, second = (_replies(shop, model, asked, _drawn) for _ in range(2))
    greedy = _replies(shop, model, asked, _greedy)
    like = _equal(greedy, _as_transformers(model, asked, shop.sizes.tokens))
    again = _equal(first, second)
    said = f"{again} again of {len(asked)}; greedy, {like} are transformers'"
    return Found(said, again == len(asked), {"as_transformers": like, "of": len(asked)})


def draws(shop: Workshop) -> Found:
    """Of logits like a model's: cumulated probabilities must not depend on the moment."""
    logits = torch.randn(shop.sizes.vocabulary, generator=torch.Generator().manual_seed(0)).mul(3).to(shop.device.torch)
    seeds = range(shop.sizes.draws // 2)
    wishes = [Sampling(temperature=1.0, top_p=top_p, seed=seed) for seed in seeds for top_p in (1.0, 0.95)]
    first, second, third = ([choose(logits, options, (), 0).token for options in wishes] for _ in range(3))
    apart = sum(len({*each}) > 1 for each in zip(first, second, third, strict=True))
    return Found(f"{apart} of {len(wishes)} differ", apart == 0, {"differ": apart, "kinds": len({*first})})


def replies(maker: Generator, asked: Sequence[tuple[int, ...]], options: Wish, limit: int) -> list[list[int]]:
    """All replies of a generator, to their ends, in the order of the prompts."""
    for number, tokens in enumerate(asked):
        maker.add(GenerationRequest(str(number), tokens, options(number), limit))
    said: dict[str, list[int]] = {str(number): [] for number in range(len(asked))}
    while maker.live:
        for token in maker.step():
            said[token.id].append(token.token)
    return list(said.values())


def _replies(shop: Workshop, model: CausalModel, asked: Sequence[tuple[int, ...]], options: Wish) -> list[list[int]]:
    return replies(generator_for(model, shop.device, frozenset()), asked, options, shop.sizes.tokens)


def _prompts(shop: Workshop) -> list[tuple[int, ...]]:
    draw = random.Random(3)  # noqa: S311 -- no secret: the same tokens every time
    longest = 2 * shop.sizes.prefix if shop.sizes.real else shop.sizes.prefix
    return [
        tuple(draw.randrange(3, VOCABULARY) for _ in range(draw.randint(5, longest))) for _ in range(shop.sizes.replies)
    ]


@torch.inference_mode()
def by_transformers(model: CausalModel, row: torch.Tensor, limit: int) -> list[int]:
    """The greedy reply of transformers' own `generate` to a prompt (1, T): its token ids."""
    made = model.model.generate(  # type: ignore[operator] # transformers declares it in a mixin
        row, attention_mask=torch.ones_like(row), max_new_tokens=limit, do_sample=False, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    found: list[int] = made[0, row.shape[1] :].tolist()
    return found


def _as_transformers(model: CausalModel, asked: Sequence[tuple[int, ...]], limit: int) -> list[list[int]]:
    rows = (torch.tensor([tokens], device=model.model.device) for tokens in asked)
    return [by_transformers(model, row, limit) for row in rows]


def _greedy(_number: int) -> Sampling:
    return Sampling(temperature=0)


def _drawn(number: int) -> Sampling:
    return Sampling(temperature=0.8, top_p=0.9, seed=number)


def _drawn_of(number: int, _number: int) -> Sampling:
    return _drawn(number)


def _equal(some: Sequence[list[int]], others: Sequence[list[int]]) -> int:
    return sum(one == other for one, other in zip(some, others, strict=True))
