"""Tiny GGUF models of many architectures, written by gguf's own writer with the tensors that transformers asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers as hf
from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

from tests import tiny
from workers.engines.hf.quiet import quiet_libraries

EXPERTS = 4

_WIDTHS = {"vocab_size": tiny.VOCAB, "max_position_embeddings": tiny.WINDOW, "pad_token_id": 0, "bos_token_id": 1}


def _config(config: type[hf.PreTrainedConfig], **more: Any) -> hf.PreTrainedConfig:
    shared: dict[str, Any] = {
        **_WIDTHS,
        "eos_token_id": 2,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return config(**{**shared, **more})


CONFIGS: Mapping[str, Callable[[], hf.PreTrainedConfig]] = {
    "llama": lambda: _config(hf.LlamaConfig, head_dim=16),
    "qwen2": lambda: _config(hf.Qwen2Config),
    "qwen3": lambda: _config(hf.Qwen3Config, num_attention_heads=2, num_key_value_heads=1, head_dim=128),
    "gemma2": lambda: _config(hf.Gemma2Config, head_dim=16),
    "gemma3": lambda: _config(hf.Gemma3TextConfig, head_dim=16),
    "phi3": lambda: _config(hf.Phi3Config),
    "stablelm": lambda: _config(hf.StableLmConfig),
    "starcoder2": lambda: _config(hf.Starcoder2Config),
    "nemotron": lambda: _config(hf.NemotronConfig),
    "gpt2": lambda: hf.GPT2Config(vocab_size=tiny.VOCAB, n_positions=1024, n_embd=64, n_layer=2, n_head=4),
    "falcon": lambda: _config(hf.FalconConfig),
    "bloom": lambda: hf.BloomConfig(vocab_size=tiny.VOCAB, hidden_size=64, n_layer=2, n_head=4),
    "mamba": lambda: hf.MambaConfig(vocab_size=tiny.VOCAB, hidden_size=32, num_hidden_layers=2, state_size=8),
    "qwen2moe": lambda: _config(hf.Qwen2MoeConfig, num_experts=EXPERTS, num_experts_per_tok=2),
    "qwen3moe": lambda: _config(hf.Qwen3MoeConfig, head_dim=16, num_experts=EXPERTS, num_experts_per_tok=2),
}
ARCHITECTURES = tuple(CONFIGS)


@cache
def shapes(architecture: str) -> Mapping[str, tuple[int, ...]]:
    """The tensors of a model of this architecture by their names in GGUF, in the order of torch."""
    config = CONFIGS[architecture]()
    with quiet_libraries(), torch.device("meta"):
        model = hf.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config.to_dict())  # type: ignore[no-untyped-call]
    state = model.state_dict()
    found = {name: tuple(state[key].shape) for name, key in get_gguf_hf_weights_map(model, processor).items()}
    for name, shape in list(found.items()):
        if architecture == "gpt2" and len(shape) > 1 and name.startswith("blk."):
            found[name] = shape[::-1]  # GPT-2 keeps its matrices the other way round
        elif name.endswith("ssm_conv1d.weight"):
            found[name] = (shape[0], shape[2])
        elif name.endswith("_exps"):
            rows = shape[1] // 2 if "down" not in name else shape[1]  # transformers has gate and up in one
            found[f"{name}.weight"] = (shape[0], rows, *shape[2:])
            del found[name]
        elif name.endswith("ffn_gate_inp_shexp.weight"):
            found[name] = shape[1:]
    return found


def write(
    path: Path,
    architecture: str = "llama",
    *,
    without: Collection[str] = (),
    more: Mapping[str, tuple[int, ...]] | None = None,
    tied: bool = False,
    tensors_a_file: int = 0,
    facts: Mapping[str, str | float] | None = None,
) -> Path:
    """A whole model but for the tensors `without`; `tied`: no output head; in several files of `tensors_a_file`."""
    writer = _begun(path, architecture, CONFIGS[architecture](), tensors_a_file)
    for key, value in (facts or {}).items():
        writer.add_string(key, value) if isinstance(value, str) else writer.add_float32(key, value)
    generator = np.random.default_rng(0)
    for name, shape in {**shapes(architecture), **(more or {})}.items():
        if name in without or (tied and name == "output.weight"):
            continue
        values = generator.normal(0, 0.15, shape).astype(np.float32)
        if name.endswith("ssm_a"):
            values = -abs(values) - 0.1  # GGUF has −exp(A_log)
        kind = gguf.GGMLQuantizationType.F16 if len(shape) > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    _end(writer)
    return path


def write_model(path: Path, architecture: str, model: hf.PreTrainedModel) -> Path:
    """The model's own numbers in float32, laid out as llama.cpp's convert_hf_to_gguf.py does, and how it rotates."""
    config = model.config
    writer = _begun(path, architecture, config)
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config.to_dict())  # type: ignore[no-untyped-call]
    state = model.state_dict()
    for name, key in get_gguf_hf_weights_map(model, processor).items():
        values = state[key].float().numpy()
        if architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
            heads = config.num_attention_heads if ".attn_q." in name else config.num_key_value_heads
            values = values.reshape(heads, 2, -1, values.shape[-1]).swapaxes(1, 2).reshape(values.shape)
        if architecture in ("gemma2", "gemma3", "nemotron") and name.endswith("norm.weight"):
            values = values + 1
        writer.add_tensor(name, np.ascontiguousarray(values))
    rope = _rope(config)
    if rope.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", _llama3_factors(rope, config.head_dim))
    _end(writer)
    return path


def _begun(path: Path, architecture: str, config: hf.PreTrainedConfig, tensors_a_file: int = 0) -> gguf.GGUFWriter:
    logging.getLogger("gguf.gguf_writer").setLevel(logging.ERROR)
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=tensors_a_file)
    _describe(writer, config)
    return writer


def _end(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _rope(config: hf.PreTrainedConfig) -> Mapping[str, Any]:
    """The rope parameters of layers that see everything."""
    found: Mapping[str, Any] = getattr(config, "rope_parameters", None) or {}
    full: Mapping[str, Any] = found.get("full_attention", found)
    return full


def _llama3_factors(rope: Mapping[str, Any], dims: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """As LlamaModel.generate_extra_tensors of convert_hf_to_gguf.py computes them."""
    low, high, window = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    found = []
    for wave in 2 * np.pi * rope["rope_theta"] ** (np.arange(0, dims, 2) / dims):
        smooth = (window / wave - low) / (high - low)
        between = 1 / ((1 - smooth) / rope["factor"] + smooth)
        found.append(1.0 if wave < window / high else rope["factor"] if wave > window / low else between)
    return np.array(found, dtype=np.float32)


def _describe(writer: gguf.GGUFWriter, config: hf.PreTrainedConfig) -> None:
    heads = getattr(config, "num_attention_heads", 0)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(getattr(config, "max_position_embeddings", tiny.WINDOW))
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(tiny.VOCAB)
    if heads:
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        writer.add_head_count(heads)
        writer.add_head_count_kv(getattr(config, "num_key_value_heads", heads))
        writer.add_key_length(width)
        writer.add_value_length(width)
        _describe_rotation(writer, _rope(config), width)
    else:
        writer.add_ssm_conv_kernel(config.conv_kernel)
        writer.add_ssm_state_size(config.state_size)
        writer.add_ssm_inner_size(config.intermediate_size)
        writer.add_ssm_time_step_rank(config.time_step_rank)
    if hasattr(config, "num_experts"):
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    tiny.write_tokenizer(writer)


def _describe_rotation(writer: gguf.GGUFWriter, rope: Mapping[str, Any], width: int) -> None:
    writer.add_rope_dimension_count(int(width * rope.get("partial_rotary_factor", 1)))
    writer.add_rope_freq_base(rope.get("rope_theta", 10_000.0))
    kind = rope.get("rope_type")
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
