"""Models made in place, with random weights: small ones of several architectures, and some at real shapes.

Their tokenizer knows bytes alone, so that nothing has to be fetched or trained.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from workers.engines.hf.quiet import quiet_libraries

VOCABULARY = 2048  # of the small models
WINDOW = 4096
_WINDOW_OF_A_LAYER = 64  # tokens, in architectures that have such layers
_SHARPER = 2.0  # times queries' and keys' weights: attention sharp enough for a wrong mask to show

Make = Callable[..., PreTrainedConfig]

FAMILIES: dict[str, tuple[Make, dict[str, Any]]] = {
    "llama": (hf.LlamaConfig, {"head_dim": 64}),
    "qwen2": (hf.Qwen2Config, {}),
    "qwen3": (hf.Qwen3Config, {"head_dim": 128}),
    "mistral": (hf.MistralConfig, {"head_dim": 64, "sliding_window": _WINDOW_OF_A_LAYER}),
    "gemma2": (hf.Gemma2Config, {"head_dim": 64, "sliding_window": _WINDOW_OF_A_LAYER}),
    "gemma3": (hf.Gemma3TextConfig, {"head_dim": 256, "sliding_window": _WINDOW_OF_A_LAYER}),
    "gpt_oss": (
        hf.GptOssConfig,
        {"head_dim": 64, "sliding_window": _WINDOW_OF_A_LAYER, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
}

# At the shapes of Llama-3.2-1B and Qwen2.5-7B.
REAL: dict[str, Callable[[], PreTrainedConfig]] = {
    "1b": lambda: hf.LlamaConfig(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
        head_dim=64, vocab_size=128_256, max_position_embeddings=65_536, tie_word_embeddings=True,
    ),
    "7b": lambda: hf.Qwen2Config(
        hidden_size=3584, intermediate_size=18_944, num_hidden_layers=28, num_attention_heads=28,
        num_key_value_heads=4, vocab_size=152_064, max_position_embeddings=65_536, tie_word_embeddings=False,
    ),
}  # fmt: skip


def family(name: str, width: int, layers: int) -> PreTrainedConfig:
    """A small model's config: `width` of its hidden states, four heads over two of keys and values."""
    make, own = FAMILIES[name]
    return make(
        hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=VOCABULARY, max_position_embeddings=WINDOW,
        initializer_range=0.8 * width**-0.5, pad_token_id=0, bos_token_id=1, eos_token_id=2, **own,
    )  # fmt: skip


def build(config: PreTrainedConfig, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """A model of this config with random weights, the same ones at every call on a device."""
    torch.manual_seed(0)
    with quiet_libraries(), device:
        model: PreTrainedModel = hf.AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]
    for name, weight in model.named_parameters():
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weight.data.mul_(_SHARPER)
    model.requires_grad_(requires_grad=False)
    model.train(mode=False)
    return model


def empty(config: PreTrainedConfig) -> PreTrainedModel:
    """A model without numbers, to be counted."""
    with torch.device("meta"):
        model: PreTrainedModel = hf.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return model


def save(model: PreTrainedModel, folder: Path) -> Path:
    """A checkpoint of the model, with a tokenizer."""
    with quiet_libraries():
        model.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    return folder


def tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte: `<pad>` is 0, `<s>` is 1, `</s>` is 2."""
    known = {word: number for number, word in enumerate(["<pad>", "<s>", "</s>", *sorted(_alphabet())])}
    bytewise = Tokenizer(models.BPE(vocab=known, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    words = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=bytewise, model_max_length=WINDOW, **words)  # type: ignore[no-untyped-call]


def _alphabet() -> list[str]:
    found: list[str] = pre_tokenizers.ByteLevel.alphabet()
    return found
