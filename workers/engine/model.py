"""A transformers model behind the one question that scoring asks of it."""

from __future__ import annotations

import inspect

import torch
from transformers import PreTrainedModel


class CausalModel:
    """A loaded causal language model. Shapes: B lines, T tokens, K positions, V the vocabulary."""

    def __init__(self, model: PreTrainedModel, padding: int) -> None:
        self.model, self.padding = model, padding
        self._keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters

    @torch.inference_mode()
    def logits(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Logits (B, K, V) of a batch of lines (B, T) at `positions` (K,): what comes after each.

        Lines start at position 0 and may be padded on the right: attention is causal, nothing looks there.
        """
        device = self.model.device
        tokens, positions = tokens.to(device), positions.to(device)
        if self._keeps_logits:
            output = self.model(input_ids=tokens, use_cache=False, logits_to_keep=positions)
            found: torch.Tensor = output.logits
            return found
        whole: torch.Tensor = self.model(input_ids=tokens, use_cache=False).logits  # (B, T, V)
        return whole[:, positions]
