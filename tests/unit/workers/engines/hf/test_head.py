"""The output head in float32: no false ties in 16 bit, nothing changed where the numbers are float32 already."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from proctor.nouns.models import DType, Quant
from tests import tiny
from workers.engines.hf.load import load

TOKENS = torch.arange(3, 43).view(2, 20)
LAST = torch.tensor([19])


def logits(folder: Path, dtype: DType) -> torch.Tensor:
    return load(folder, "tiny", Quant.NONE, dtype, tiny.CPU).model.logits(TOKENS, LAST)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "phi", "gpt2"])
def test_sixteen_bit_models_give_float32_logits_close_to_their_own(tmp_path: Path, architecture: str) -> None:
    folder = tiny.make(tmp_path / "m", architecture)
    own = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)(TOKENS).logits[:, -1:]

    wide = logits(folder, DType.BFLOAT16)

    assert wide.dtype is torch.float32
    # bfloat16 keeps 8 bits: its own rounding is all that lies between the two
    torch.testing.assert_close(wide, own.float(), rtol=2**-6, atol=0.05)
    assert not torch.equal(wide, wide.bfloat16().float())


def test_float32_models_are_left_as_they_are(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "m")
    own = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(TOKENS).logits[:, -1:]

    torch.testing.assert_close(logits(folder, DType.FLOAT32), own.detach(), rtol=0, atol=1e-5)


def test_a_vocabulary_larger_than_one_portion_is_put_together_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.make(tmp_path / "m", "phi")  # with a bias
    whole = logits(folder, DType.BFLOAT16)
    monkeypatch.setattr("workers.engines.hf.head._CPU_ROWS", 37)

    torch.testing.assert_close(logits(folder, DType.BFLOAT16), whole, rtol=1e-6, atol=1e-6)
