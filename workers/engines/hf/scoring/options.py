"""Log-probabilities of a few texts behind a prompt of token ids. Shapes: B options, K positions, V the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from workers.engines.hf.model import CausalModel


def score_options(model: CausalModel, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """The natural log-probability of each option's tokens (at least one) behind `prompt`, each by itself."""
    if all(len(option) == 1 for option in options):  # one line for all
        logits = model.logits(torch.tensor([list(prompt)]), torch.tensor([len(prompt) - 1]))[0, 0]  # (V,)
        logprobs = logits.float().log_softmax(-1)
        return tuple(float(logprobs[option[0]]) for option in options)
    return tuple(_score(model, prompt, option) for option in options)


def _score(model: CausalModel, prompt: Sequence[int], option: Sequence[int]) -> float:
    line = [*prompt, *option[:-1]]
    reads = torch.arange(len(prompt) - 1, len(line))
    logprobs = model.logits(torch.tensor([line]), reads)[0].float().log_softmax(-1)  # (K, V)
    chosen = torch.tensor(list(option), device=logprobs.device)[:, None]
    return float(logprobs.gather(1, chosen).sum())
