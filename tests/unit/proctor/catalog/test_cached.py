"""Which models lie on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from proctor.catalog.cached import cached_names
from proctor.catalog.conversion import CHECKS, record
from proctor.catalog.demo import demo_model, gguf_path
from tests import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache of this test."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


def add(hub: Path, name: str, *, whole: bool = True, architecture: str = "LlamaForCausalLM") -> None:
    """A model as the hub's library keeps it."""
    place = hub / f"models--{name.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    tiny.make(snapshot)
    config = snapshot / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "architectures": [architecture]}))
    if not whole:
        (snapshot / "model.safetensors").unlink()


def test_an_empty_machine_has_none(tmp_path: Path) -> None:
    assert cached_names(tmp_path / "cache") == []


def test_demo_models_are_listed_where_they_are_fetched_or_converted(tmp_path: Path) -> None:
    model = demo_model("smollm2")
    assert model is not None
    path = gguf_path(model, tmp_path / "one")
    path.parent.mkdir(parents=True)
    path.touch()
    for name, revision in (("two", model.revision), ("three", "another")):
        folder = tmp_path / name / "models" / f"smollm2-{revision}"
        folder.mkdir(parents=True)
        record(folder)
    assert [cached_names(tmp_path / name) for name in ("one", "two", "three")] == [["smollm2"], ["smollm2"], []]


def test_a_conversion_that_will_be_made_again_is_not_listed(tmp_path: Path) -> None:
    model = demo_model("smollm2")
    assert model is not None
    folder = tmp_path / "models" / f"smollm2-{model.revision}"
    folder.mkdir(parents=True)
    (folder / ".conversion").write_text(json.dumps({"checks": CHECKS - 1}), encoding="utf-8")
    assert cached_names(tmp_path) == []
    record(folder)
    assert cached_names(tmp_path) == ["smollm2"]


def test_models_of_the_hub_are_listed_where_they_are_whole_and_write_text(tmp_path: Path, hub: Path) -> None:
    add(hub, "org/whole")
    add(hub, "org/part", whole=False)
    add(hub, "org/encoder", architecture="BertForMaskedLM")
    assert cached_names(tmp_path / "cache") == ["org/whole"]
