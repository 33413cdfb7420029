"""From what a person types to a model with a revision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proctor.catalog.demo import DEMO_MODELS
from proctor.catalog.resolve import (
    chat_template,
    check_unchanged,
    file_fingerprint,
    folder_fingerprint,
    resolve,
    weights_of,
)
from proctor.errors import BadModel, UnknownName
from proctor.nouns.models import ModelRef, ModelSource
from tests import tiny
from tests.unit.proctor.catalog.test_weights import gguf_bytes

MB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.make(tmp_path / "my-model")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_short_name_is_a_demo_model_at_its_files_hash() -> None:
    assert resolve("smollm2") == ModelRef("smollm2", ModelSource.DEMO, DEMO_MODELS[0].sha256[:16])
    assert weights_of(resolve("SmolLM2")) == DEMO_MODELS[0].weights


def test_a_folder_is_named_by_its_whole_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    ref = resolve("my-model")
    assert ref == ModelRef(str(folder), ModelSource.FOLDER, folder_fingerprint(folder, ""))
    assert ref.label == "my-model"
    assert weights_of(ref).architecture == "LlamaForCausalLM"


def test_a_folder_without_a_tokenizer_is_refused_when_it_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadModel, match="there is no tokenizer in") as caught:
        resolve(str(folder))
    assert "tokenizer.save_pretrained" in caught.value.next_step


@pytest.mark.parametrize(
    "file", ["tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt", "qwen.tiktoken", "tekken.json"]
)
def test_each_kind_of_file_that_a_tokenizer_is_made_from_will_do(folder: Path, file: str) -> None:
    (folder / "tokenizer.json").rename(folder / file)
    assert resolve(str(folder)).source is ModelSource.FOLDER


def test_a_tokenizer_of_bytes_needs_no_file_but_its_config(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    assert resolve(str(folder)).source is ModelSource.FOLDER


def test_a_gguf_file_is_read_before_it_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes())
    assert resolve(str(path)) == ModelRef(str(path), ModelSource.GGUF, file_fingerprint(path))
    path.write_bytes(gguf_bytes()[:-1])
    with pytest.raises(BadModel, match="cut off"):
        resolve(str(path))


def test_a_resolved_model_as_it_is_written_resolves_to_itself(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf_bytes())
    for name in ("smollm2", str(folder), str(tmp_path / "m.gguf")):
        assert resolve(str(resolve(name))) == resolve(name)


def test_local_files_that_are_no_longer_of_the_revision_that_is_named_are_refused(folder: Path) -> None:
    before = str(resolve(str(folder)))
    (folder / "generation_config.json").write_text('{"temperature": 0.1}')
    with pytest.raises(BadModel, match="on this machine it is") as caught:
        resolve(before)
    assert caught.value.next_step == f"Name it without a revision: {folder}."


@pytest.mark.parametrize("name", ["smolm2", "gemma-270m", "smollm2:latest"])
def test_an_unknown_short_name_gets_the_nearest(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        resolve(name)
    assert caught.value.nearest


@pytest.mark.parametrize("name", ["two words", "http://example.org/model", "a\tb", "@main", "x" * 3 + "@"])
def test_what_is_no_name_of_any_kind_is_refused(name: str) -> None:
    with pytest.raises((UnknownName, BadModel)) as caught:
        resolve(name)
    assert caught.value.exit_code == 2
    assert caught.value.next_step


def test_a_path_with_nothing_there_gets_the_nearest_file(folder: Path) -> None:
    with pytest.raises(BadModel, match="nothing at this path") as caught:
        resolve(str(folder.parent / "my-modle"))
    assert caught.value.next_step == f"Did you mean {folder}?"


def test_a_hub_model_that_is_not_cached_offline_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadModel, match=r"isn't in the local cache, and HF_HUB_OFFLINE is set") as caught:
        resolve("somebody/some-model")
    assert "hf download somebody/some-model" in caught.value.next_step


def cache_model(cache: Path, commit: str) -> Path:
    """A tiny model laid out as the hub's client lays out its cache, with `main` at `commit`."""
    home = cache / "models--somebody--tiny"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    return tiny.make(home / "snapshots" / commit)


@pytest.mark.parametrize("suffix", ["", "@main", "@" + "c" * 40])
def test_a_cached_hub_model_needs_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str) -> None:
    commit = "c" * 40
    cache_model(tmp_path, commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    ref = resolve("somebody/tiny" + suffix)
    assert ref == ModelRef("somebody/tiny", ModelSource.HUB, commit)
    assert weights_of(ref).hidden == 64


def test_an_unknown_revision_of_a_cached_model_is_not_found_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache_model(tmp_path, "c" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        BadModel, match=f"its revision 'v2' isn't in the local cache .another one is: {'c' * 40}."
    ) as caught:
        resolve("somebody/tiny@v2")
    assert "hf download somebody/tiny --revision v2" in caught.value.next_step
    assert f"somebody/tiny@{'c' * 40}" in caught.value.next_step


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_fingerprint_changes_with_every_small_file(folder: Path, name: str) -> None:
    before = folder_fingerprint(folder, "")
    path = folder / name
    path.write_text(path.read_text() + " ")
    assert folder_fingerprint(folder, "") != before


def test_a_fingerprint_changes_with_the_weights_and_not_with_the_place(folder: Path, tmp_path: Path) -> None:
    same, other = tiny.make(tmp_path / "same"), tiny.make(tmp_path / "other", seed=1)
    assert folder_fingerprint(same, "") == folder_fingerprint(folder, "")
    assert folder_fingerprint(other, "") != folder_fingerprint(folder, "")


def test_a_large_file_is_sampled_all_over(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = bytearray(40 * MB)
    path.write_bytes(content)
    seen = {file_fingerprint(path)}
    for place in (0, 20 * MB, 40 * MB - 1):
        changed = bytearray(content)
        changed[max(0, place - 200_000) : place + 200_000] = b"\x01" * len(
            changed[max(0, place - 200_000) : place + 200_000]
        )
        path.write_bytes(changed)
        seen.add(file_fingerprint(path))
    path.write_bytes(content + b"\x00")
    seen.add(file_fingerprint(path))
    assert len(seen) == 5


def test_files_are_compared_with_the_revision(folder: Path) -> None:
    ref = resolve(str(folder))
    check_unchanged(ref)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    with pytest.raises(BadModel, match="its files have changed since the sweep was submitted"):
        check_unchanged(ref)
    with pytest.raises(BadModel, match="nothing at this path on this machine"):
        check_unchanged(ModelRef(str(folder.parent / "gone"), ModelSource.FOLDER, ref.revision))


def test_a_folders_chat_template_is_found_wherever_it_lies(folder: Path) -> None:
    config = folder / "tokenizer_config.json"
    assert chat_template(resolve(str(folder))) == tiny.CHAT_TEMPLATE
    (folder / "chat_template.jinja").unlink()
    assert chat_template(resolve(str(folder))) == ""
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": "{{ messages }}"}))
    assert chat_template(resolve(str(folder))) == "{{ messages }}"
    several = [{"name": "rag", "template": "{{ documents }}"}, {"name": "default", "template": "{{ messages[0] }}"}]
    config.write_text(json.dumps({"chat_template": several}))
    assert chat_template(resolve(str(folder))) == "{{ messages[0] }}"
    config.unlink()
    assert chat_template(resolve(str(folder))) == ""


def test_of_a_gguf_file_its_header_says_whether_it_has_a_chat_template(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes())
    assert chat_template(resolve(str(path))) == ""


def test_of_a_model_that_is_not_here_yet_nobody_knows_whether_it_has_a_chat_template() -> None:
    assert chat_template(resolve("smollm2")) is None
    assert chat_template(ModelRef("team/absent", ModelSource.HUB, "0" * 40)) is None
