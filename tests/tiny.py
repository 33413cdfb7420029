"""Tiny models with random weights, made on the spot: real architectures and a real tokenizer, no download.

Weights are far larger than a fresh model's, so that log-probabilities differ enough for a test to see a mistake.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from proctor.nouns.exams import Choose, Prompt, Question
from proctor.nouns.models import Device
from workers.engines.devices import TorchDevice
from workers.engines.hf.quiet import quiet_libraries

torch.set_num_threads(1)  # tests run beside one another; more threads would only wait for a core

VOCAB = 400
WINDOW = 512
CPU = TorchDevice(torch.device("cpu"), Device.CPU, "test CPU", 1 << 40, has_bfloat16=True)


class Group(TorchDevice):
    """Several devices that one worker owns, with so many bytes free on each; the CPU stands for all of them."""

    def __init__(self, free: tuple[int, ...]) -> None:
        super().__init__(CPU.torch, Device.CPU, "test group", sum(free), has_bfloat16=True, gpus=len(free))
        object.__setattr__(self, "free", free)  # it is frozen

    free: tuple[int, ...]

    def free_by_gpu(self) -> tuple[int, ...]:
        return self.free


CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LLAMA2_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token }}[INST] {{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'system' %}<<SYS>>{{ m['content'] }}<</SYS>>"
    "{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
)
TEXT = (
    "The following are multiple choice questions (with answers) about astronomy.\n\n"
    "Why does the moon show the same face? It turns once in each orbit around the earth.\n"
    "A. One\nB. Two\nC. Three\nD. Four\nAnswer: A\n\n What is the largest planet of the solar system?"
) + "".join(f"\nAnswer: {letter}" for letter in "ABCDABCD")


def _llama(config: type[hf.PreTrainedConfig], **more: Any) -> hf.PreTrainedConfig:
    """A config in the words that Llama and its many relatives share: grouped heads, two layers."""
    shared: dict[str, Any] = {
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": WINDOW,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return config(**{**shared, **more})


CONFIGS: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    "llama": lambda: _llama(hf.LlamaConfig),
    "mistral": lambda: _llama(hf.MistralConfig, sliding_window=32),
    "qwen2": lambda: _llama(hf.Qwen2Config, tie_word_embeddings=True),
    "qwen3": lambda: _llama(hf.Qwen3Config),
    # Their scaling of attention isn't that of their heads' width, 16: whoever leaves it out is seen.
    "gemma2": lambda: _llama(hf.Gemma2Config, sliding_window=32, query_pre_attn_scalar=24),
    "gemma3": lambda: _llama(
        hf.Gemma3TextConfig,
        sliding_window=32,
        query_pre_attn_scalar=40,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "olmo2": lambda: _llama(hf.Olmo2Config),
    "phi": lambda: _llama(hf.PhiConfig, num_key_value_heads=4),
    "phi3": lambda: _llama(hf.Phi3Config),
    "gpt2": lambda: hf.GPT2Config(
        vocab_size=VOCAB, bos_token_id=1, eos_token_id=2, n_positions=WINDOW, n_embd=64, n_layer=2, n_head=4
    ),
    "gpt_neox": lambda: _llama(hf.GPTNeoXConfig),
    "gpt_oss": lambda: _llama(
        hf.GptOssConfig,
        sliding_window=32,
        num_local_experts=4,
        num_experts_per_tok=2,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "lfm2": lambda: _llama(hf.Lfm2Config, layer_types=["conv", "full_attention"], block_multiple_of=16),
    "mamba": lambda: hf.MambaConfig(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, state_size=8),
}
ARCHITECTURES = tuple(CONFIGS)


def make(folder: Path, architecture: str = "llama", *, begin: bool = False, seed: int = 0) -> Path:
    """Save a tiny model and its tokenizer in `folder`; `begin` has the tokenizer put `<s>` before every text."""
    return _save(folder, CONFIGS[architecture](), tokenizer(begin=begin), seed)


def lengthen(folder: Path, window: int) -> None:
    """Have a model's config say that it reads so many tokens."""
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": window}))


def make_sentencepiece(folder: Path) -> Path:
    """Save a tiny Llama whose tokenizer is `sentencepiece`."""
    words = sentencepiece()
    return _save(folder, _llama(hf.LlamaConfig, vocab_size=len(words), pad_token_id=None), words, seed=3)


def _save(folder: Path, config: hf.PreTrainedConfig, words: hf.PreTrainedTokenizerFast, seed: int) -> Path:
    torch.manual_seed(seed)
    with quiet_libraries():
        model = hf.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.15)
    with quiet_libraries():
        model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def tokenizer(*, begin: bool = False) -> hf.PreTrainedTokenizerFast:
    """A byte-level BPE trained on a few lines: `<pad>` is 0, `<s>` is 1, `</s>` is 2."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([TEXT], trainer)
    if begin:
        bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return hf.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=WINDOW,
        chat_template=CHAT_TEMPLATE,
    )


def sentencepiece() -> hf.PreTrainedTokenizerFast:
    """A tokenizer laid out as Llama 2's and Mistral's: a space before the text, bytes for what it doesn't know.

    `<unk>` is 0, `<s>` is 1 and stands before every text, `</s>` is 2, the byte N is N + 3.
    """
    bpe = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    names = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=[*names, *(f"<0x{n:02X}>" for n in range(256))], show_progress=False
    )
    bpe.train_from_iterator([*TEXT.split("\n"), "Paris is the capital of France and it is a nice city"] * 3, trainer)
    described = json.loads(bpe.to_str())
    described["pre_tokenizer"] = None
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] in names]
    bpe = Tokenizer.from_str(json.dumps(described))  # bytes are plain vocabulary
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    bpe.decoder = decoders.Sequence(steps)
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return hf.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=WINDOW,
        chat_template=LLAMA2_TEMPLATE,
    )


def prompt(text: str, options: tuple[str, ...] = (" A", " B", " C", " D"), index: int = 0) -> Prompt:
    """A prompt of any text, for what does not look at the question."""
    question = Question(f"{index:016x}", index, text, tuple(option.strip() or "?" for option in options), 0)
    return Prompt(question, Choose(text, options), "0" * 64)


def make_gguf(path: Path, *, matrices: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F16) -> Path:
    """A tiny Llama as llama.cpp would write it, tokenizer included; its matrices in the given type."""
    torch.manual_seed(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(VOCAB)
    write_tokenizer(writer)
    shapes = {"token_embd": (VOCAB, 64), "output": (VOCAB, 64), "output_norm": (64,)}
    layer = {"attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64), "attn_norm": (64,)}
    inner = {"ffn_gate": (96, 64), "ffn_up": (96, 64), "ffn_down": (64, 96), "ffn_norm": (64,)}
    shapes |= {f"blk.0.{name}": shape for name, shape in {**layer, **inner}.items()}
    for name, shape in shapes.items():
        values = torch.randn(shape).mul(0.15).numpy()
        kind = matrices if len(shape) > 1 else gguf.GGMLQuantizationType.F32
        data = gguf.quants.quantize(values, kind)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tokenizer(writer: gguf.GGUFWriter) -> None:
    """Add the tiny tokenizer as llama.cpp would."""
    described = json.loads(tokenizer().backend_tokenizer.to_str())["model"]
    tokens = sorted(described["vocab"], key=described["vocab"].__getitem__)
    tokens += [f"[unused{n}]" for n in range(VOCAB - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (VOCAB - 3))  # 3: control, 1: normal
    writer.add_token_merges([" ".join(merge) for merge in described["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
