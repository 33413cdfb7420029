"""C sources: compiled once, kept, and done without where nothing compiles them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workers.engines.hf.cpu.compiled import compiled

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


def source(folder: Path, text: str = "int seven(void) { return 7; }\n") -> Path:
    path = folder / "seven.c"
    path.write_text(text)
    return path


@needs_compiler
def test_a_source_is_compiled_once_and_again_where_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = compiled(source(tmp_path), (), tmp_path / "cache")
    assert library is not None
    assert library.seven() == 7
    monkeypatch.setenv("CC", "no-such-compiler")
    kept = compiled(source(tmp_path), (), tmp_path / "cache")
    assert kept is not None
    assert kept.seven() == 7
    assert compiled(source(tmp_path, "int seven(void) { return 8; }\n"), (), tmp_path / "cache") is None
    assert compiled(source(tmp_path), ("-DOTHER",), tmp_path / "cache") is None
    assert len(list((tmp_path / "cache" / "compiled").iterdir())) == 1


@needs_compiler
def test_what_does_not_compile_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert compiled(source(tmp_path, "int seven(void) { return seventh; }\n"), (), tmp_path) is None
    assert "seventh" in caplog.text
    assert list((tmp_path / "compiled").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "compiled").write_text("a file where the folder should be")
    assert compiled(source(tmp_path), (), tmp_path) is None
