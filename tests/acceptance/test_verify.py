"""A real model, sat by our commands and held against what lm-evaluation-harness made of the same questions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.acceptance.conftest import Shell
from tests.models import cache_folder, smollm2

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "lm_eval_smollm2"

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("smollm2")]


@pytest.mark.parametrize(
    ("scoring", "subjects", "questions", "tolerance"),
    # Texts are several tokens an option: their differences add up.
    [("letters", "all", 120, "1e-4"), ("text", "english_words,world_geography", 40, "2e-4")],
)
def test_every_pick_and_log_probability_is_that_of_lm_evaluation_harness(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, scoring: str, subjects: str, questions: int, tolerance: str
) -> None:
    smollm2()
    monkeypatch.setitem(os.environ, "PROCTOR_CACHE", str(cache_folder()))
    ran = shell.submit(
        "-m", "smollm2", "--benchmark", "demo", "-s", subjects, "--limit", "20", "--dtype", "float32",
        "--scoring", scoring, "--device", "cpu",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    said = shell("verify", "--against", str(SAMPLES), "--tolerance", tolerance, "--json")
    found = json.loads(said.out)
    assert said.code == 0, found["differing"]
    assert (found["prompts_in_both"], found["missing"], found["other_picks"]) == (questions, 0, 0)
