"""Gated layers with their element-wise work inside the products: the same numbers, and no other layers touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedModel

from proctor.nouns.models import DType, Quant
from tests import tiny
from workers.engines.hf.cpu.fused_gates import GatedProducts, fuse
from workers.engines.hf.cpu.onednn import pack
from workers.engines.hf.load import load

TOKENS = torch.arange(3, 40)[None]


@pytest.fixture(autouse=True)
def _avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed and fused layers compute on every CPU, whichever are quicker with them."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


def packed(folder: Path, architecture: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(tiny.make(folder, architecture), dtype=dtype)
    pack(model, tiny.CPU)
    return model


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found


@pytest.mark.parametrize(
    ("architecture", "activation"),
    [("llama", ("swish", "")), ("qwen2", ("swish", "")), ("olmo2", ("swish", "")), ("gemma2", ("gelu", "tanh"))],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.5)])
def test_fused_layers_compute_what_they_did(
    tmp_path: Path, architecture: str, activation: tuple[str, str], dtype: torch.dtype, tolerance: float
) -> None:
    model = packed(tmp_path, architecture, dtype)
    before = logits(model)
    if not fuse(model):
        assert dtype is torch.bfloat16, "a CPU without bfloat16 keeps torch's own products"
        return
    products = [layer.mlp.forward for layer in model.model.layers]
    assert [one.activation for one in products] == [activation] * 2
    assert float((logits(model) - before).abs().max()) < tolerance
    assert torch.equal(logits(model), logits(model))


@pytest.mark.parametrize(
    ("function", "activation"),
    [
        (nn.SiLU(), ("swish", "")),
        (nn.GELU(), ("gelu", "none")),
        (nn.GELU(approximate="tanh"), ("gelu", "tanh")),
        (nn.ReLU(), ("relu", "")),
    ],
)
def test_each_activation_of_the_products_is_found_by_what_it_computes(
    tmp_path: Path, function: nn.Module, activation: tuple[str, str]
) -> None:
    model = packed(tmp_path, "llama")
    for layer in model.model.layers:
        layer.mlp.act_fn = function
    before = logits(model)
    assert fuse(model) == 2
    assert [layer.mlp.forward.activation for layer in model.model.layers] == [activation] * 2
    assert float((logits(model) - before).abs().max()) < 1e-4


def test_a_layer_with_an_activation_that_the_products_lack_stays_as_it_is(tmp_path: Path) -> None:
    model = packed(tmp_path, "llama")
    model.model.layers[0].mlp.act_fn = nn.ELU()
    assert fuse(model) == 1
    assert not isinstance(model.model.layers[0].mlp.forward, GatedProducts)


def test_a_layer_that_puts_its_parts_together_in_another_way_stays_as_it_is(tmp_path: Path) -> None:
    model = packed(tmp_path, "llama")
    mlp = model.model.layers[1].mlp
    mlp.forward = lambda x: mlp.down_proj(functional.silu(mlp.gate_proj(x) + mlp.up_proj(x)))
    before = logits(model)
    assert fuse(model) == 1
    assert float((logits(model) - before).abs().max()) < 1e-4


@pytest.mark.parametrize("architecture", ["gpt2", "phi3"])
def test_layers_of_another_shape_are_left_alone(tmp_path: Path, architecture: str) -> None:
    assert fuse(packed(tmp_path, architecture)) == 0


def test_a_run_records_that_gates_are_fused(tmp_path: Path) -> None:
    engine = load(tiny.make(tmp_path, "llama"), "llama", Quant.NONE, DType.FLOAT32, tiny.CPU)
    assert engine.products == "onednn, gates fused"
    quantized = load(tiny.make(tmp_path / "4", "llama"), "llama", Quant.FOUR_BIT, DType.FLOAT32, tiny.CPU)
    assert quantized.products == "torch"
