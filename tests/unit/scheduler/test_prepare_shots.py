"""How many examples an exam is asked with: what a person says, else 5, else none where there is no dev split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proctor.errors import SeveralFaults
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs.sweeps import fingerprint_of
from scheduler.prepare import Prepared, prepare
from tests import tiny


def questions(path: Path, count: int) -> None:
    rows = [{"question": f"{n}?", "choices": ["a", "b"], "answer": 0} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def planned(folder: Path, *, shots: int = 5, default: bool, dev: int = 0) -> Prepared:
    """The plan for an exam of two questions and so many dev questions."""
    exam = folder / "own"
    exam.mkdir(exist_ok=True)
    questions(exam / "test.jsonl", 2)
    if dev:
        questions(exam / "dev.jsonl", dev)
    model = folder / "m"
    tiny.make(model)
    request = SweepRequest(
        (str(model),), (Quant.NONE,), str(exam), ("all",), "cpu", DType.AUTO, Conditions(shots, scoring=Scoring.LETTERS)
    )
    settings = Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")
    with open_store(settings) as store:
        return prepare(request, settings, store, default_shots=default)


def shots_of(prepared: Prepared) -> set[int]:
    return {run.conditions.shots for run in prepared.plan.runs} | {prepared.plan.request.conditions.shots}


def test_without_a_dev_split_no_examples_are_shown_and_that_is_said_at_each_submission(tmp_path: Path) -> None:
    prepared = planned(tmp_path, default=True)
    assert shots_of(prepared) == {0}
    said = "own has no dev split, so no examples stand before its questions (--shots 0)."
    assert prepared.told == (said,)
    assert prepared.notes == (said,)


def test_with_dev_questions_the_default_is_five(tmp_path: Path) -> None:
    prepared = planned(tmp_path, default=True, dev=5)
    assert shots_of(prepared) == {5}
    assert prepared.told == ()


@pytest.mark.parametrize(("default", "dev"), [(False, 0), (False, 3), (True, 3)])
def test_fewer_dev_questions_than_were_asked_for_are_an_error(tmp_path: Path, default: bool, dev: int) -> None:
    with pytest.raises(SeveralFaults, match=rf"--shots 5: 1 of 1 subjects have fewer.* Use --shots {dev}"):
        planned(tmp_path, default=default, dev=dev)


def test_the_same_sweep_as_with_shots_0_said(tmp_path: Path) -> None:
    found = [planned(tmp_path, shots=shots, default=default) for shots, default in ((5, True), (0, False))]
    assert len({fingerprint_of(prepared.plan.runs) for prepared in found}) == 1
