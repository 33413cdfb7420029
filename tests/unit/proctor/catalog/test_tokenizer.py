"""Tokens counted without torch: as many as the engine of transformers counts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import transformers as hf

from proctor.catalog.conversion import converted_path, record
from proctor.catalog.tokenizer import TokenizerFiles, tokenizer_files
from proctor.nouns.models import ModelRef, ModelSource
from tests import tiny
from workers.engines.hf.tokens import HfTokenizer

TEXTS = ("", " ", "a", "Why does the moon show the same face?\nAnswer: A", "<s>begun", "ünïcödé 👍")


@pytest.mark.parametrize("begin", [False, True])
def test_a_count_is_that_of_the_engine(tmp_path: Path, begin: bool) -> None:
    tiny.tokenizer(begin=begin).save_pretrained(tmp_path)
    counter = TokenizerFiles(tmp_path).counter()
    assert counter is not None
    engine = HfTokenizer(hf.AutoTokenizer.from_pretrained(tmp_path), 512, "m")
    assert [counter.count(text) for text in TEXTS] == [engine.count(text) for text in TEXTS]
    assert counter.leading == begin


def test_a_tokenizer_that_is_told_to_put_nothing_before_a_text_is_believed(tmp_path: Path) -> None:
    tiny.tokenizer(begin=True).save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"add_bos_token": False}))
    counter = TokenizerFiles(tmp_path).counter()
    assert counter is not None
    assert counter.leading == 0


def test_a_text_is_counted_whole_whatever_the_file_says_of_cutting(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    words.backend_tokenizer.enable_truncation(4)
    words.backend_tokenizer.enable_padding(length=64)
    words.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    counter = TokenizerFiles(tmp_path).counter()
    assert counter is not None
    assert counter.count("Why does the moon show the same face?") > 4
    assert counter.count("a") == 1


@pytest.mark.parametrize("text", [None, "{}", "no JSON"])
def test_files_that_are_no_tokenizer_count_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    assert TokenizerFiles(tmp_path).counter() is None


@pytest.mark.parametrize(
    ("said", "window"), [({}, 0), ({"model_max_length": 2048}, 2048), ({"model_max_length": 1e30}, 0), ([], 0)]
)
def test_the_window_is_what_the_tokenizer_says_where_it_says_one(tmp_path: Path, said: object, window: int) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    assert TokenizerFiles(tmp_path).window == window


def test_special_tokens_are_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": {"content": "<b>"}, "eos_token": "<e>", "pad_token": None, "model_max_length": 3})
    )
    assert TokenizerFiles(tmp_path).special == {"bos_token": "<b>", "eos_token": "<e>"}


def test_a_gguf_file_has_its_tokenizer_once_it_was_converted(tmp_path: Path) -> None:
    ref = ModelRef(str(tmp_path / "m.gguf"), ModelSource.GGUF, "abc")
    assert tokenizer_files(ref, tmp_path) is None
    folder = converted_path(ref, tmp_path)
    folder.mkdir(parents=True)
    record(folder)
    assert tokenizer_files(ref, tmp_path) == TokenizerFiles(folder)
    shutil.rmtree(folder)


def test_a_folder_has_its_own(tmp_path: Path) -> None:
    assert tokenizer_files(ModelRef(str(tmp_path), ModelSource.FOLDER, "abc"), tmp_path) == TokenizerFiles(tmp_path)
