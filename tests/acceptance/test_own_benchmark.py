"""docs/own-benchmark.md, from its first file to its last report: the very commands of the page, with the real model."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from proctor.exams.benchmarks.registry import load_benchmark
from tests.models import cache_folder, smollm2
from tests.support import ROOT

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("smollm2")]

LIMIT_S = 1200.0
BLOCK = re.compile(r"^```(\S*)(?: file=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Walked:
    """What a person who typed the whole page has in his folder, and saw."""

    folder: Path
    seen: dict[str, str]  # command -> its output


def steps() -> list[tuple[str, str]]:
    """The page's blocks behind the installation: (name of a file, its text), or ("", commands)."""
    blocks = BLOCK.findall((ROOT / "docs" / "own-benchmark.md").read_text("utf-8"))
    first, *rest = [(file, body) for _, file, body in blocks]
    assert first[1].startswith("export PATH="), first
    return rest


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    smollm2()  # is at hand, or the tests are passed over
    folder = tmp_path_factory.mktemp("my-exam")
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PROCTOR_")},
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "PROCTOR_CACHE": str(cache_folder()),
        "PROCTOR_HOME": str(folder),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "80",
    }
    seen = {}
    for file, body in steps():
        if file:
            (folder / file).write_text(body, "utf-8")
            continue
        for line in body.splitlines():
            done = subprocess.run(
                ["sh", "-c", line],
                cwd=folder,
                env=environ,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            seen[line] = done.stdout + done.stderr
    return Walked(folder, seen)


def output(walked: Walked, beginning: str) -> str:
    (found,) = (text for line, text in walked.seen.items() if line.startswith(beginning))
    return found


def test_every_command_of_the_page_ends_well_and_leaves_what_it_says(walked: Walked) -> None:
    assert "too few to show any difference" in " ".join(
        output(walked, "submit-sweep -m smollm2 --benchmark questions.csv --p").split()
    )
    run = output(walked, "submit-sweep -m smollm2 --benchmark questions.csv --scoring text --name mine")
    assert "no examples stand before its questions (--shots 0)" in run
    assert "10/10" in output(walked, "proctor status mine")
    assert "Report: report/report.html" in output(walked, "proctor report mine")
    assert "Which bird cannot fly?" in output(walked, "proctor show birds:0")
    assert "smollm2 4 bit" in output(walked, "proctor quant both")
    assert (walked.folder / "report" / "report.html").is_file()
    assert (walked.folder / "report-two-shots" / "report.html").is_file()
    with (walked.folder / "answers.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["subject"] for row in rows] == ["birds"] * 5 + ["kitchen"] * 5
    assert {row["scoring"] for row in rows} == {"text"}


def test_by_the_text_of_the_options_the_model_is_above_chance_on_the_pages_questions(walked: Walked) -> None:
    assert "above chance" in " ".join(output(walked, "proctor report mine").split())


def test_shots_of_the_folder_stand_before_its_questions(walked: Walked) -> None:
    assert "--shots 0" not in output(walked, "submit-sweep -m smollm2 --benchmark exam")


def test_the_pages_csv_and_jsonl_are_read_alike(tmp_path: Path) -> None:
    files = {file: body for file, body in steps() if file.startswith("questions.")}
    for file, body in files.items():
        (tmp_path / file).write_text(body, "utf-8")
    by_csv, by_jsonl = (load_benchmark(str(tmp_path / file)).exams["birds"].questions for file in files)
    assert by_jsonl == by_csv[: len(by_jsonl)]
