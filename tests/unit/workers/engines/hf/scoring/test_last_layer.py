"""The last layer computes only what is read: fewer tokens through it, the same log-probabilities."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module  # type: ignore[import-untyped] # it has no types
from torch import nn
from transformers import AutoModelForCausalLM

from proctor.nouns.models import DType, Quant
from tests import tiny
from workers.engines.hf.load import LoadedModel, load
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.last_layer import NarrowLayer, narrow, widen
from workers.engines.hf.scoring.layout import CascadeLayout, Prefix, Segment

SEGMENTS = (Segment(6), Segment(9, (3, 2)), Segment(40))
READS = torch.tensor([5, 14, 17, 19, 59])  # ends of stems and branches
NARROWED = {"llama", "mistral", "qwen2", "qwen3"}


def made(folder: Path, architecture: str = "llama") -> LoadedModel:
    return load(tiny.make(folder, architecture), architecture, Quant.NONE, DType.FLOAT32, tiny.CPU)


def row_logits(model: CausalModel) -> torch.Tensor:
    """(K, V): three questions, the second with two branches, behind a prefix of 12 tokens."""
    prefix = Prefix(12)
    tokens = (torch.arange(12 + 60) * 37 + 11) % tiny.VOCAB
    recording = CascadeLayout([Segment(12)], prefix, torch.device("cpu"), recording=True)
    model.row_logits(tokens[:12], torch.arange(12), torch.tensor([11]), recording)
    places = [*range(12, 18), *range(12, 21), *range(21, 24), *range(21, 23), *range(12, 52)]
    cascade = CascadeLayout(SEGMENTS, prefix, torch.device("cpu"))
    return model.row_logits(tokens[12:], torch.tensor(places), READS, cascade)


def rows_through(layer: nn.Module) -> list[int]:
    seen: list[int] = []
    layer.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    return seen


@pytest.mark.parametrize("architecture", [one for one in tiny.ARCHITECTURES if one not in {"lfm2", "mamba"}])
def test_what_is_read_is_what_whole_layers_give(tmp_path: Path, architecture: str) -> None:
    engine = made(tmp_path, architecture)
    scorer_for(engine.model, engine.tokenizer, tiny.CPU)
    narrowed = row_logits(engine.model)
    engine.model.widen()
    whole = row_logits(engine.model)
    assert float((narrowed.log_softmax(-1) - whole.log_softmax(-1)).abs().max()) < 1e-4
    assert not torch.equal(whole[0], whole[1])


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_the_last_layer_of_llama_and_its_like_sees_only_what_is_read(tmp_path: Path, architecture: str) -> None:
    engine = made(tmp_path, architecture)
    scorer_for(engine.model, engine.tokenizer, tiny.CPU)
    last = getattr(engine.model.model.base_model, "layers", [None])[-1]
    assert (last is not None and isinstance(last.forward, NarrowLayer)) == (architecture in NARROWED)
    if architecture in NARROWED:
        through = rows_through(last.mlp)
        row_logits(engine.model)
        assert through == [1, 5]


def test_a_last_layer_of_another_make_inside_is_found_by_its_numbers_and_left_whole(tmp_path: Path) -> None:
    engine = made(tmp_path)
    last = engine.model.model.model.layers[-1]
    own = last.forward
    last.forward = lambda *given, **named: own(*given, **named) * 1.5 + given[0]
    before = row_logits(engine.model)
    scorer, reason = scorer_for(engine.model, engine.tokenizer, tiny.CPU)
    assert (scorer.name, reason) == ("cascade", "")
    assert torch.equal(row_logits(engine.model), before)


def test_narrowing_twice_is_narrowing_once_and_is_undone_at_once(tmp_path: Path) -> None:
    engine = made(tmp_path)
    layer = engine.model.model.model.layers[-1]
    own = layer.forward
    assert narrow(engine.model.model)
    assert narrow(engine.model.model)
    widen(engine.model.model)
    assert layer.forward == own


def test_inside_of_accelerates_hook_the_layer_is_narrow_too(tmp_path: Path) -> None:
    """So are layers of a model that is spread over several GPUs."""
    loaded = AutoModelForCausalLM.from_pretrained(tiny.make(tmp_path), dtype=torch.float32)
    model = CausalModel(loaded, 0)
    whole = row_logits(model)
    last = loaded.model.layers[-1]
    add_hook_to_module(last, AlignDevicesHook("cpu", io_same_device=True))
    through = rows_through(last.mlp)
    assert model.narrow()
    assert float((row_logits(model) - whole).abs().max()) < 1e-4
    assert through == [1, 5]
