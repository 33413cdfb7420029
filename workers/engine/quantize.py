"""Quantization while loading, by bitsandbytes, on GPUs and on the CPU."""

from __future__ import annotations

import importlib.util

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from proctor.errors import NotHere
from proctor.nouns import Device, Quant
from workers.engine.quiet import silence_bitsandbytes


def quantization(quant: Quant, dtype: torch.dtype, model: str) -> BitsAndBytesConfig | None:
    """How transformers is to quantize a model whose unquantized parts compute in `dtype`; None for not at all.

    8 bit is LLM.int8 with its default outlier threshold of 6. 4 bit is NF4 with double quantization, its products
    computed in `dtype`. Embeddings, output head and norms stay as they are.

    Raises
    ------
    NotHere
        where bitsandbytes isn't installed.
    """
    if quant is Quant.NONE:
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise NotHere(
            model,
            f"{quant} needs bitsandbytes, which isn't installed (it has no build for this system, or was left out)",
            "Use -q none here, or a worker on Linux: pip install bitsandbytes.",
        )
    silence_bitsandbytes()
    if quant is Quant.EIGHT_BIT:
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def settle(model: PreTrainedModel) -> None:
    """Have 4-bit layers compute the same everywhere: weights dequantized, then one product.

    Left alone, bitsandbytes repacks them at the first use on CPUs with AVX512-BF16, rounds their scales to bfloat16,
    and fails where a layer's sizes are no multiples of 32 and 64. For packs of many tokens that is not faster either.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment] # a plain attribute


def notes(quant: Quant, device: Device) -> tuple[str, ...]:
    """What a reader of a Run must know about its quantization."""
    if quant is Quant.NONE or device is Device.GPU:
        return ()
    return (f"{quant} on the CPU: right, and slower than unquantized; its times say nothing about GPUs",)
