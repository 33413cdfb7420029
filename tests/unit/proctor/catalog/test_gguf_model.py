"""A GGUF model that lacks files or tensors is refused before it is queued, and a whole one never is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.catalog.gguf import GgufHeader, GgufTensor
from proctor.catalog.gguf_model import missing_tensors, read_model
from proctor.catalog.resolve import check_unchanged, file_fingerprint, gguf_fingerprint, resolve, weights_of
from proctor.errors import BadModel
from tests import tiny, tiny_gguf
from tests.support import shared_data

Facts = Mapping[str, str | int | float | bool]
FIVE = 5  # tensors a file


def header(architecture: str, *, without: Sequence[str] = (), blocks: int = 2) -> GgufHeader:
    tensors = (GgufTensor(name, "F32", shape) for name, shape in tiny_gguf.shapes(architecture).items())
    facts: Facts = {"general.architecture": architecture, f"{architecture}.block_count": blocks}
    return GgufHeader(facts, tuple(tensor for tensor in tensors if tensor.name not in without))


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """A Llama of 21 tensors in five files."""
    tiny_gguf.write(tmp_path / "m.gguf", "llama", tensors_a_file=FIVE)
    return sorted(tmp_path.glob("m-0000?-of-00005.gguf"))


@pytest.mark.parametrize("architecture", tiny_gguf.ARCHITECTURES)
def test_a_whole_model_lacks_nothing(architecture: str) -> None:
    assert missing_tensors(header(architecture)) == []
    assert missing_tensors(header(architecture, without=["output.weight"])) == []


@pytest.mark.parametrize("architecture", tiny_gguf.ARCHITECTURES)
def test_every_tensor_of_a_block_is_missed_by_its_name(architecture: str) -> None:
    names = [name for name in tiny_gguf.shapes(architecture) if name.startswith("blk.1.")]
    assert names
    for name in [*names, "token_embd.weight", "output_norm.weight"]:
        assert missing_tensors(header(architecture, without=[name])) == [name]


def test_a_block_that_is_missing_as_a_whole_is_missed() -> None:
    without = [name for name in tiny_gguf.shapes("llama") if name.startswith("blk.1.")]
    assert sorted(missing_tensors(header("llama", without=without))) == sorted(without)
    assert "blk.2.attn_q.weight" in missing_tensors(header("llama", blocks=3))
    assert len(missing_tensors(header("llama", blocks=1 << 62))) < 1000


def test_tensors_of_rotary_frequencies_are_needed_by_no_block() -> None:
    whole = header("llama")
    more = (GgufTensor("rope_freqs.weight", "F32", (8,)), GgufTensor("blk.0.attn_rot_embd.weight", "F32", (8,)))
    assert missing_tensors(replace(whole, tensors=whole.tensors + more)) == []


def test_a_llama_of_experts_is_not_asked_for_what_experts_replace() -> None:
    dense = [f"blk.{block}.ffn_{part}.weight" for block in (0, 1) for part in ("gate", "up", "down")]
    sparse = header("llama", without=dense)
    assert missing_tensors(sparse) == sorted(dense, key=lambda name: (name[4], dense.index(name)))
    assert missing_tensors(replace(sparse, facts={**sparse.facts, "llama.expert_count": 8})) == []


def test_an_architecture_that_is_not_known_here_needs_an_embedding() -> None:
    facts: Facts = {"general.architecture": "brand-new", "brand-new.block_count": 2}
    assert missing_tensors(GgufHeader(facts, ())) == ["token_embd.weight"]


def test_a_file_that_lacks_a_matrix_is_refused_with_its_name() -> None:
    path = shared_data("faults/missing-tensor.gguf")
    with pytest.raises(BadModel, match=r"1 tensor is missing from its file.*: blk\.0\.ffn_down\.weight"):
        resolve(str(path))


def test_the_files_of_a_split_model_are_read_together_whichever_is_named(parts: list[Path], tmp_path: Path) -> None:
    whole = read_model(tiny_gguf.write(tmp_path / "one.gguf", "llama"), "one").header
    for path in parts:
        model = read_model(path, "m")
        assert model.files == tuple(parts)
        assert model.header.tensors == whole.tensors
        assert model.header.number("block_count") == 2
    assert weights_of(resolve(str(parts[3]))).parameters == weights_of(resolve(str(tmp_path / "one.gguf"))).parameters


def test_files_of_a_split_model_that_are_not_there_are_named(parts: list[Path]) -> None:
    parts[1].unlink()
    parts[4].unlink()
    with pytest.raises(BadModel, match=r"of its 5 files 2 are missing: m-00002-of-00005\.gguf, m-00005-of") as caught:
        resolve(str(parts[0]))
    assert "llama-gguf-split --merge" in caught.value.next_step


def test_a_file_of_a_split_model_under_a_name_of_its_own_is_not_taken_for_the_model(parts: list[Path]) -> None:
    alone = parts[1].rename(parts[1].with_name("second.gguf"))
    with pytest.raises(BadModel, match="it is file 2 of the 5 of a split model, and its name"):
        resolve(str(alone))
    other = parts[2].rename(parts[1])
    with pytest.raises(BadModel, match="it is file 3 of the 5"):
        resolve(str(other))


def test_a_file_in_the_place_of_another_is_refused(parts: list[Path]) -> None:
    shutil.copy(parts[2], parts[1])
    with pytest.raises(BadModel, match=r"m-00002-of-00005\.gguf is no file 2 of a model of 5"):
        resolve(str(parts[0]))


def test_files_of_two_models_are_not_mixed(parts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    tiny_gguf.write(tmp_path / "other" / "m.gguf", "qwen2", tensors_a_file=6)
    others = sorted((tmp_path / "other").glob("*.gguf"))
    assert len(others) == len(parts)
    shutil.copy(others[1], parts[1])
    with pytest.raises(BadModel, match=r"its files hold \d+ tensors.* where 21 should be"):
        resolve(str(parts[0]))


def test_a_split_models_fingerprint_is_over_all_of_its_files(parts: list[Path]) -> None:
    ref = resolve(str(parts[0]))
    check_unchanged(ref)
    content = bytearray(parts[4].read_bytes())
    content[-1] ^= 1
    parts[4].write_bytes(content)
    assert gguf_fingerprint(parts[0], "m") != ref.revision
    with pytest.raises(BadModel, match="its files have changed"):
        check_unchanged(ref)


def test_the_fingerprint_of_one_file_is_what_it_was(tmp_path: Path) -> None:
    """Results of earlier releases are known by it."""
    path = tmp_path / "x-00001-of-00001.gguf"
    tiny.make_gguf(path)
    shutil.copy(path, tmp_path / "y.gguf")
    assert gguf_fingerprint(path, "x") == gguf_fingerprint(tmp_path / "y.gguf", "y") == file_fingerprint(path)
