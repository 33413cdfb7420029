"""Loading: quantizations on the CPU, dtypes, memory, and a reason for every model that can't be loaded."""

from __future__ import annotations

import gc
import io
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sentencepiece
import torch
from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt, Params4bit
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from proctor.catalog.memory import weight_bytes
from proctor.errors import BadModel, DoesNotFit
from proctor.nouns.exams import Pack
from proctor.nouns.models import Device, DType, Quant
from tests import tiny
from workers.engines.devices import TorchDevice
from workers.engines.hf.generation.choose import generator_for
from workers.engines.hf.load import LoadedModel, is_offloaded, load, room_for
from workers.engines.hf.quantize import check_computes
from workers.engines.hf.scoring.cascade import AttentionRule, explicit
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.plain import PlainScorer

PROMPTS = tuple(tiny.prompt(text, index=n) for n, text in enumerate(("Why?\nAnswer:", "A. One\nB. Two\nAnswer:" * 5)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model folder that a test may damage."""
    return tiny.make(tmp_path)


def score(engine: LoadedModel) -> tuple[tuple[float, ...], ...]:
    plain = PlainScorer(engine.model, engine.tokenizer, tiny.CPU)
    return plain.score(plain.prepare(PROMPTS), Pack(0, (0, 1))).options_logprob


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("quant", [Quant.EIGHT_BIT, Quant.FOUR_BIT])
@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
def test_quantized_models_work_on_the_cpu_and_say_so(
    tmp_path: Path, quant: Quant, architecture: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tiny.make(tmp_path, architecture)
    exact = load(folder, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)
    engine = load(folder, "tiny", quant, DType.AUTO, tiny.CPU)
    assert engine.notes[0].startswith(f"{quant} on the CPU: right, and slower")
    assert engine.bytes < exact.bytes
    assert all(value < 0 for row in score(engine) for value in row)
    assert score(engine) != score(exact)
    assert capfd.readouterr() == ("", "")


def test_4_bit_is_nf4_with_double_quantization(folder: Path) -> None:
    """Its scales are quantized too, in groups of 256: memory is predicted and reports are labelled by it."""
    engine = load(folder, "tiny", Quant.FOUR_BIT, DType.BFLOAT16, tiny.CPU)
    layers = [module for module in engine.model.model.modules() if isinstance(module, Linear4bit)]
    assert len(layers) == 14
    for layer in layers:
        assert isinstance(layer.weight, Params4bit)
        state = layer.weight.quant_state
        assert (state.quant_type, state.blocksize, state.dtype) == ("nf4", 64, torch.bfloat16)
        assert state.nested
        assert (state.absmax.dtype, state.state2.blocksize) == (torch.uint8, 256)


def test_8_bit_is_llm_int8_with_outliers_from_6_on(folder: Path) -> None:
    engine = load(folder, "tiny", Quant.EIGHT_BIT, DType.BFLOAT16, tiny.CPU)
    layers = [module for module in engine.model.model.modules() if isinstance(module, Linear8bitLt)]
    assert len(layers) == 14
    assert {layer.state.threshold for layer in layers} == {6.0}
    assert {layer.weight.dtype for layer in layers} == {torch.int8}


def test_only_bitsandbytes_note_on_casts_is_kept_back(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(folder, "tiny", Quant.EIGHT_BIT, DType.AUTO, tiny.CPU)
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    logger.warning("MatMul8bitLt: inputs will be cast from %s to float16 during quantization", torch.bfloat16)
    logger.warning("something that matters")
    assert [record.getMessage() for record in caplog.records] == ["something that matters"]


@pytest.mark.parametrize(
    ("wanted", "stored", "native", "computed"),
    [
        (DType.AUTO, "bfloat16", True, DType.BFLOAT16),
        (DType.AUTO, "bfloat16", False, DType.FLOAT32),
        (DType.AUTO, "float16", True, DType.FLOAT32),
        (DType.AUTO, "float32", True, DType.FLOAT32),
        (DType.BFLOAT16, "float32", False, DType.BFLOAT16),
    ],
)
def test_auto_is_the_checkpoints_type_where_the_cpu_does_it(
    own: Path, wanted: DType, stored: str, native: bool, computed: DType
) -> None:
    edit_config(own, dtype=stored)
    engine = load(own, "tiny", Quant.NONE, wanted, replace(tiny.CPU, has_bfloat16=native))
    assert engine.dtype is computed
    assert str(engine.model.model.dtype) == f"torch.{computed}"


def test_memory_is_what_was_predicted(folder: Path) -> None:
    engine = load(folder, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)
    assert engine.bytes == pytest.approx(weight_bytes(engine.weights, Quant.NONE, DType.FLOAT32), rel=0.01)


@dataclass(frozen=True)
class FullDevice(TorchDevice):
    """A device with next to no memory left."""

    def available_bytes(self) -> int:
        return 1000


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(folder: Path) -> None:
    full = FullDevice(torch.device("cpu"), Device.CPU, "a full CPU", 1000, has_bfloat16=True)
    with pytest.raises(DoesNotFit) as caught:
        load(folder, "tiny", Quant.NONE, DType.FLOAT32, full)
    assert (caught.value.has_bytes, caught.value.device) == (1000, "a full CPU")
    assert caught.value.needs_bytes > 100_000


@pytest.mark.parametrize(("room", "offloaded"), [(10**9, False), (60_000, True)])
def test_layers_that_accelerate_leaves_outside_of_the_device_are_seen(
    folder: Path, room: int, *, offloaded: bool
) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, device_map="auto", max_memory={"cpu": room})
    assert is_offloaded(getattr(model, "hf_device_map", {})) is offloaded


def test_layers_on_the_cpu_are_offloaded_beside_a_gpu_only() -> None:
    assert is_offloaded({"model.layers.0": 0, "model.layers.1": "cpu"})
    assert not is_offloaded({"model.layers.0": 0, "model.layers.1": 1})
    assert not is_offloaded({"": "cpu"})
    assert not is_offloaded({"": "cuda:0"})
    assert not is_offloaded({})


def test_weights_that_are_missing_are_never_random_numbers(own: Path) -> None:
    weights = load_file(own / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, own / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadModel, match=r"1 of its weights are missing, such as model\.norm\.weight"):
        load(own, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)


def test_a_model_with_code_of_its_own_is_refused(own: Path) -> None:
    marker = own / "ran"
    (own / "modeling_mine.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    edit_config(
        own, model_type="mine", auto_map={"AutoConfig": "modeling_mine.C", "AutoModelForCausalLM": "modeling_mine.M"}
    )
    with pytest.raises(BadModel, match="'tiny' can't be loaded"):
        load(own, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)
    assert not marker.exists()


def test_nobody_is_asked_whether_a_tokenizer_may_run_code_of_its_own(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr("builtins.input", answer)
    (own / "tokens_mine.py").write_text("raise AssertionError('it ran')\n")
    path = own / "tokenizer_config.json"
    mine = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["tokens_mine.Mine", None]}}
    path.write_text(json.dumps(json.loads(path.read_text()) | mine))
    with pytest.raises(BadModel, match="'tiny' can't be loaded"):
        load(own, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)
    assert asked == []


def test_a_model_of_an_unknown_kind_is_refused(own: Path) -> None:
    edit_config(own, model_type="unheard_of", architectures=["UnheardOf"])
    with pytest.raises(BadModel, match="unheard_of"):
        load(own, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)


def test_a_quantized_checkpoint_is_not_quantized_again(own: Path) -> None:
    edit_config(own, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(BadModel, match=r"already quantized \(gptq\)"):
        load(own, "tiny", Quant.FOUR_BIT, DType.AUTO, tiny.CPU)


def test_a_folder_without_a_tokenizer_is_refused(own: Path) -> None:
    for path in own.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(BadModel, match=r"there is no tokenizer in .*, such as tokenizer\.json or tokenizer\.model"):
        load(own, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)


def test_the_window_is_the_configs(folder: Path, tmp_path: Path) -> None:
    assert load(folder, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU).tokenizer.window == tiny.WINDOW
    free = tiny.make(tmp_path, "mamba")
    text = (free / "tokenizer_config.json").read_text().replace(f'"model_max_length": {tiny.WINDOW},', "")
    (free / "tokenizer_config.json").write_text(text)
    assert load(free, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU).tokenizer.window > 1 << 20


def fail_with(error: Exception) -> Callable[..., object]:
    def fail(*_arguments: object, **_more: object) -> object:
        raise error

    return fail


def test_an_error_of_cuda_while_loading_is_no_fault_of_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.hf.load.pack", fail_with(torch.AcceleratorError("CUDA error: device busy")))
    with pytest.raises(torch.AcceleratorError, match="device busy"):
        load(folder, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)


def test_a_library_that_runs_out_of_memory_while_loading_says_that_the_model_does_not_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    monkeypatch.setattr("workers.engines.hf.load.pack", fail_with(full))
    with pytest.raises(DoesNotFit):
        load(folder, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)


@pytest.mark.parametrize(
    ("way", "tried"),
    [
        (
            "workers.engines.hf.scoring.choose.prefill",
            lambda engine: scorer_for(engine.model, engine.tokenizer, tiny.CPU),
        ),
        (
            "workers.engines.hf.generation.choose._in_lines",
            lambda engine: generator_for(engine.model, tiny.CPU, frozenset()),
        ),
    ],
    ids=["scoring", "conversing"],
)
def test_a_trial_that_the_device_fails_says_nothing_of_the_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, way: str, tried: Callable[[LoadedModel], object]
) -> None:
    engine = load(folder, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)
    for error in (torch.AcceleratorError("CUDA error: no kernel image"), torch.OutOfMemoryError("CUDA out of memory")):
        monkeypatch.setattr(way, fail_with(error))
        with pytest.raises(type(error)):
            tried(engine)


def test_float16_scores_of_wide_heads_stay_below_its_largest_number() -> None:
    wide = torch.full((1, 1, 2, 128), 25.0, dtype=torch.float16)  # 25 · 25 · 128 = 80,000, and 7,071 when scaled
    out, total = explicit(wide, wide, wide, AttentionRule(128**-0.5, softcap=None))
    assert torch.isfinite(out).all()
    assert torch.allclose(total, torch.tensor(25 * 25 * 128**0.5 + math.log(2)), rtol=2e-3)


def sentencepiece_only(folder: Path) -> Path:
    """A tiny Llama whose only tokenizer file is a `tokenizer.model`, as SentencePiece writes it."""
    tiny.make(folder)
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
        (folder / file).unlink(missing_ok=True)
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(tiny.TEXT.split("\n")),
        model_writer=trained,
        model_type="bpe",
        vocab_size=340,
        byte_fallback=True,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(trained.getvalue())
    return folder


def test_a_folder_with_a_tokenizer_of_sentencepiece_alone_is_read_as_sentencepiece_reads_it(tmp_path: Path) -> None:
    engine = load(sentencepiece_only(tmp_path), "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)
    reference = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    text = "What is the largest planet? Answer: A"
    ids = [token for token in engine.tokenizer.ids(text) if token != reference.bos_id()]
    assert ids == reference.encode(text)
    assert all(value < 0 for row in score(engine) for value in row)


@pytest.mark.parametrize("architecture", ["mamba", "lfm2"])
def test_a_padding_token_that_the_embedding_has_no_row_for_is_not_padded_with(
    tmp_path: Path, architecture: str
) -> None:
    whole = load(tiny.make(tmp_path / "whole", architecture), "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)
    folder = tiny.make(tmp_path / "beyond", architecture)
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.add_tokens([f"[unused{n}]" for n in range(tiny.VOCAB)])
    tokenizer.add_special_tokens({"pad_token": "[PAD beyond]"})
    assert tokenizer.pad_token_id >= tiny.VOCAB
    tokenizer.save_pretrained(folder)
    assert score(load(folder, "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU)) == score(whole)


@pytest.mark.parametrize("quant", [Quant.EIGHT_BIT, Quant.FOUR_BIT])
def test_a_state_space_model_is_quantized_but_for_the_steps_it_reads_by_their_weight(
    tmp_path: Path, quant: Quant
) -> None:
    folder = tiny.make(tmp_path, "mamba")
    exact = load(folder, "tiny", Quant.NONE, DType.BFLOAT16, tiny.CPU)
    engine = load(folder, "tiny", quant, DType.BFLOAT16, tiny.CPU)
    quantized = {
        name.rsplit(".", 1)[-1]
        for name, module in engine.model.model.named_modules()
        if isinstance(module, Linear4bit | Linear8bitLt)
    }
    assert quantized == {"in_proj", "x_proj", "out_proj"}
    near, there = score(engine), score(exact)
    assert near != there
    assert all(abs(a - b) < 1 for one, other in zip(near, there, strict=True) for a, b in zip(one, other, strict=True))


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="only Linux tells which files a process has mapped")
@pytest.mark.parametrize("quant", [Quant.EIGHT_BIT, Quant.FOUR_BIT])
def test_a_quantized_model_keeps_no_page_of_its_file_in_the_process(tmp_path: Path, quant: Quant) -> None:
    engine = load(tiny.make(tmp_path), "tiny", quant, DType.BFLOAT16, tiny.CPU)
    gc.collect()
    assert str(tmp_path / "model.safetensors") not in Path("/proc/self/maps").read_text()
    assert engine.model.model.get_input_embeddings().weight.dtype is torch.bfloat16


def test_a_layer_that_cannot_be_quantized_is_the_cause_that_is_named(tmp_path: Path) -> None:
    model = load(tiny.make(tmp_path), "tiny", Quant.NONE, DType.FLOAT32, tiny.CPU).model.model
    whole = torch.nn.Parameter(torch.zeros(64, 64, dtype=torch.int8), requires_grad=False)
    model.get_submodule("model.layers.0.self_attn.o_proj").weight = whole
    with pytest.raises(BadModel, match=r"a layer of this architecture can't be computed at 8bit: \w+"):
        check_computes(model, Quant.EIGHT_BIT, "tiny")


class Busy(TorchDevice):
    """A GPU whose memory somebody gives back: it has what is left of `frees` at each look, the last for good."""

    def frees(self, *looks: int) -> Busy:
        object.__setattr__(self, "looks", list(looks))
        return self

    def available_bytes(self) -> int:
        looks: list[int] = vars(self)["looks"]
        return looks.pop(0) if len(looks) > 1 else looks[0]


def busy(kind: Device = Device.GPU, limit_bytes: int | None = None) -> Busy:
    return Busy(torch.device("cpu"), kind, "a GPU", 100, has_bfloat16=True, gpus=1, limit_bytes=limit_bytes)


def test_memory_that_a_killed_process_is_giving_back_is_waited_for() -> None:
    assert room_for(60, busy().frees(10, 30, 70)) == 70


def test_memory_that_stays_taken_is_waited_for_no_longer_than_the_limit() -> None:
    began = time.monotonic()
    assert room_for(60, busy().frees(10), limit_s=0.7) == 10
    assert time.monotonic() - began >= 0.7


@pytest.mark.parametrize(
    ("device", "needs"),
    [(busy(), 95), (busy(limit_bytes=50), 60), (busy(Device.CPU), 60)],
    ids=["nearly all of it", "more than its limit", "a CPU"],
)
def test_what_no_device_will_ever_have_is_not_waited_for(device: Busy, needs: int) -> None:
    assert room_for(needs, device.frees(10, 100)) == 10
