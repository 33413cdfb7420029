"""Which benchmarks are submitted, several in one sweep: each under its own version, conditions and subjects."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.errors import BadInput, SeveralFaults
from proctor.exams.benchmarks import registry
from proctor.exams.benchmarks.mmlu import MMLU
from proctor.exams.benchmarks.registry import check_judged, load_benchmark
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from scheduler.prepare import Prepared, prepare
from scheduler.request_exams import RowSource, parted
from tests import tiny
from tests.made_up import SUMS

LATER = replace(
    MMLU, name="later", version="mmlu-9.0",
    rows=lambda subjects: replace(load_benchmark("demo", subjects), name="later", version="mmlu-9.0"),
)  # fmt: skip


PIQA = {"goal": "Dry a plate.", "sol1": "Wipe it.", "sol2": "Wet it.", "label": 0}


def planned(folder: Path, benchmark: str, *further: str, rows: RowSource | None = None) -> Prepared:
    """What would run; without a folder of `rows` with 2 examples, else with as many as each benchmark shows."""
    model = folder / "m"
    tiny.make(model)
    request = SweepRequest(
        (str(model),), (Quant.NONE,), benchmark, ("all",), "cpu", DType.AUTO, Conditions(5 if rows else 2),
        further=further,
    )  # fmt: skip
    settings = Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")
    with open_store(settings) as store:
        return prepare(request, settings, store, rows=rows, default_shots=rows is not None)


def test_runs_are_planned_under_the_version_of_their_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, LATER))
    for name, version in (("demo", "mmlu-1.0"), ("later", "mmlu-9.0")):
        prepared = planned(tmp_path, name)
        assert {run.conditions.prompt_version for run in prepared.plan.runs} == {version}
        assert prepared.plan.request.conditions.prompt_version == version


def test_a_way_of_judging_without_questions_of_ones_own_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--judge number is for questions of yours, and demo is no file") as caught:
        planned(tmp_path, "demo", rows=RowSource(judge="number"))
    assert "-b FILE" in str(caught.value)
    (tmp_path / "own.jsonl").write_text('{"question": "1 + 1 =", "answer": "2"}\n')
    check_judged([str(tmp_path / "own.jsonl"), "demo"], "number")
    check_judged(["demo"], "")


def test_written_answers_are_planned_as_others_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, SUMS))
    prepared = planned(tmp_path, "sums")
    assert [run.subject for run in prepared.plan.runs] == ["one_digit", "two_digits"]
    assert prepared.plan.request.conditions.prompt_version == "sums-1.0"


def test_exams_in_a_form_are_planned_under_conditions_of_their_own(tmp_path: Path) -> None:
    for name, row in (("gsm8k", {"question": "1 + 1?", "answer": "#### 2"}), ("piqa", PIQA)):
        (tmp_path / name).mkdir()
        for split in ("test", "validation", "train"):
            text = "".join(json.dumps({**row, "n": n}) + "\n" for n in range(7))
            (tmp_path / name / f"{split}.jsonl").write_text(text)
    prepared = planned(tmp_path, "demo:arithmetic", "gsm8k", "piqa", rows=RowSource(data=tmp_path))
    found = {
        run.benchmark: (run.subject, run.conditions.prompt_version, run.conditions.scoring, run.conditions.shots)
        for run in prepared.plan.runs
    }
    assert found == {
        "demo": ("arithmetic", "mmlu-1.0", Scoring.LETTERS, 5),
        "gsm8k": ("gsm8k", "form-1.0", Scoring.WRITTEN, 5),
        "piqa": ("piqa", "form-1.0", Scoring.TEXT, 0),
    }


def test_a_benchmark_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeveralFaults, match="Two benchmarks are called demo"):
        planned(tmp_path, "demo:arithmetic", "demo:computing")


def test_subjects_behind_a_colon_are_those_of_that_benchmark_alone(tmp_path: Path) -> None:
    assert parted("mmlu:stem, law", ("all",)) == ("mmlu", ("stem", "law"))
    assert parted("mmlu", ("law",)) == ("mmlu", ("law",))
    odd = tmp_path / "a:b"
    odd.mkdir()
    assert parted(str(odd), ("all",)) == (str(odd), ("all",))
