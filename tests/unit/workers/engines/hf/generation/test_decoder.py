"""Compiled decode steps: a model's own numbers up to rounding, the same in any company, and only where they serve."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from proctor.nouns.conversations import Sampling
from proctor.nouns.models import DType, Quant
from tests import tiny
from tests.models import cache_folder
from tests.unit.workers.engines.hf.generation.replies import run
from workers.engines.generation import GenerationRequest
from workers.engines.hf.generation import choose
from workers.engines.hf.generation.attention import BatchLayout, BatchPart
from workers.engines.hf.generation.choose import compile_decoding
from workers.engines.hf.generation.continuous import ContinuousBatcher
from workers.engines.hf.generation.decoder import MOST_LINES, Decoder
from workers.engines.hf.generation.kv_cache import KVCache
from workers.engines.hf.load import load
from workers.engines.hf.model import CausalModel

SERVED = ("llama", "mistral", "qwen2", "qwen3")
LONG = [n * 7 % 300 + 20 for n in range(60)]
compiles = pytest.mark.skipif(
    not (shutil.which("cc") and torch.cpu._is_avx512_bf16_supported()), reason="no C compiler, or no AVX512-BF16"
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, DType], CausalModel]:
    """Models with matrices laid out for oneDNN, each loaded once."""
    loaded: dict[tuple[str, DType], CausalModel] = {}

    def model(architecture: str, dtype: DType = DType.BFLOAT16) -> CausalModel:
        if (architecture, dtype) not in loaded:
            folder = tiny.make(tmp_path_factory.mktemp(architecture), architecture)
            loaded[architecture, dtype] = load(folder, architecture, Quant.NONE, dtype, tiny.CPU).model
        loaded[architecture, dtype].decoder = None
        return loaded[architecture, dtype]

    return model


Models = Callable[..., CausalModel]


def decoder_of(model: CausalModel) -> Decoder:
    assert compile_decoding(model, tiny.CPU, cache_folder()) == ""
    assert model.decoder is not None
    return model.decoder


@torch.inference_mode()
def line_of(model: CausalModel, tokens: Sequence[int]) -> KVCache:
    """A line that has read these tokens, by the model's own code."""
    line, decoder, model.decoder = KVCache(), model.decoder, None
    parts = BatchLayout([BatchPart(line, 0, 0, len(tokens))])
    model.line_logits(torch.tensor(tokens), torch.arange(len(tokens)), torch.tensor([0]), parts)
    line.tokens, model.decoder = list(tokens), decoder
    return line


@torch.inference_mode()
def steps(model: CausalModel, start: int) -> torch.Tensor:
    """Logits (steps, V) of one token of LONG after the other, from `start` on."""
    line, found = line_of(model, LONG[:start]), []
    for place in range(start, len(LONG)):
        row = BatchLayout([BatchPart(line, 0, place, 1)])
        found.append(model.line_logits(torch.tensor([LONG[place]]), torch.tensor([place]), torch.tensor([0]), row)[0])
        line.tokens.append(LONG[place])
    return torch.stack(found)


@compiles
@pytest.mark.parametrize("architecture", SERVED)
def test_steps_have_the_models_own_numbers_also_beyond_a_window(models: Models, architecture: str) -> None:
    model = models(architecture)
    own = steps(model, 20)
    decoder_of(model)
    difference = (steps(model, 20) - own).abs().mean(-1) / own.std(-1)
    assert float(difference.max()) < 0.03


@compiles
@pytest.mark.parametrize("threads", [1, 2])
def test_a_line_has_the_same_numbers_to_the_bit_in_any_company(models: Models, threads: int) -> None:
    model = models("llama")
    decoder = decoder_of(model)
    lengths = [3, 17, 33, 40, 5, 6, 59]
    tokens = torch.tensor(LONG[: len(lengths)])

    def after(chosen: Sequence[int]) -> torch.Tensor:
        lines = [line_of(model, LONG[: lengths[n]]) for n in chosen]
        return decoder.logits(tokens[list(chosen)], lines, [lengths[n] for n in chosen])

    before = torch.get_num_threads()
    try:
        with torch.inference_mode():
            alone = torch.cat([after([n]) for n in range(len(lengths))])
            torch.set_num_threads(threads)
            assert torch.equal(after(range(len(lengths))), alone)
            assert torch.equal(after([6, 2]), alone[[6, 2]])
    finally:
        torch.set_num_threads(before)


@compiles
def test_replies_are_made_by_steps_and_one_made_again_is_the_same_to_the_bit(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models("llama")
    decoder = decoder_of(model)
    sizes: list[int] = []  # of the steps
    logits = decoder.logits

    def counted(tokens: torch.Tensor, lines: Sequence[KVCache], starts: Sequence[int]) -> torch.Tensor:
        sizes.append(len(lines))
        return logits(tokens, lines, starts)

    monkeypatch.setattr(decoder, "logits", counted)
    generator = ContinuousBatcher(model, tiny.CPU, frozenset(), 1 << 30)
    requests = [
        GenerationRequest(f"r{n}", tuple(LONG[: 30 + n]), Sampling(temperature=0, rivals=0), 280) for n in range(3)
    ]
    first = run(generator, requests[0])["r0"]
    assert sizes == [1] * 279
    assert run(generator, requests[0])["r0"] == first
    del sizes[:]
    run(generator, *requests)
    assert sizes == [3] * 279


@compiles
def test_more_lines_than_a_step_takes_go_the_models_own_way(models: Models) -> None:
    model = models("llama")
    decoder_of(model)
    line = line_of(model, LONG[:9])
    lines = [line.copy(9) for _ in range(MOST_LINES + 1)]
    row = BatchLayout([BatchPart(one, n, 9, 1) for n, one in enumerate(lines)])
    with torch.inference_mode():
        found = model.line_logits(
            torch.full((len(lines),), 7), torch.full((len(lines),), 9), torch.arange(len(lines)), row
        )
    assert row.rules, "the layers themselves have attended"
    assert found.shape == (len(lines), tiny.VOCAB)


@pytest.mark.parametrize("architecture", ["gemma2", "gemma3", "olmo2", "phi", "phi3", "gpt2", "gpt_oss"])
def test_models_of_another_kind_keep_their_own_steps(models: Models, architecture: str) -> None:
    model = models(architecture)
    assert compile_decoding(model, tiny.CPU, cache_folder()) != ""
    assert model.decoder is None


def test_float32_keeps_its_own_steps(models: Models) -> None:
    model = models("llama", DType.FLOAT32)
    assert compile_decoding(model, tiny.CPU, cache_folder()) == "only bfloat16 on the CPU is compiled"


@compiles
def test_a_model_whose_layers_add_up_in_another_way_is_found_out(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models("llama")
    layer = model.model.model.layers[0]
    own = layer.mlp.forward
    monkeypatch.setattr(layer.mlp, "forward", lambda hidden: own(hidden) * 0.5)
    said = compile_decoding(model, tiny.CPU, cache_folder())
    assert said == "the numbers of its compiled steps differ from its own"
    assert model.decoder is None


def test_without_a_compiler_a_model_keeps_its_own_steps(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    model = models("llama")
    assert compile_decoding(model, tiny.CPU, tmp_path) != ""
    assert model.decoder is None
    generator = choose.generator_for(model, tiny.CPU, frozenset())
    assert len(run(generator, GenerationRequest("a", tuple(LONG), Sampling(temperature=0), 4))["a"]) == 4


def test_a_line_keeps_what_it_has_read_when_it_makes_room(models: Models) -> None:
    line = line_of(models("llama"), LONG[:20]).copy(20)
    before = line.copy(20)
    first = line.addresses(20)
    assert first[1] == 20
    assert line.addresses(20) == first
    table, room = line.addresses(21)
    assert room > 21
    parts = [part.data_ptr() for layer in line._keys for part in (line._keys[layer], line._values[layer])]
    assert list((ctypes.c_void_p * len(parts)).from_address(table)) == parts
    for one, other in zip(line.copy(20)._keys.values(), before._keys.values(), strict=True):
        assert torch.equal(one, other)
