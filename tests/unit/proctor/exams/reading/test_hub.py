"""MMLU by the library `datasets`: from a repository in the hub's layout, and what is said where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from proctor.errors import BadExam
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.reading import hub

CARD = """---
configs:
- config_name: astronomy
  data_files:
  - {split: test, path: astronomy/test-*}
  - {split: dev, path: astronomy/dev-*}
---
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `datasets` loads as it loads a repository of the hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    root = tmp_path / "mmlu"
    (root / "astronomy").mkdir(parents=True)
    (root / "README.md").write_text(CARD)
    for split, texts in {"test": ["Far?", "Near?"], "dev": ["Shot?"]}.items():
        rows = [{"question": t, "subject": "astronomy", "choices": ["w", "x", "y", "z"], "answer": 3} for t in texts]
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(rows), root / "astronomy" / f"{split}-00000-of-00001.parquet"
        )
    return root


def test_a_subjects_rows_come_in_the_hubs_order(repository: Path) -> None:
    rows = hub.rows(str(repository), "astronomy", "test")
    assert [(row.place, row.question, row.answer) for row in rows] == [("row 1", "Far?", 3), ("row 2", "Near?", 3)]
    assert rows[0].choices == ["w", "x", "y", "z"]


def test_mmlu_from_the_hub_is_the_same_exam_as_from_a_folder(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "REPO", str(repository))
    from_hub = load_benchmark("mmlu", ["Astronomy"]).exams["astronomy"]
    from_folder = load_benchmark(str(repository)).exams["astronomy"]

    assert from_hub.benchmark == "mmlu"
    assert from_hub.questions == from_folder.questions
    assert from_hub.dev == from_folder.dev
    assert from_hub.content_hash == from_folder.content_hash


def test_a_repository_that_lacks_the_subject_is_a_bad_exam(repository: Path) -> None:
    with pytest.raises(BadExam, match="can't be had from the hub or its cache"):
        hub.rows(str(repository), "virology", "test")


def test_without_a_network_mmlu_says_what_to_do(tmp_path: Path) -> None:
    """In a process of its own: the hub's library reads HF_HUB_OFFLINE once, when it is imported."""
    code = (
        "from proctor.errors import BadExam\n"
        "from proctor.exams.benchmarks.registry import load_benchmark\n"
        "try: load_benchmark('mmlu', ['astronomy'])\n"
        "except BadExam as error: print(error)\n"
    )
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cais/mmlu can't be had from the hub or its cache: ")
    assert "give --benchmark a folder with dev/SUBJECT.jsonl and test/SUBJECT.jsonl" in done.stdout


def test_loading_an_exam_of_our_own_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from proctor.exams.benchmarks.registry import load_benchmark\n"
        "load_benchmark('demo')\n"
        "heavy = {'pandas', 'pyarrow', 'datasets', 'torch', 'celery', 'redis', 'sqlmodel', 'numpy'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
