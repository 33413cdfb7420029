"""Which benchmarks can be submitted: those of the registry that ask for options, each under its own version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proctor.exams.benchmarks import registry
from proctor.exams.benchmarks.mmlu import MMLU
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.nouns.exams import Conditions
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from scheduler.prepare import Prepared, prepare
from tests import tiny
from tests.made_up import SUMS

LATER = replace(
    MMLU, name="later", version="mmlu-9.0",
    rows=lambda subjects: replace(load_benchmark("demo", subjects), name="later", version="mmlu-9.0"),
)  # fmt: skip


def planned(folder: Path, benchmark: str) -> Prepared:
    model = folder / "m"
    tiny.make(model)
    request = SweepRequest((str(model),), (Quant.NONE,), benchmark, ("all",), "cpu", DType.AUTO, Conditions(2))
    settings = Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")
    with open_store(settings) as store:
        return prepare(request, settings, store)


def test_runs_are_planned_under_the_version_of_their_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, LATER))
    for name, version in (("demo", "mmlu-1.0"), ("later", "mmlu-9.0")):
        prepared = planned(tmp_path, name)
        assert {run.conditions.prompt_version for run in prepared.plan.runs} == {version}
        assert prepared.plan.request.conditions.prompt_version == version


def test_written_answers_are_planned_as_others_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, SUMS))
    prepared = planned(tmp_path, "sums")
    assert [run.subject for run in prepared.plan.runs] == ["one_digit", "two_digits"]
    assert prepared.plan.request.conditions.prompt_version == "sums-1.0"
