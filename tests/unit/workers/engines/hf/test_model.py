"""Logits at positions, of models that compute no others and of those that compute all."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from tests import tiny
from workers.engines.hf.model import CausalModel

TOKENS = torch.tensor([[5, 6, 7, 8, 9], [9, 8, 7, 6, 5]])


@torch.inference_mode()
def whole(model: hf.PreTrainedModel) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=TOKENS, use_cache=False).logits
    return found


@pytest.mark.parametrize("positions", [[4], [1, 3], [3, 0]])
def test_logits_are_those_at_the_positions_also_of_a_model_that_is_not_told_them(positions: list[int]) -> None:
    torch.manual_seed(1)
    llama = hf.LlamaConfig(vocab_size=tiny.VOCAB, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    xlstm = hf.xLSTMConfig(vocab_size=tiny.VOCAB, hidden_size=64, num_heads=2, num_blocks=1, chunk_size=8)
    for model in (hf.LlamaForCausalLM(llama), hf.xLSTMForCausalLM(xlstm)):  # without dropout: no `eval` is needed
        found = CausalModel(model, 0).logits(TOKENS, torch.tensor(positions))
        assert found.shape == (2, len(positions), tiny.VOCAB)
        assert torch.allclose(found, whole(model)[:, positions], atol=1e-5)
