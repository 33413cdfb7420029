"""Facts about models from headers, every kind of damaged file, and memory predicted against memory measured."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.catalog import gguf
from proctor.catalog.demo import DEMO_MODELS, demo_model
from proctor.catalog.memory import pack_bytes, predicted_memory, weight_bytes
from proctor.catalog.weights import Weights, from_config, read_folder, read_gguf, read_safetensors
from proctor.errors import BadModel
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import Device, DType, Quant

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "dtype": "bfloat16",
    "hidden_size": 8,
    "intermediate_size": 16,
    "max_position_embeddings": 128,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
    "vocab_size": 32,
}
SHAPES = {
    "model.embed_tokens.weight": [32, 8],
    "model.layers.0.mlp.up_proj.weight": [16, 8],
    "model.layers.0.input_layernorm.weight": [8],
    "lm_head.weight": [32, 8],
}


def safetensors(path: Path, shapes: dict[str, list[int]], *, cut: int = 0) -> None:
    """A file of zeros in bfloat16, `cut` bytes short."""
    entries, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(entries).encode()
    whole = struct.pack("<Q", len(header)) + header + bytes(at)
    path.write_bytes(whole[: len(whole) - cut])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    safetensors(tmp_path / "model.safetensors", SHAPES)
    return tmp_path


def test_facts_come_from_the_config_and_the_header(folder: Path) -> None:
    assert read_folder(folder) == Weights(
        architecture="LlamaForCausalLM",
        parameters=32 * 8 + 16 * 8 + 8 + 32 * 8,
        quantizable=16 * 8,
        dtype=DType.BFLOAT16,
        layers=1,
        hidden=8,
        intermediate=16,
        heads=2,
        kv_heads=1,
        head_dim=4,
        vocab=32,
        max_positions=128,
    )


def test_a_multimodal_config_is_read_where_its_text_model_is() -> None:
    facts = from_config({"architectures": ["Gemma3"], "text_config": CONFIG}, [])
    assert (facts.hidden, facts.vocab, facts.dtype) == (8, 32, DType.BFLOAT16)


def test_a_config_without_a_dtype_leaves_it_to_the_weights(folder: Path) -> None:
    config = {key: value for key, value in CONFIG.items() if key != "dtype"}
    assert from_config(config, read_safetensors(folder / "model.safetensors", "m")).dtype is DType.BFLOAT16


def test_shards_count_together(folder: Path) -> None:
    whole = read_folder(folder).parameters
    (folder / "model.safetensors").unlink()
    names = list(SHAPES)
    for n, part in enumerate((names[:2], names[2:])):
        safetensors(folder / f"model-{n}.safetensors", {name: SHAPES[name] for name in part})
    index = {"weight_map": {name: f"model-{int(n >= 2)}.safetensors" for n, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_folder(folder).parameters == whole
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(BadModel, match=r"1 of 2 shards are missing: model-1\.safetensors"):
        read_folder(folder)


def test_a_folder_without_a_config_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(BadModel, match=r"there is no config\.json in"):
        read_folder(folder)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_config_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(BadModel, match=r"config\.json"):
        read_folder(folder)


def test_pickles_are_refused_with_the_reason(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadModel, match=r"pickles \(pytorch_model\.bin\), which can run any code") as caught:
        read_folder(folder)
    assert "safetensors" in caught.value.next_step


def test_an_adapter_is_told_from_a_model(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BadModel, match="an adapter, not a whole model"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"\x01", "is cut off"),
        (struct.pack("<Q", 1 << 40) + b"{}", "no safetensors file, or its header is cut off"),
        (struct.pack("<Q", 4) + b"nope", "the header of model.safetensors is damaged"),
        (struct.pack("<Q", 12) + b'{"a": {"x":1', "damaged"),
        (struct.pack("<Q", 9) + b'{"a": []}', "damaged"),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadModel, match=cause):
        read_safetensors(path, "m")


def header_of(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": "11", "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 4]}}' % (b"9" * 4000),
        b'{"a": {"dtype": "F32", "shape": [%s1], "data_offsets": [0, 4]}}' % (b"1," * 9),
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1e999]}}',
    ],
)
def test_a_hostile_header_of_safetensors_is_damaged_and_no_more(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(header_of(header))
    with pytest.raises(BadModel, match=r"the header of model\.safetensors is damaged") as caught:
        read_safetensors(path, "m")
    assert len(str(caught.value)) < 200


def test_brackets_without_end_in_a_config_are_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 1_000_000)
    with pytest.raises(BadModel, match=r"config\.json can't be read: its brackets are too deep"):
        read_folder(folder)


def test_a_config_of_a_size_that_none_has_is_refused_unread(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BadModel, match=r"config\.json has 1,099,511,627,776 bytes, which no config has"):
        read_folder(folder)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "model.gguf"])
def test_a_pointer_of_git_lfs_is_told_from_a_damaged_file(folder: Path, file: str) -> None:
    (folder / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n")
    with pytest.raises(BadModel, match="a pointer of Git LFS") as caught:
        read_gguf(folder / file) if file.endswith(".gguf") else read_folder(folder)
    assert "git lfs pull" in caught.value.next_step


def test_safetensors_that_are_cut_off_are_refused(folder: Path) -> None:
    safetensors(folder / "model.safetensors", SHAPES, cut=1)
    with pytest.raises(BadModel, match=r"cut off: [\d,]+ of [\d,]+ bytes"):
        read_folder(folder)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def beginning(*, tensors: int = 0, pairs: int = 1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs)


@pytest.mark.parametrize(
    "content",
    [
        beginning() + text("general.alignment") + struct.pack("<If", 6, float("inf")),
        beginning() + text("general.alignment") + struct.pack("<If", 6, float("nan")),
        beginning() + text("general.alignment") + struct.pack("<II", 4, 0),
        beginning() + text("general.alignment") + struct.pack("<Ii", 5, -32),
        beginning() + text("general.alignment") + struct.pack("<IQ", 10, 1 << 63),
        beginning() + text("general.alignment") + struct.pack("<I", 8) + text("32"),
        beginning(pairs=1 << 60) + bytes(20_000_000),
        beginning(tensors=1 << 60, pairs=0) + bytes(20_000_000),
        beginning() + text("a") + struct.pack("<IIQ", 9, 8, 1 << 40) + bytes(20_000_000),
        beginning() + text("a") + struct.pack("<IIQ", 9, 6, 1 << 62),
        beginning() + struct.pack("<Q", 1 << 63),
        beginning(tensors=1, pairs=0) + text("a") + struct.pack("<I", (1 << 32) - 1) + bytes(20_000_000),
    ],
)
def test_absurd_values_in_a_gguf_header_are_refused_before_they_are_followed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(BadModel, match="its GGUF header is damaged or cut off"):
        gguf.read(path, "m")


def gguf_bytes(*, data: int = 64, version: int = 3, kind: int = 30) -> bytes:
    """A GGUF file with a few facts, an array, and one matrix of 8 × 4 (of bfloat16 unless told)."""
    facts = [
        text("general.architecture") + struct.pack("<I", 8) + text("toy"),
        text("toy.block_count") + struct.pack("<II", 4, 3),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 1.5),
        text("toy.context_length") + struct.pack("<IQ", 10, 2048),
    ]
    tensor = text("token_embd.weight") + struct.pack("<IQQIQ", 2, 4, 8, kind, 0)
    head = b"GGUF" + struct.pack("<IQQ", version, 1, len(facts)) + b"".join(facts) + tensor
    return head + bytes(-len(head) % 32) + bytes(data)


def test_a_gguf_header_gives_facts_and_shapes_in_torchs_order(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes())
    header = gguf.read(path, "m")
    assert (header.architecture, header.number("block_count"), header.number("missing")) == ("toy", 3, 0)
    assert [(tensor.dtype, tensor.shape) for tensor in header.tensors] == [("BF16", (8, 4))]
    facts = read_gguf(path)
    assert (facts.vocab, facts.max_positions, facts.dtype) == (8, 2048, DType.BFLOAT16)


@pytest.mark.parametrize(("kind", "dtype"), [(0, DType.FLOAT32), (1, DType.FLOAT16), (30, DType.BFLOAT16)])
def test_plain_numbers_in_a_gguf_file_keep_their_type(tmp_path: Path, kind: int, dtype: DType) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes(data=128, kind=kind))
    assert gguf.read(path, "m").dtype is dtype


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04" + bytes(99), "no GGUF file"),
        (gguf_bytes(version=1), "GGUF of version 1"),
        (gguf_bytes(kind=99), "type 99"),
        (gguf_bytes(data=63), "the file is cut off"),
    ],
)
def test_files_that_are_no_whole_gguf_are_refused(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(BadModel, match=cause):
        gguf.read(path, "m")


@given(st.integers(1, len(gguf_bytes()) - 1))
def test_a_gguf_file_cut_off_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "m.gguf"
    path.write_bytes(gguf_bytes()[:length])
    with pytest.raises(BadModel):
        gguf.read(path, "m")


@given(st.binary(min_size=1, max_size=300))
def test_no_bytes_behind_the_magic_make_the_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "m.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00" + rest)
    try:
        gguf.read(path, "m")
    except BadModel:
        return


SMOLLM2 = DEMO_MODELS[0].weights
QWEN_7B = Weights(
    architecture="Qwen2ForCausalLM",
    parameters=7_615_616_512,
    quantizable=6_525_288_448,
    dtype=DType.BFLOAT16,
    layers=28,
    hidden=3584,
    intermediate=18944,
    heads=28,
    kv_heads=4,
    head_dim=128,
    vocab=152_064,
    max_positions=32_768,
)


@pytest.mark.parametrize(
    ("quant", "dtype", "measured_mb"),
    [
        (Quant.NONE, DType.FLOAT32, 538),
        (Quant.NONE, DType.BFLOAT16, 269),
        (Quant.NONE, DType.AUTO, 269),
        (Quant.EIGHT_BIT, DType.BFLOAT16, 163),
        (Quant.FOUR_BIT, DType.BFLOAT16, 110),
    ],
)
def test_predicted_weights_are_within_two_percent_of_measured_ones(
    quant: Quant, dtype: DType, measured_mb: int
) -> None:
    assert weight_bytes(SMOLLM2, quant, dtype) / 1e6 == pytest.approx(measured_mb, rel=0.02)


ASKED = Conditions()


def predicted(
    weights: Weights, quant: Quant = Quant.NONE, device: Device = Device.CPU, asked: Conditions = ASKED
) -> int:
    return predicted_memory(weights, quant, DType.BFLOAT16, device, asked)


def test_larger_packs_and_wider_types_need_more() -> None:
    assert pack_bytes(SMOLLM2, DType.BFLOAT16, 4096) > pack_bytes(SMOLLM2, DType.BFLOAT16, 2048)
    assert pack_bytes(SMOLLM2, DType.FLOAT32, 2048) > pack_bytes(SMOLLM2, DType.BFLOAT16, 2048)
    assert predicted(SMOLLM2, asked=Conditions(pack_tokens=8192)) > predicted(SMOLLM2)


def test_the_text_of_options_needs_logits_of_the_vocabulary_at_many_more_positions() -> None:
    def more(weights: Weights) -> int:
        return predicted(weights, asked=Conditions(scoring=Scoring.TEXT)) - predicted(weights)

    assert more(SMOLLM2) > 2048 * SMOLLM2.vocab * 10 // 3
    assert more(replace(SMOLLM2, vocab=2 * SMOLLM2.vocab)) == pytest.approx(2 * more(SMOLLM2), rel=0.01)


@pytest.mark.parametrize("quant", list(Quant))
def test_beside_a_model_of_7b_on_a_gpu_there_are_its_context_and_a_pack_alone(quant: Quant) -> None:
    weights = weight_bytes(QWEN_7B, quant, DType.BFLOAT16)
    assert 0.5e9 < predicted(QWEN_7B, quant, Device.GPU) - weights < 2e9


def test_the_matrix_that_is_quantized_counts_where_it_is_more_than_a_pack() -> None:
    small = Conditions(pack_tokens=16)
    needs = predicted(QWEN_7B, Quant.FOUR_BIT, Device.CPU, small) - weight_bytes(QWEN_7B, Quant.FOUR_BIT, DType.AUTO)
    assert needs == pytest.approx(550e6 + 22 * 3584 * 18944)
    assert predicted(QWEN_7B, Quant.FOUR_BIT, Device.GPU, small) < predicted(QWEN_7B, Quant.FOUR_BIT, asked=small)


def test_demo_models_are_found_by_their_short_names_in_any_case() -> None:
    assert demo_model("SmolLM2") is DEMO_MODELS[0]
    assert demo_model("smollm") is None
    assert len({model.name for model in DEMO_MODELS}) == len(DEMO_MODELS)
