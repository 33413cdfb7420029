"""Quantization while loading, by bitsandbytes (LLM.int8 and NF4), on GPUs and on the CPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.quantizers.base import get_keys_to_not_convert
from transformers.utils.quantization_config import Mxfp4Config

from proctor.catalog.weights import MXFP4, Weights, read_safetensors, weight_files
from proctor.errors import BadModel, NotHere, first_line
from proctor.nouns.models import Device, Quant
from workers.engines.devices import is_of_the_device, is_shortage
from workers.engines.hf.quiet import silence_bitsandbytes

# Linear layers of state-space models that multiply by their weight themselves, which quantized is no matrix any more.
_READ_BY_WEIGHT = "dt_proj"


def quantization(quant: Quant, dtype: torch.dtype, folder: Path, model: str) -> BitsAndBytesConfig | None:
    """How transformers is to quantize a model whose unquantized parts compute in `dtype`; None for not at all.

    8 bit is LLM.int8 with its default outlier threshold of 6. 4 bit is NF4 with double quantization, its products
    computed in `dtype`. Embeddings, output head and norms stay as they are, and so do the steps (`dt_proj`) of
    state-space models.

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
    kept = _kept(folder, model)
    if quant is Quant.EIGHT_BIT:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        llm_int8_skip_modules=kept,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def unpacked(method: str) -> Mxfp4Config | None:
    """How transformers is to read a checkpoint that its makers quantized by this method; None: as it says itself.

    MXFP4 is unpacked to the type that is computed in, on every device alike: see docs/decisions/0036.
    """
    return Mxfp4Config(dequantize=True) if method == MXFP4 else None


def _kept(folder: Path, model: str) -> list[str] | None:
    """The layers to leave as they are; None for transformers' own choice, which a list of ours would replace."""
    names = (tensor.name for file in weight_files(folder, model) for tensor in read_safetensors(file, model))
    if not any(f".{_READ_BY_WEIGHT}." in name for name in names):
        return None
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))  # type: ignore[no-untyped-call]
    return [*get_keys_to_not_convert(empty), _READ_BY_WEIGHT]


def check_computes(model: PreTrainedModel, quant: Quant, name: str) -> None:
    """Raise `BadModel` where the quantized model can't read two tokens: a layer of its kind wasn't made for that."""
    if quant is Quant.NONE:
        return
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 2, dtype=torch.long, device=model.device))
    except RuntimeError as error:
        if is_shortage(error) or is_of_the_device(error):
            raise
        cause = f"a layer of this architecture can't be computed at {quant}: {first_line(error)}"
        raise BadModel(name, cause, "Use -q none.") from error


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


def prequantized_notes(weights: Weights) -> tuple[str, ...]:
    """What a reader of a Run must know of a checkpoint that its makers quantized."""
    if not weights.quantized_as:
        return ()
    return (f"the checkpoint is quantized by its makers: {weights.quantized_as}" + ", unpacked" * bool(weights.packed),)
