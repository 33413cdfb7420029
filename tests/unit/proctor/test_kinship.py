"""What names of models tell of their family and size."""

from __future__ import annotations

import pytest

from proctor.kinship import billions, is_small, kin


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "/models/smollm2-360m-q4.gguf", "smollm"),
        ("smollm2", "smollm2", "smollm2"),
        ("Qwen/Qwen2.5-7B-Instruct", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "qwen"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "google/gemma-2-9b-it", ""),
        ("org/first-chat-model", "org/second-chat-model", ""),
        ("./checkpoint-500", "./checkpoint-900", ""),
    ],
)
def test_names_tell_a_family(one: str, other: str, shared: str) -> None:
    assert kin(one, other) == kin(other, one) == shared


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 0.135),
        ("Qwen/Qwen2.5-0.5B", 0.5),
        ("meta-llama/Llama-3.1-70B-Instruct", 70.0),
        ("smollm2", None),
        ("org/model-4bit", None),
    ],
)
def test_names_tell_a_size(model: str, size: float | None) -> None:
    assert billions(model) == size
    assert is_small(model) == (size is not None and size < 7)
