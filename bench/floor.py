"""The floor under a Run's time: what its matrix products alone would take at the rate that this machine reaches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from workers.engines.hf.generation.kv_cache import head_width

_BEST_OF = 7


@dataclass(frozen=True)
class Floor:
    """Rates of a model's matrices in floating-point operations a second, and the parameters that each token meets."""

    rate: float  # of torch's own products, at the shapes of the layers
    parameters: int  # of the layers: neither embeddings nor output head
    widths: int  # of what a token's query meets of a key, and as much of a value: heads × width, over all layers

    def seconds(self, tokens: int, pairs: int = 0) -> float:
        """The least time for so many tokens: tokens × 2 × parameters / rate.

        `pairs` of a query's token with one it sees are attention's share, 4 × widths operations each.
        """
        return (tokens * 2 * self.parameters + pairs * 4 * self.widths) / self.rate


def floor_of(model: PreTrainedModel, tokens: int, dtype: torch.dtype) -> Floor:
    """Measure, now, each shape of the layers' matrices times a row of `tokens` tokens; the best of several counts."""
    shapes, device = layer_shapes(model), model.device
    flops = seconds = 0.0
    for (rows, columns), count in shapes.items():
        weight, hidden = (torch.randn(n, columns, dtype=dtype, device=device) for n in (rows, tokens))
        seconds += count * best(lambda w=weight, h=hidden: torch.nn.functional.linear(h, w))  # type: ignore[misc]
        flops += count * 2 * tokens * rows * columns
    parameters = sum(rows * columns * count for (rows, columns), count in shapes.items())
    config = model.config.get_text_config()
    widths = config.num_attention_heads * head_width(config) * config.num_hidden_layers
    return Floor(flops / seconds, parameters, widths)


def layer_shapes(model: PreTrainedModel) -> Counter[tuple[int, int]]:
    """(rows, columns) of the matrices that every token goes through, and how often each shape is there."""
    outside = {id(model.get_input_embeddings()), id(model.get_output_embeddings())}  # type: ignore[no-untyped-call]
    linear = [module for module in model.modules() if hasattr(module, "in_features") and id(module) not in outside]
    return Counter((int(module.out_features), int(module.in_features)) for module in linear)  # type: ignore[arg-type]


def best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of several calls."""
    found = []
    for _ in range(_BEST_OF):
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return min(found)
