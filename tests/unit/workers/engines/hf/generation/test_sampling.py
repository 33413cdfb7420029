"""The next token: the distribution is the one that was asked for, and a draw depends on seed and place only."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from proctor.errors import BadScores
from proctor.nouns.conversations import Sampling
from workers.engines.hf.generation import sampling as ours
from workers.engines.hf.generation.sampling import choose, uniform

LOGITS = torch.linspace(-2, 3, 40)[torch.randperm(40, generator=torch.Generator().manual_seed(0))]
BEFORE = [3, 3, 7, 11]
DRAWS = 4000


def theirs(sampling: Sampling) -> torch.Tensor:
    """The distribution (V,) that transformers draws from."""
    steps = [
        RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty),
        TemperatureLogitsWarper(sampling.temperature),
    ]
    if sampling.top_k:
        steps.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        steps.append(TopPLogitsWarper(sampling.top_p))
    scores = LogitsProcessorList(steps)(torch.LongTensor([BEFORE]), LOGITS[None].clone())
    return scores[0].softmax(-1)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0),
        Sampling(temperature=0.5, top_k=7),
        Sampling(temperature=1.5, top_p=0.6),
        Sampling(temperature=2.0, top_k=20, top_p=0.8, repetition_penalty=1.7),
        Sampling(temperature=1.0, top_k=400, top_p=0.99, repetition_penalty=0.7),
    ],
)
def test_draws_are_from_the_distribution_of_transformers(sampling: Sampling) -> None:
    expected = theirs(sampling)
    drawn = Counter(choose(LOGITS, sampling, BEFORE, place).token for place in range(DRAWS))
    assert all(expected[token] > 0 for token in drawn)
    for token, probability in enumerate(expected.tolist()):  # within 5 standard deviations
        spread = (probability * (1 - probability) / DRAWS) ** 0.5
        assert drawn[token] / DRAWS == pytest.approx(probability, abs=5 * spread + 1e-9)


def test_a_nucleus_that_the_first_look_does_not_hold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Sampling(temperature=3.0, top_p=0.9, seed=5)
    expected = [choose(LOGITS, wide, BEFORE, place).token for place in range(200)]
    monkeypatch.setattr(ours, "_FIRST_LOOK", 2)
    assert [choose(LOGITS, wide, BEFORE, place).token for place in range(200)] == expected


def test_a_nucleus_that_is_reached_exactly_ends_there() -> None:
    halves = torch.tensor([0.0, 0.0, -torch.inf])
    assert {choose(halves, Sampling(temperature=1.0, top_p=0.5, seed=seed), [], 0).token for seed in range(50)} == {0}
    above = Sampling(temperature=1.0, top_p=0.51)
    assert {choose(halves, dataclasses.replace(above, seed=seed), [], 0).token for seed in range(50)} == {0, 1}


def test_temperature_zero_is_the_likeliest_token_after_the_penalty() -> None:
    best = int(LOGITS.argmax())
    assert choose(LOGITS, Sampling(temperature=0), [], 0).token == best
    assert choose(LOGITS, Sampling(temperature=0, repetition_penalty=5.0), [best], 0).token != best


@given(st.integers(0, (1 << 63) - 1), st.integers(0, 100_000))
def test_a_draw_depends_on_seed_and_place(seed: int, place: int) -> None:
    assert 0 <= uniform(seed, place) < 1
    assert uniform(seed, place) == uniform(seed, place)
    assert len({uniform(seed, place), uniform(seed + 1, place), uniform(seed, place + 1)}) == 3


def test_numbers_of_many_places_are_spread_evenly() -> None:
    numbers = [uniform(1, place) for place in range(10_000)]
    counts = Counter(int(number * 10) for number in numbers)
    assert all(900 < counts[tenth] < 1100 for tenth in range(10))


def test_rivals_are_the_likeliest_with_the_models_own_log_probabilities() -> None:
    found = choose(LOGITS, Sampling(temperature=2.0, top_k=1, rivals=2), BEFORE, 0)
    logprobs = LOGITS.log_softmax(-1)
    assert [rival.token for rival in found.rivals] == LOGITS.topk(2).indices.tolist()
    assert found.logprob == pytest.approx(float(logprobs[found.token]))
    assert choose(LOGITS, Sampling(rivals=0), BEFORE, 0).rivals == ()
    assert choose(LOGITS, Sampling(), BEFORE, 0).logprob is None


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_is_no_logit_is_an_error(value: float) -> None:
    for sampling in (Sampling(temperature=0), Sampling(temperature=1.0), Sampling(top_p=0.5)):
        with pytest.raises(BadScores):
            choose(torch.full((8,), value), sampling, [], 0)


class Cumulated(TorchFunctionMode):
    """Notes for each cumulated sum whether the CPU was asked for what is summed, as it would have to be on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.on_cpu: list[torch.Tensor] = []
        self.asked: list[bool] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.__name__ == "cumsum":
            self.asked.append(any(args[0] is one for one in self.on_cpu))
        found = func(*args, **(kwargs or {}))
        if func.__name__ == "cpu":
            self.on_cpu.append(found)
        return found


@pytest.mark.parametrize("sampling", [Sampling(seed=1), Sampling(seed=1, top_p=0.6), Sampling(seed=1, top_k=7)])
def test_probabilities_are_summed_on_the_cpu_where_their_order_is_fixed(sampling: Sampling) -> None:
    with Cumulated() as sums:
        choose(LOGITS, sampling, BEFORE, 0)
    assert sums.asked
    assert all(sums.asked)
