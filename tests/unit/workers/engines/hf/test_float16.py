"""A GPU without bfloat16 computes a bfloat16 model in float16 where its numbers hold, else in float32.

The CPU stands for that GPU: it multiplies float16, too, and overflows at the same number.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from proctor.catalog.memory import weight_bytes
from proctor.catalog.weights import read_folder
from proctor.errors import DoesNotFit
from proctor.nouns.models import Device, DType, Quant
from tests import tiny
from workers.engines.devices import TorchDevice
from workers.engines.hf.float16 import InFloat32, why_not_float16
from workers.engines.hf.load import LoadedModel, load

GB = 1 << 30


@dataclass(frozen=True)
class Turing(TorchDevice):
    """A GPU without bfloat16, for which the CPU stands."""

    free: int = GB

    def available_bytes(self) -> int:
        return self.free

    def begin_gpu_time(self) -> Callable[[], float]:
        return lambda: 0.0

    def release(self) -> None:
        pass


def turing(free: int = GB) -> Turing:
    return Turing(torch.device("cpu"), Device.GPU, "Tesla T4", free, has_bfloat16=False, gpus=1, free=free)


def checkpoint(
    folder: Path, architecture: str = "llama", dtype: str = "bfloat16", *, times: float = 1.0, of: str = "none"
) -> Path:
    """A tiny model of this type; the weights that are named `of` are so many times as large."""
    tiny.make(folder, architecture)
    weights = load_file(folder / "model.safetensors")
    grown = {name: tensor * times if of in name else tensor for name, tensor in weights.items()}
    stored = {name: tensor.to(getattr(torch, dtype)) for name, tensor in grown.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "dtype": dtype}))
    return folder


def loaded(
    folder: Path, dtype: DType = DType.AUTO, quant: Quant = Quant.NONE, on: TorchDevice | None = None
) -> LoadedModel:
    return load(folder, "tiny", quant, dtype, on or turing())


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2", "gpt_oss"])
def test_a_bfloat16_model_whose_numbers_hold_computes_in_float16(tmp_path: Path, architecture: str) -> None:
    found = loaded(checkpoint(tmp_path, architecture))
    assert (found.dtype, found.model.model.dtype) == (DType.FLOAT16, torch.float16)
    assert found.notes == ("computed in float16: this GPU has no bfloat16",)


def test_a_model_that_overflows_in_float16_computes_in_float32(tmp_path: Path) -> None:
    found = loaded(checkpoint(tmp_path, times=1e5, of="down_proj"))
    assert (found.dtype, found.model.model.dtype) == (DType.FLOAT32, torch.float32)
    assert found.notes == ("computed in float32, as it computes infinity or NaN in float16: this GPU has no bfloat16",)
    logits = found.model.logits(torch.tensor([[5, 6, 7]]), torch.tensor([2]))
    assert bool(torch.isfinite(logits).all())


def test_a_model_that_comes_near_the_largest_number_computes_in_float32(tmp_path: Path) -> None:
    """What the trial's text doesn't reach another one may."""
    plain = loaded(checkpoint(tmp_path / "plain"))
    layer = plain.model.model.get_submodule("model.layers.1")
    with torch.inference_mode():
        ids = torch.tensor([plain.tokenizer.ids("The sea.")])
        states = plain.model.model(ids, output_hidden_states=True, use_cache=False).hidden_states
    assert isinstance(layer, torch.nn.Module)
    times = 40_000 / float(states[-2].abs().max())
    found = loaded(checkpoint(tmp_path / "near", times=times, of="layers.0.mlp.down_proj"))
    assert found.dtype is DType.FLOAT32
    assert "float16, which ends at 65,504" in found.notes[0]


def test_four_bits_compute_in_float16_where_numbers_hold_and_else_in_float32(tmp_path: Path) -> None:
    held = loaded(checkpoint(tmp_path / "held", dtype="float32"), quant=Quant.FOUR_BIT)
    over = loaded(checkpoint(tmp_path / "over", times=1e5, of="embed_tokens"), quant=Quant.FOUR_BIT)
    assert (held.dtype, over.dtype) == (DType.FLOAT16, DType.FLOAT32)


@pytest.mark.parametrize(
    ("own", "asked", "computed"),
    [
        ("bfloat16", DType.FLOAT16, DType.FLOAT16),  # asked for by name: it is as it was said
        ("bfloat16", DType.FLOAT32, DType.FLOAT32),
        ("float16", DType.AUTO, DType.FLOAT16),  # made for it
        ("float32", DType.AUTO, DType.FLOAT32),
    ],
)
def test_what_is_asked_for_or_the_checkpoints_own_is_not_tried(
    tmp_path: Path, own: str, asked: DType, computed: DType
) -> None:
    found = loaded(checkpoint(tmp_path, dtype=own, times=1e5, of="down_proj"), asked)
    assert (found.dtype, found.notes) == (computed, ())


def test_a_gpu_with_bfloat16_has_no_trial(tmp_path: Path) -> None:
    ampere = Turing(torch.device("cpu"), Device.GPU, "A10", GB, has_bfloat16=True, gpus=1)
    found = loaded(checkpoint(tmp_path, times=1e5, of="down_proj"), on=ampere)
    assert (found.dtype, found.notes) == (DType.BFLOAT16, ())


def test_a_model_that_does_not_fit_in_float32_says_why_it_would_have_to(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, times=1e5, of="down_proj")
    half, whole = (weight_bytes(read_folder(folder), Quant.NONE, one) for one in (DType.FLOAT16, DType.FLOAT32))
    with pytest.raises(DoesNotFit, match=r"\(it computes infinity or NaN in float16\) and Tesla T4 has") as caught:
        loaded(folder, on=turing((half + whole) // 2))
    assert caught.value.needs_bytes == whole


def test_logits_that_are_off_without_any_overflow_are_found(tmp_path: Path) -> None:
    """Products that are lost to a layer of its own making: below float16's smallest number all is 0."""
    found = loaded(checkpoint(tmp_path), DType.FLOAT16)
    model, tokens = found.model.model, found.tokenizer.ids("The sea is deep. How deep is it?")
    assert why_not_float16(model, tokens) == ""
    norm = model.get_submodule("model.norm")
    own = norm.forward

    def lossy(hidden: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = own(hidden * 1e-8) if hidden.dtype is torch.float16 else own(hidden)
        return result

    norm.forward = lossy
    assert "its logits are off by" in why_not_float16(model, tokens)


def test_the_reference_is_the_models_own_float32(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "qwen2")
    half, exact = (loaded(folder, dtype).model.model for dtype in (DType.FLOAT16, DType.FLOAT32))
    row = torch.tensor([[7, 30, 50, 80, 111, 200]])
    with torch.inference_mode():
        whole = exact(row, use_cache=False).logits
        rounded = (half(row, use_cache=False).logits - whole).abs().max()
        with InFloat32():
            reference = (half(row, use_cache=False).logits - whole).abs().max()
    assert float(reference) < 1e-4 < float(rounded)
    assert half.dtype is torch.float16
