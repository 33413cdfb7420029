"""The output head (`lm_head`) in float32, whatever the model computes in.

A logit near 20 in bfloat16 is a multiple of 1/8: of four options that a small model thinks about equally likely, two
share the highest number on one question in five (42 of 200 MMLU questions, SmolLM2), which is rounding, not opinion.
The head is a small part of the work, as only the positions that are read go through it, so its products are summed
and kept in float32. Its weights stay as they are, and what a model does behind the head (scaling, soft caps) is then
done in float32 too.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from workers.engines.hf.hooked import is_hooked, set_forward

# Rows of the vocabulary that are widened at a time. On a CPU the copy stays in its cache, which makes a reply's token
# several times cheaper than with one in memory (docs/experiments.md); on a GPU it stays small beside a pack.
_CPU_ROWS, _GPU_ROWS = 2048, 16_384


class WideHead(nn.Linear):
    """A linear layer of 16-bit weights that multiplies, sums and answers in float32."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (..., V) in float32 of hidden states (..., width) of any float type."""
        wide = hidden.float()
        rows = _CPU_ROWS if wide.device.type == "cpu" else _GPU_ROWS
        starts = range(0, self.out_features, rows)
        parts = [functional.linear(wide, self.weight[start : start + rows].float()) for start in starts]
        bias: torch.Tensor | None = self.bias
        return torch.cat(parts, dim=-1) if bias is None else torch.cat(parts, dim=-1) + bias.float()


def widen_head(model: PreTrainedModel) -> None:
    """Let the model's output head give float32. One that is no plain matrix of 16-bit numbers is left alone."""
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call] # transformers leaves it untyped
    if type(head) is nn.Linear and head.weight.dtype in (torch.bfloat16, torch.float16):
        head.__class__ = WideHead  # the module stays, with its weights and what they are tied to
        if is_hooked(head):
            set_forward(head, WideHead.forward.__get__(head))
