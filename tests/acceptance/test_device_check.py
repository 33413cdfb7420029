"""The checks of a device that all of Proctor takes part in, as the command runs them; here on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import cache_folder, smollm2
from tests.support import ROOT


def checked(tmp_path: Path, *names: str) -> dict[str, dict[str, str]]:
    """Results by check. Numbers are those of one thread: with several, a busy machine takes many times as long."""
    file = tmp_path / "found.json"
    subprocess.run(
        [sys.executable, "-m", "bench.device_check", "--device", "cpu", "--json", str(file), "--cache",
         str(cache_folder()), "--minutes", "60", "--only", *names],
        check=False, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return {one["check"]: one for one in json.loads(file.read_text("utf-8"))["results"]}


def test_a_sweep_as_a_person_submits_it_passes_its_check(tmp_path: Path) -> None:
    found = checked(tmp_path, "sweep")["sweep"]
    assert found["verdict"] == "ok", found["found"]
    assert found["found"].startswith("12 and 12 answers of 12 on ")
    assert found["found"].endswith("cascade; the same bits")


@pytest.mark.model
def test_the_demo_model_passes_its_checks(tmp_path: Path) -> None:
    smollm2()
    found = checked(tmp_path, "demo-model-float32")
    assert {name: one["verdict"] for name, one in found.items()} == {"demo-model-float32": "ok"}, found
