"""The commands as a person types them, each test with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from proctor.cli import COMMANDS, command, proctor, run
from tests.support import ROOT


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and its words."""

    code: int
    out: str
    err: str


class Shell:
    """Types commands into this process: what they do and say is real, only the start of Python is saved."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self._capsys, self.home = capsys, home

    def __call__(self, *words: str) -> Said:
        self._capsys.readouterr()
        code = run(proctor, "proctor", words)
        captured = self._capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def submit(self, *words: str) -> Said:
        """`submit-sweep` with these words."""
        self._capsys.readouterr()
        code = run(command(COMMANDS["submit"]), "submit-sweep", words)
        captured = self._capsys.readouterr()
        return Said(code, captured.out, captured.err)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    for name in [name for name in os.environ if name.startswith("PROCTOR_") and name != "PROCTOR_CACHE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(capsys, tmp_path / "home")


def spawn(words: list[str], environ: dict[str, str]) -> subprocess.Popen[str]:
    """One of the installed commands as a process of its own, in a session of its own."""
    program = Path(sys.executable).with_name(words[0])
    return subprocess.Popen(
        [program, *words[1:]],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
