"""A database that can only be read can be looked at: status, report, compare and export; and is never written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proctor.cli import COMMANDS, command
from proctor.errors import StoreUnavailable
from proctor.nouns.models import Quant
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs.steering import pause
from tests.sweeps import Sat, sit_sweep

NOBODY = 65534
SAT = Sat(models=("org/One", "org/Two"), skill=(0.2, 0.7), quants=(Quant.NONE,), subjects=("law",), questions=10)


@contextmanager
def nobody() -> Iterator[None]:
    """As a user who has no rights of root, for whom alone a file can be read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose database and folder can't be written, in a place that other users may enter."""
    outer = Path(tempfile.mkdtemp(prefix="proctor-ro-"))
    folder = outer / "home"
    folder.mkdir()
    with open_store(Settings.read({"PROCTOR_HOME": str(folder)})) as store:
        sit_sweep(store, SAT)
    (outer / "out").mkdir()
    monkeypatch.setenv("PROCTOR_HOME", str(folder))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    monkeypatch.delenv("PROCTOR_BROKER_URL", raising=False)
    looks(outer / "first")  # imports what they need: Python's own files may be another user's to read
    outer.chmod(0o755)
    (outer / "out").chmod(0o777)
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(outer)


def run(*words: str) -> Result:
    return CliRunner().invoke(command(COMMANDS[words[0]]), words[1:], catch_exceptions=False)


def looks(out: Path) -> dict[str, Result]:
    return {
        "status": run("status", "trial"),
        "report": run("report", "-o", str(out / "report"), "--format", "csv"),
        "compare": run("compare", "One", "Two"),
        "export": run("export", "-o", str(out / "answers.jsonl")),
    }


def test_it_can_be_looked_at(home: Path) -> None:
    out = home.parent / "out"
    with nobody():
        said = looks(out)
    assert {name: result.exit_code for name, result in said.items()} == dict.fromkeys(said, 0)
    assert "10 questions that both were asked" in said["compare"].output
    assert len((out / "answers.jsonl").read_text().splitlines()) == 20
    assert [path.name for path in home.iterdir() if path.name.startswith("proctor.db")] == ["proctor.db"]


def test_what_would_write_is_refused_with_the_cause(home: Path) -> None:
    with nobody(), open_store(Settings.read({"PROCTOR_HOME": str(home)})) as store:
        with pytest.raises(StoreUnavailable, match="can only be read") as caught:
            pause(store, 1)
        assert "a copy" in caught.value.next_step


def test_what_another_user_is_writing_is_read_through_his_log(home: Path) -> None:
    """The owner has the database open, and what he wrote last stands in the WAL alone."""
    home.chmod(0o755)
    (home / "proctor.db").chmod(0o644)
    with Store(f"sqlite:///{home / 'proctor.db'}") as owner:
        pause(owner, 1)
        assert (home / "proctor.db-wal").stat().st_size > 0
        if os.geteuid() != 0:
            for path in (*home.glob("proctor.db*"), home):
                path.chmod(path.stat().st_mode & ~0o222)
        with nobody():
            said = run("status", "trial")
    assert said.exit_code == 0, said.output
    assert "paused" in said.output
