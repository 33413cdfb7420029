"""Checkpoints that their makers quantized: they are loaded as they say, and take the memory that was predicted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.integrations.mxfp4 import FP4_VALUES

from proctor.catalog.memory import weight_bytes
from proctor.catalog.weights import read_folder
from proctor.nouns.models import DType, Quant
from tests import tiny
from workers.engines.hf.load import load

MXFP4_SAYS = {
    "quant_method": "mxfp4",
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
}
EXPERTS = ("experts.gate_up_proj", "experts.down_proj")
TOKENS = torch.tensor([[7, 30, 50, 80, 111, 200]])


def in_blocks(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A matrix (experts, in, out) as blocks (experts, out, in/32, 16) and scales of MXFP4, and what these stand for."""
    rows = matrix.float().transpose(1, 2)  # numbers of a block lie along the inputs
    blocks = rows.reshape(*rows.shape[:2], -1, 32)
    exponents = torch.floor(torch.log2(blocks.abs().amax(-1))).int() - 2
    values = torch.tensor(FP4_VALUES)
    near = (blocks / 2.0 ** exponents[..., None])[..., None].sub(values).abs().argmin(-1).to(torch.uint8)
    held = (values[near.long()] * 2.0 ** exponents[..., None]).reshape(rows.shape).transpose(1, 2)
    return near[..., 0::2] | near[..., 1::2] << 4, (exponents + 127).to(torch.uint8), held.contiguous()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny gpt-oss with its experts in MXFP4, and the same numbers in bfloat16."""
    packed, plain = (tiny.make(tmp_path_factory.mktemp(name), "gpt_oss") for name in ("packed", "plain"))
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(plain / "model.safetensors").items()}
    stored = dict(weights)
    for name in weights:
        if name.endswith(EXPERTS):
            stored[f"{name}_blocks"], stored[f"{name}_scales"], held = in_blocks(stored.pop(name))
            weights[name] = held.to(torch.bfloat16)
    for folder, tensors, more in ((packed, stored, {"quantization_config": MXFP4_SAYS}), (plain, weights, {})):
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16", **more}))
    return packed, plain


@pytest.mark.parametrize("dtype", [DType.AUTO, DType.FLOAT32])
def test_experts_in_mxfp4_are_unpacked_and_take_the_memory_that_was_predicted(
    pair: tuple[Path, Path], dtype: DType
) -> None:
    found, plain = (load(folder, "tiny", Quant.NONE, dtype, tiny.CPU) for folder in pair)
    assert found.notes == ("the checkpoint is quantized by its makers: mxfp4, unpacked",)
    held = plain.model.model.state_dict()
    assert found.weights.packed == sum(held[name].numel() for name in held if name.endswith(EXPERTS))
    assert found.bytes == plain.bytes == pytest.approx(weight_bytes(found.weights, Quant.NONE, dtype), rel=0.01)
    assert weight_bytes(found.weights, Quant.NONE, dtype) == weight_bytes(plain.weights, Quant.NONE, dtype)
    with torch.inference_mode():
        ours, theirs = (one.model.model(TOKENS).logits for one in (found, plain))
    assert torch.equal(ours, theirs)


def test_a_checkpoint_in_4_bit_stays_as_it_is_and_is_counted_so(tmp_path: Path) -> None:
    whole = tiny.make(tmp_path / "whole")
    way = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    model = AutoModelForCausalLM.from_pretrained(whole, quantization_config=way, dtype=torch.bfloat16)
    folder = tiny.make(tmp_path / "quantized")
    model.save_pretrained(folder)
    found = load(folder, "tiny", Quant.NONE, DType.AUTO, tiny.CPU)
    assert found.notes == ("the checkpoint is quantized by its makers: bitsandbytes",)
    assert sum(isinstance(one, Linear4bit) for one in found.model.model.modules()) == 14
    weights = read_folder(folder)
    assert weights.kept_bytes > 0
    assert found.bytes == pytest.approx(weight_bytes(weights, Quant.NONE, DType.AUTO), rel=0.1)
    assert weight_bytes(replace(weights, dtype=DType.FLOAT32), Quant.NONE, DType.AUTO) > found.bytes
