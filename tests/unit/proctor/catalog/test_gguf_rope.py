"""Rotation of positions: what a GGUF file says of it is in the converted model, or the file is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from proctor.catalog.conversion import is_checked
from proctor.catalog.gguf_model import read_model
from proctor.catalog.resolve import resolve
from proctor.errors import BadModel
from tests import tiny, tiny_gguf
from workers.engines.hf.quiet import quiet_libraries
from workers.engines.hf.rope import check_rotation
from workers.models.local_files import local_folder

TOKENS = torch.arange(3, 3 + 96).unsqueeze(0) % tiny.VOCAB
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 64}
SLIDING = {"rope_type": "default", "rope_theta": 10_000.0}
WIDE = {"rope_type": "linear", "rope_theta": 1_000_000.0, "factor": 8.0}
LONG = dict.fromkeys(("rope_factors_long.weight", "rope_factors_short.weight"), (8,))
SCALED: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("llama", LLAMA3),
    ("llama", {**LLAMA3, "factor": 32.0}),
    ("llama", {**LLAMA3, "original_max_position_embeddings": 512, "rope_theta": 10_000.0}),
    ("llama", {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}),
    ("qwen2", YARN),
    ("qwen2", {"rope_type": "default", "rope_theta": 1_000_000.0}),
    ("gemma3", {"full_attention": WIDE, "sliding_attention": SLIDING}),
    ("phi3", {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5}),
    ("stablelm", {"rope_type": "default", "rope_theta": 50_000.0, "partial_rotary_factor": 0.5}),
    ("starcoder2", {"rope_type": "default", "rope_theta": 999_999.0}),
    ("nemotron", {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5}),
)


def original(architecture: str, rope: Mapping[str, Any]) -> hf.PreTrainedModel:
    """A random model that rotates so, with weights large enough for its attention to depend on positions."""
    config = type(tiny_gguf.CONFIGS[architecture]())
    settings = {**tiny_gguf.CONFIGS[architecture]().to_dict(), "rope_parameters": dict(rope)}
    if architecture == "gemma3":
        settings.update(num_hidden_layers=6, layer_types=None)  # the sixth sees everything
    settings.update(dict.fromkeys(("rms_norm_eps", "norm_eps", "norm_epsilon", "layer_norm_eps"), 1e-5))
    settings.pop("partial_rotary_factor", None)
    torch.manual_seed(0)
    with quiet_libraries():
        model: hf.PreTrainedModel = hf.AutoModelForCausalLM.from_config(config(**settings))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    model.train(mode=False)
    return model


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(TOKENS).logits
    return found


def converted(path: Path, cache: Path) -> hf.PreTrainedModel:
    folder = local_folder(resolve(str(path)), cache)
    assert is_checked(folder)
    with quiet_libraries():
        model: hf.PreTrainedModel = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model


@pytest.mark.parametrize(("architecture", "rope"), SCALED)
def test_a_model_replies_as_before_once_it_was_gguf(tmp_path: Path, architecture: str, rope: Mapping[str, Any]) -> None:
    model = original(architecture, rope)
    path = tiny_gguf.write_model(tmp_path / "m.gguf", architecture, model)
    torch.testing.assert_close(logits(converted(path, tmp_path / "cache")), logits(model), atol=1e-4, rtol=1e-4)
    full = rope.get("full_attention", rope)
    if full["rope_type"] != "default":
        unscaled = {**rope, "full_attention": SLIDING} if "full_attention" in rope else SLIDING
        plain = original(architecture, unscaled)
        assert (logits(plain) - logits(model)).abs().max() > 0.01, "the scaling moves these logits"


def test_yarn_scales_cosines_too(tmp_path: Path) -> None:
    path = tiny_gguf.write_model(tmp_path / "m.gguf", "qwen2", original("qwen2", YARN))
    assert read_model(path, "m").rotation.amplitude == pytest.approx(1.138629436)  # 0.1 ln 4 + 1


def test_factors_that_change_nothing_are_no_scaling(tmp_path: Path) -> None:
    path = tiny_gguf.write_model(tmp_path / "m.gguf", "llama", original("llama", {**LLAMA3, "factor": 1.0}))
    assert read_model(path, "m").rotation.scaling == {"rope_type": "default"}


@pytest.mark.parametrize(
    ("facts", "more", "said"),
    [
        ({"llama.rope.scaling.type": "longrope"}, {}, r"llama\.rope\.scaling\.type is longrope"),
        ({"llama.rope.scaling.attn_factor": 1.5}, {}, r"llama\.rope\.scaling\.attn_factor is 1\.5"),
        ({"llama.rope.scaling.factor": -2.0}, {}, r"llama\.rope\.scaling\.factor is -2"),
        ({"llama.rope.scaling.alpha": 1000.0}, {}, r"llama\.rope\.scaling\.alpha is 1000"),
        (
            {},
            dict.fromkeys(("rope_factors_long.weight", "rope_factors_short.weight"), (8,)),
            r"rope_factors_long\.weight",
        ),
        ({}, {"rope_freqs.weight": (8,)}, r"tensor rope_freqs\.weight holds numbers that no rotation has"),
        ({}, {"rope_freqs.weight": (8, 2)}, r"tensor rope_freqs\.weight is of type F16 and shape \[8, 2\]"),
    ],
)
def test_a_rotation_that_cannot_be_written_down_is_refused_by_name_at_submission(
    tmp_path: Path, facts: Mapping[str, str | float], more: Mapping[str, tuple[int, ...]], said: str
) -> None:
    path = tiny_gguf.write(tmp_path / "m.gguf", "llama", facts=facts, more=more)
    with pytest.raises(BadModel, match=said) as caught:
        resolve(str(path))
    assert "original model" in caught.value.next_step


def test_factors_that_no_llama_has_are_refused(tmp_path: Path) -> None:
    odd = {"rope_theta": 10_000.0, "original_max_position_embeddings": 512, "low_freq_factor": 2.0}
    model = original("llama", {**LLAMA3, **odd})
    path = tiny_gguf.write_model(tmp_path / "m.gguf", "llama", model)
    with pytest.raises(BadModel, match=r"no scaling of Llama 3's kind gives the 8 numbers in its tensor rope_freqs"):
        read_model(path, "m")


def test_a_part_of_the_head_is_refused_where_transformers_turns_all_of_it(tmp_path: Path) -> None:
    model = original("qwen2", SLIDING)
    model.config.rope_parameters["partial_rotary_factor"] = 0.5
    path = tiny_gguf.write_model(tmp_path / "m.gguf", "qwen2", model)
    with pytest.raises(BadModel, match=r"qwen2\.rope\.dimension_count is 8 of 16 numbers a head"):
        read_model(path, "m")


def test_a_model_that_turns_in_another_way_than_its_file_says_is_noticed(tmp_path: Path) -> None:
    path = tiny_gguf.write_model(tmp_path / "m.gguf", "llama", original("llama", LLAMA3))
    rotation = read_model(path, "m").rotation
    check_rotation(original("llama", LLAMA3), rotation, "m")
    with pytest.raises(BadModel, match=r"turns positions in model\.rotary_emb by other angles"):
        check_rotation(original("llama", {**LLAMA3, "factor": 16.0}), rotation, "m")
