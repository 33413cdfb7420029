"""GGUF files become folders of safetensors, once, whole, and with the numbers that were in them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gguf
import pytest
import torch
from safetensors.torch import load_file

from proctor.catalog.conversion import converted_path, is_checked
from proctor.catalog.demo import DEMO_MODELS, gguf_path
from proctor.catalog.resolve import resolve, weights_of
from proctor.catalog.weights import read_folder
from proctor.errors import BadModel, UnknownName
from proctor.nouns.models import DType, ModelRef, ModelSource, Quant
from tests import tiny, tiny_gguf
from workers.engines.hf.load import load
from workers.models import local_files
from workers.models.local_files import local_folder

Q8 = gguf.GGMLQuantizationType.Q8_0


def test_a_gguf_file_becomes_a_folder_that_loads(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ref = resolve(str(tiny.make_gguf(tmp_path / "m.gguf")))
    folder = local_folder(ref, tmp_path / "cache")
    assert folder == converted_path(ref, tmp_path / "cache")
    engine = load(folder, "m", Quant.NONE, DType.AUTO, tiny.CPU)
    assert engine.tokenizer.library.decode(engine.tokenizer.ids("Answer: A")) == "Answer: A"
    assert capfd.readouterr() == ("", "")


def test_facts_of_the_file_and_of_what_it_becomes_agree(tmp_path: Path) -> None:
    ref = resolve(str(tiny.make_gguf(tmp_path / "m.gguf", matrices=Q8)))
    before, after = weights_of(ref), read_folder(local_folder(ref, tmp_path / "cache"))
    assert (before.parameters, before.quantizable, before.dtype) == (after.parameters, after.quantizable, after.dtype)
    assert (before.hidden, before.heads, before.kv_heads, before.head_dim) == (64, 4, 2, 16)
    assert (after.hidden, after.heads, after.kv_heads, after.head_dim) == (64, 4, 2, 16)
    assert before.max_positions == after.max_positions == tiny.WINDOW


def test_the_numbers_are_the_files_own(tmp_path: Path) -> None:
    plain = local_folder(resolve(str(tiny.make_gguf(tmp_path / "plain.gguf"))), tmp_path / "cache")
    blocks = local_folder(resolve(str(tiny.make_gguf(tmp_path / "blocks.gguf", matrices=Q8))), tmp_path / "cache")
    exact, near = load_file(plain / "model.safetensors"), load_file(blocks / "model.safetensors")
    assert {str(tensor.dtype) for tensor in near.values()} == {"torch.bfloat16"}
    for name, tensor in exact.items():
        torch.testing.assert_close(near[name].float(), tensor.float(), atol=0.006, rtol=0.01)


def test_it_is_converted_once(tmp_path: Path) -> None:
    ref = resolve(str(tiny.make_gguf(tmp_path / "m.gguf")))
    steps: list[str] = []
    first = local_folder(ref, tmp_path / "cache", steps.append)
    written = (first / "model.safetensors").stat().st_mtime_ns
    assert local_folder(ref, tmp_path / "cache", steps.append) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == written
    assert steps == ["m: converting the GGUF file to safetensors, once"]


def test_processes_that_come_together_convert_it_once(tmp_path: Path) -> None:
    path = tiny.make_gguf(tmp_path / "m.gguf")
    command = [sys.executable, "-m", "workers.models.local_files", str(path)]
    environ = {"PROCTOR_CACHE": str(tmp_path / "cache"), "PROCTOR_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    starts = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=300) for process in starts]
    folder = converted_path(resolve(str(path)), tmp_path / "cache")
    assert [out.strip() for out, _ in ends] == [str(folder)] * 2
    assert sorted(err.strip() for _, err in ends) == ["", "m: converting the GGUF file to safetensors, once"]


def test_what_an_earlier_release_converted_is_made_again_with_the_files_numbers(tmp_path: Path) -> None:
    ref = resolve(str(tiny.make_gguf(tmp_path / "m.gguf")))
    folder = tiny.make(converted_path(ref, tmp_path / "cache"), seed=7)  # other numbers, and no record of checks
    steps: list[str] = []
    assert local_folder(ref, tmp_path / "cache", steps.append) == folder
    why = "once more: an earlier release didn't check what came out"
    assert steps == [f"m: converting the GGUF file to safetensors, {why}"]
    fresh = local_folder(ref, tmp_path / "other")
    assert load_file(folder / "model.safetensors").keys() == load_file(fresh / "model.safetensors").keys()
    for name, tensor in load_file(fresh / "model.safetensors").items():
        torch.testing.assert_close(load_file(folder / "model.safetensors")[name], tensor, atol=0, rtol=0)
    assert local_folder(ref, tmp_path / "cache", steps.append) == folder
    assert len(steps) == 1


@pytest.mark.parametrize("record", ["", "{", "[]", '{"checks": 0}', '{"checks": "1"}', "{}"])
def test_a_folder_without_a_whole_record_is_not_trusted(tmp_path: Path, record: str) -> None:
    (tmp_path / ".conversion").write_text(record)
    assert not is_checked(tmp_path)


def test_a_demo_model_that_an_earlier_release_converted_is_not_trusted_either(tmp_path: Path) -> None:
    """What stands in for the model's file is no GGUF: that it is read at all shows that the folder wasn't taken."""
    ref = resolve("smollm2")
    folder = tiny.make(converted_path(ref, tmp_path))
    path = gguf_path(DEMO_MODELS[0], tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"no GGUF")
    with pytest.raises(BadModel, match="it is no GGUF file"):
        local_folder(ref, tmp_path)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("architecture", "tensor", "key"),
    [
        ("gpt2", "position_embd.weight", "transformer.wpe.weight"),
        ("stablelm", "output_norm.bias", "model.norm.bias"),
        ("llama", "blk.1.attn_k.weight", ""),
    ],
)
def test_a_tensor_that_no_file_holds_is_never_made_up(tmp_path: Path, architecture: str, tensor: str, key: str) -> None:
    path = tiny_gguf.write(tmp_path / "m.gguf", architecture, without=[tensor])
    with pytest.raises(BadModel, match=re.escape(key or tensor)):
        local_folder(ModelRef(str(path), ModelSource.GGUF), tmp_path / "cache")
    assert [left.suffix for left in (tmp_path / "cache" / "models").iterdir()] == [".lock"]


def test_tensors_that_transformers_has_no_place_for_are_not_left_out_without_a_word(tmp_path: Path) -> None:
    biases = {f"blk.{block}.attn_q.bias": (64,) for block in (0, 1)}
    path = tiny_gguf.write(tmp_path / "m.gguf", "llama", more=biases)
    with pytest.raises(BadModel, match=r"transformers reads 112,960 of the 113,088 numbers in this GGUF file"):
        local_folder(resolve(str(path)), tmp_path / "cache")


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", tiny_gguf.ARCHITECTURES)
def test_healthy_files_of_many_architectures_convert_with_and_without_an_output_head(
    tmp_path: Path, architecture: str, tied: bool
) -> None:
    path = tiny_gguf.write(tmp_path / "m.gguf", architecture, tied=tied)
    folder = local_folder(resolve(str(path)), tmp_path / "cache")
    assert is_checked(folder)
    assert read_folder(folder).layers == 2


def test_a_split_model_becomes_what_the_whole_file_becomes(tmp_path: Path) -> None:
    whole = tiny_gguf.write(tmp_path / "whole.gguf", "qwen2")
    tiny_gguf.write(tmp_path / "m.gguf", "qwen2", tensors_a_file=5)
    first, *_, last = sorted(tmp_path.glob("m-*.gguf"))
    ref = resolve(str(last))
    assert (ref, ref.name) == (resolve(str(first)), str(first))
    one, many = (local_folder(model, tmp_path / "cache") for model in (resolve(str(whole)), ref))
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        assert (one / file).read_bytes() == (many / file).read_bytes()


def test_a_file_that_transformers_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "unheard-of")
    writer.add_tensor("token_embd.weight", torch.ones(4, 4).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(BadModel, match="can't convert this GGUF file"):
        local_folder(resolve(str(path)), tmp_path / "cache")
    assert [left.suffix for left in (tmp_path / "cache" / "models").iterdir()] == [".lock"]


def test_a_demo_model_of_another_release_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="smollm2@0123"):
        local_folder(ModelRef("smollm2", ModelSource.DEMO, "0123"), tmp_path)


def test_the_command_says_what_is_wrong_and_leaves_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCTOR_CACHE", str(tmp_path))
    assert local_files.main([str(tmp_path / "none.gguf")]) == 2
    assert "there is nothing at this path" in capsys.readouterr().err
