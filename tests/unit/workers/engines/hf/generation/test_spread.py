"""A model over several devices, by accelerate's hooks around its layers; here the devices are the CPU and a disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from accelerate import dispatch_model  # type: ignore[import-untyped]
from transformers import AutoModelForCausalLM, PreTrainedModel

from proctor.exams.packs import compose
from proctor.nouns.models import DType, Quant
from tests import tiny
from workers.engines.devices import TORCH_DTYPES
from workers.engines.hf.generation.attention import BatchLayout, BatchPart
from workers.engines.hf.generation.kv_cache import KVCache
from workers.engines.hf.head import WideHead, widen_head
from workers.engines.hf.load import load
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.plain import PlainScorer
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.scoring import Scorer

BEGINNING = "The following are multiple choice questions (with answers) about astronomy.\n\n"
QUESTIONS = ("Why?\nAnswer:", "What is the largest planet of the solar system?\nAnswer:", "A. One\nB. Two\nAnswer:" * 9)
PROMPTS = [
    tiny.prompt(BEGINNING + text, (" One", " the moon", " zyx", " A"), index) for index, text in enumerate(QUESTIONS)
]
TOKENS, LAST = torch.arange(3, 43).view(2, 20), torch.tensor([19])
ALL_HERE = {"": "cpu"}
HALF_ON_DISK = {
    "model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk",
    "model.norm": "cpu", "lm_head": "disk",
}  # fmt: skip


def dispatched(folder: Path, dtype: DType, placed: Mapping[str, str]) -> PreTrainedModel:
    """The model in `folder` with accelerate's hooks on, before our head is put in: as `load` gets it on a group."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=TORCH_DTYPES[dtype])
    hooked: PreTrainedModel = dispatch_model(model, dict(placed), offload_dir=folder / "offload", force_hooks=True)
    widen_head(hooked)
    return hooked


def scores(scorer: Scorer) -> dict[int, tuple[float, ...]]:
    prepared = scorer.prepare(PROMPTS)
    packs = compose(prepared.lengths, 400, padded=prepared.padded)
    return {m: row for p in packs for m, row in zip(p.members, scorer.score(prepared, p).options_logprob, strict=True)}


@pytest.mark.parametrize("placed", [ALL_HERE, HALF_ON_DISK], ids=["here", "half on disk"])
def test_the_head_of_a_dispatched_model_gives_float32(tmp_path: Path, placed: Mapping[str, str]) -> None:
    folder = tiny.make(tmp_path / "m")
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    widen_head(whole)
    hooked = dispatched(folder, DType.BFLOAT16, placed)
    assert isinstance(hooked.lm_head, WideHead)
    found = CausalModel(hooked, 0).logits(TOKENS, LAST)
    assert found.dtype is torch.float32
    assert not torch.equal(found, found.bfloat16().float())
    assert torch.equal(found, CausalModel(whole, 0).logits(TOKENS, LAST))


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma3"])
def test_a_dispatched_model_goes_the_fast_way_and_scores_as_one_that_lies_in_one_place(
    tmp_path: Path, architecture: str
) -> None:
    folder = tiny.make(tmp_path / "m", architecture)
    whole = load(folder, architecture, Quant.NONE, DType.FLOAT32, tiny.CPU)
    model = CausalModel(dispatched(folder, DType.FLOAT32, HALF_ON_DISK), 0)
    reader = HfTokenizer(tiny.tokenizer(), tiny.WINDOW, architecture)
    scorer, why_plain = scorer_for(model, reader, tiny.CPU)
    assert (scorer.name, why_plain) == ("cascade", "")
    expected = scores(PlainScorer(whole.model, whole.tokenizer, tiny.CPU))
    for way in (scorer, PlainScorer(model, reader, tiny.CPU)):
        found = scores(way)
        assert found.keys() == expected.keys()
        assert max(abs(a - b) for m in found for a, b in zip(found[m], expected[m], strict=True)) < 1e-4


def test_a_row_of_conversations_has_its_masks_where_each_layer_lies() -> None:
    lines = BatchLayout([BatchPart(KVCache(), 0, 0, 3)])
    for device in (torch.device("cpu"), torch.device("meta")):
        mask = lines.mask(0, None, device)
        assert mask is not None
        assert mask.device == device
