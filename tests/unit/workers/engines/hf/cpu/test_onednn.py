"""Weights laid out for oneDNN: the same numbers, and nothing packed that can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedModel

from proctor.nouns.models import Device
from tests import tiny
from workers.engines.devices import TorchDevice
from workers.engines.hf.cpu import onednn
from workers.engines.hf.cpu.onednn import PackedLinear, lies_in_blocks, pack

TOKENS = torch.arange(3, 40)[None]


@pytest.fixture(autouse=True)
def _avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed layers compute on every CPU, whichever are quicker with them."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


@pytest.fixture
def model(tmp_path: Path) -> PreTrainedModel:
    return made(tmp_path, torch.float32)


def made(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(tiny.make(folder, "qwen2"), dtype=dtype)
    return loaded


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.5)])
def test_packed_layers_compute_what_they_did(tmp_path: Path, dtype: torch.dtype, tolerance: float) -> None:
    model = made(tmp_path, dtype)
    before = logits(model)
    assert pack(model, tiny.CPU) in ((onednn.NAME,) if dtype is torch.float32 else (onednn.NAME, onednn.PLAIN))
    assert float((logits(model) - before).abs().max()) < tolerance
    assert torch.equal(logits(model), logits(model))


def test_all_linear_layers_but_the_head_are_packed(model: PreTrainedModel) -> None:
    pack(model, tiny.CPU)
    left = [name for name, layer in model.named_modules() if type(layer) is nn.Linear]
    assert left == ["lm_head"]
    assert sum(isinstance(layer, PackedLinear) for layer in model.modules()) == 2 * 7


def test_without_onednn_and_on_a_gpu_a_model_keeps_torchs_products(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        pack(model, TorchDevice(torch.device("cpu"), Device.GPU, "a GPU", 1 << 40, has_bfloat16=True)) == onednn.PLAIN
    )
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack(model, tiny.CPU) == onednn.PLAIN
    assert not any(isinstance(layer, PackedLinear) for layer in model.modules())


def test_a_model_that_reads_its_weights_in_another_way_keeps_torchs_products(model: PreTrainedModel) -> None:
    before = logits(model)
    layer = model.model.layers[1].mlp

    def its_own(hidden: torch.Tensor) -> torch.Tensor:
        gated = functional.silu(functional.linear(hidden, layer.gate_proj.weight)) * layer.up_proj(hidden)
        return functional.linear(gated, layer.down_proj.weight)

    layer.forward = its_own
    assert pack(model, tiny.CPU) == onednn.PLAIN
    assert torch.equal(logits(model), before)
    assert not any(isinstance(layer, PackedLinear) for layer in model.modules())


def test_no_rows_give_no_rows(model: PreTrainedModel) -> None:
    pack(model, tiny.CPU)
    layer = model.model.layers[0].mlp.gate_proj
    assert layer(torch.empty(2, 0, 64)).shape == (2, 0, 96)


def test_nothing_is_packed_for_a_gpu_or_for_types_that_the_cpu_lacks(model: PreTrainedModel, tmp_path: Path) -> None:
    gpu = TorchDevice(torch.device("cpu"), Device.GPU, "as if", 1, has_bfloat16=True)
    old = TorchDevice(torch.device("cpu"), Device.CPU, "an old CPU", 1, has_bfloat16=False)
    assert pack(model, gpu) == onednn.PLAIN
    assert pack(made(tmp_path / "half", torch.bfloat16), old) == onednn.PLAIN
    assert pack(model, old) == onednn.NAME


@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT"])
def test_nothing_is_packed_where_that_would_be_slower(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, capability: str
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert pack(model, tiny.CPU) == onednn.PLAIN


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="no AVX512-BF16")
@pytest.mark.parametrize(("rows", "columns"), [(576, 576), (32, 64), (100, 70), (16, 96)])
def test_matrices_in_bfloat16_lie_in_blocks(rows: int, columns: int) -> None:
    assert lies_in_blocks(rows, columns)


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="no AVX512-BF16")
def test_another_layout_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    own = torch.ops.mkldnn

    class Other:
        _reorder_linear_weight = staticmethod(lambda matrix: own._reorder_linear_weight(matrix.flip(1)))
        _nbytes, data_ptr = own._nbytes, own.data_ptr

    monkeypatch.setattr(torch.ops, "mkldnn", Other)
    assert not lies_in_blocks(48, 128)
