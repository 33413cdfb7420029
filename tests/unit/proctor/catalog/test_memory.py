"""Memory predicted for checkpoints that their makers quantized, and for mixtures of experts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor.catalog.memory import pack_bytes, predicted_memory, weight_bytes
from proctor.catalog.weights import Tensor, Weights, from_config
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, Quant

# gpt-oss-20b: config and tensors as its files have them, a layer for all.
GPT_OSS = {
    "architectures": ["GptOssForCausalLM"],
    "num_hidden_layers": 24,
    "hidden_size": 2880,
    "head_dim": 64,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 201_088,
    "dtype": "bfloat16",
    "intermediate_size": 2880,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "quantization_config": {"quant_method": "mxfp4"},
}
EXPERTS = "model.layers.{}.mlp.experts.{}"


def gpt_oss_20b() -> Weights:
    tensors = [Tensor(name, "BF16", (201_088, 2880)) for name in ("model.embed_tokens.weight", "lm_head.weight")]
    for layer in range(24):
        for name, rows in (("gate_up_proj", 5760), ("down_proj", 2880)):
            tensors.append(Tensor(EXPERTS.format(layer, f"{name}_blocks"), "U8", (32, rows, 90, 16)))
            tensors.append(Tensor(EXPERTS.format(layer, f"{name}_scales"), "U8", (32, rows, 90)))
            tensors.append(Tensor(EXPERTS.format(layer, f"{name}_bias"), "BF16", (32, rows)))
    return from_config(GPT_OSS, tensors)


def test_experts_in_mxfp4_are_counted_as_the_numbers_that_they_are_unpacked_to() -> None:
    weights = gpt_oss_20b()
    assert weights.packed == 24 * 32 * 3 * 2880 * 2880
    assert weights.parameters == pytest.approx(20.3e9, rel=0.02)  # 20.9 with attention
    assert weights.dtype is DType.BFLOAT16
    assert weight_bytes(weights, Quant.NONE, DType.AUTO) == 2 * weights.parameters
    needs = predicted_memory(weights, Quant.NONE, DType.AUTO, Device.GPU, Conditions()) - weight_bytes(
        weights, Quant.NONE, DType.AUTO
    )
    assert needs == pytest.approx(0.5e9 + 8 * 32 * 2880 * 5760, rel=0.01)  # while a layer's larger matrix is unpacked


def test_a_token_of_a_mixture_takes_the_room_of_all_experts_that_it_goes_to() -> None:
    mixture = gpt_oss_20b()
    alone = replace(mixture, experts_a_token=0)
    more = pack_bytes(mixture, DType.BFLOAT16, 2048) - pack_bytes(alone, DType.BFLOAT16, 2048)
    assert more == pytest.approx(2048 * (4 * 11 * 2880 * 2 - 3 * 2880 * 4), rel=0.01)


def test_weights_that_stay_quantized_are_counted_in_the_bytes_of_their_file() -> None:
    tensors = [
        Tensor("model.layers.0.mlp.up_proj.qweight", "I32", (64, 4096)),
        Tensor("model.layers.0.mlp.up_proj.scales", "F16", (4, 4096)),
        Tensor("model.embed_tokens.weight", "F16", (100, 512)),
    ]
    gptq = from_config({"quantization_config": {"quant_method": "gptq"}}, tensors)
    assert (gptq.parameters, gptq.kept_bytes) == (4 * 4096 + 100 * 512, 4 * 64 * 4096)
    assert weight_bytes(gptq, Quant.NONE, DType.FLOAT16) == 2 * gptq.parameters + gptq.kept_bytes
    assert from_config({}, tensors).kept_bytes == 0
