"""`proctor mark --run-code`: programs are no answers until they are run, and nothing else runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analysis.data.results import read_results
from analysis.exchange.lm_eval_export import lm_eval_notes
from analysis.mark_cli import mark
from analysis.report.write import Options, write_report
from proctor.errors import BadInput, NoIsolation
from proctor.exams.judging.sandbox import isolation
from proctor.exams.reading.identity import content_hash
from proctor.exams.tasks.asking import FORM_VERSION
from proctor.exams.tasks.form import Chain, Form, Headline, Kind, Metric, Step
from proctor.nouns.exams import Ask, Conditions, Exam, Question, Scoring, Written
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, Measures, RunSpec
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import exams, runs, sweeps
from tests import in_forms
from tests.integration.store_world import claim, provenance, request
from tests.unit.proctor.exams.judging.sandbox.test_isolation import isolated

CHAIN = Chain("create_test", (Step("code_behind_prompt"),))
FORM = Form(Kind.WRITE, (Metric("pass_at_1"),), Headline("pass_at_1", CHAIN.name), chains=(CHAIN,)).json()
REPLIES = ("    return n + 1", "    return n", "    return 1 +", "    while True: n += 1")
QUESTIONS = tuple(
    Question(
        f"{place:016x}",
        place,
        head,
        reference=json.dumps(
            {"prompt": head, "test": "def check(f):\n    assert f(1) == 2", "entry_point": f"next{place}"}
        ),
    )
    for place, head in enumerate(f"def next{place}(n):\n" for place in range(len(REPLIES)))
)


class Writer(in_forms.Model):
    """A model that replies by the question's place."""

    def __init__(self) -> None:
        super().__init__(1.0, 0)

    def reply(self, question: Question, _asked: Ask) -> Written:
        return Written(REPLIES[question.index])


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Sweep 1: a Run whose replies are programs, and is done."""
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    exam = Exam("code", "code", (), QUESTIONS, content_hash("code", (), QUESTIONS, FORM), form=FORM)
    conditions = Conditions(0, prompt_version=FORM_VERSION, scoring=Scoring.WRITTEN)
    model = ModelRef("org/Small", ModelSource.HUB, "r")
    with open_store(Settings.read({"PROCTOR_HOME": str(tmp_path)})) as store:
        exams.save_exam(store, exam)
        spec = RunSpec(model, Quant.NONE, Device.CPU, DType.AUTO, "code", "code", exam.content_hash, 4, conditions)
        sweeps.submit(store, request("programs"), [spec], fresh=True)
        held = claim(store)
        runs.begin(store, held, provenance())
        answers = [in_forms.answered(exam, one, conditions, Writer()) for one in QUESTIONS]
        runs.record(store, held, 0, answers, Cost(1.0, 1.0))
        runs.finish(store, held, Measures(score=Cost(1.0, 1.0)))
        yield store


def said(*words: str) -> str:
    return CliRunner().invoke(mark, words, catch_exceptions=False).output


def counts(store: Store) -> tuple[int, int]:
    """Right, and without an answer."""
    (run,) = records.runs(store, [1])
    return run.correct, run.tied


@isolated
def test_programs_are_no_answers_until_they_are_run_and_then_are_marked(
    mine: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "its answers are programs, which --run-code runs" in " ".join(said("programs").split())
    assert counts(mine) == (0, 4)
    short = replace(isolation.LIMITS, cpu_s=1, wall_s=9)
    monkeypatch.setattr(
        "proctor.exams.judging.sandbox.running.run_program", lambda source, _: isolation.run_program(source, short)
    )
    found: dict[str, Any] = json.loads(said("programs", "--run-code", "--json"))
    assert found["kept"]
    (run,) = found["runs"]
    assert (run["figures"][0]["metric"], run["figures"][0]["value"]) == ("pass_at_1", 0.25)
    assert run["changed"][0]["points"] == [0.0, 1.0]
    assert counts(mine) == (1, 0)
    assert json.loads(said("programs", "--run-code", "--json"))["runs"][0]["changed"] == []


def test_programs_that_were_not_run_are_said_to_be_in_progress_report_and_export(mine: Store, tmp_path: Path) -> None:
    (run,) = records.progress(mine, 1).runs
    assert (run.programs, run.not_run, run.per_character) == (True, 4, False)
    assert not any(one.programs for one in records.progress(mine, in_forms.sit_forms(mine)).runs)
    (panel,) = read_results(mine, [1]).panels
    assert panel.not_run.all()
    report = write_report(read_results(mine, [1]), tmp_path / "report", Options(("csv",)), datetime.now(UTC))
    ((sentence,),) = report.findings
    assert "weren't run yet" in sentence
    assert "proctor mark --run-code" in sentence
    assert lm_eval_notes(mine, [1]) == ("pass_at_1 of code is left out",)


def test_where_there_is_no_isolation_nothing_changes(mine: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "isolation", lambda: "no namespaces")
    with pytest.raises(NoIsolation, match="no namespaces"):
        said("programs", "--run-code")
    assert counts(mine) == (0, 4)


def test_run_code_is_for_programs_alone_and_for_the_exam_s_own_filter(mine: Store) -> None:
    in_forms.sit_forms(mine, "sums", [in_forms.sums()])
    with pytest.raises(BadInput, match="There is no program among these answers"):
        said("sums", "--run-code")
    assert "can't be given together" in said("sums", "--run-code", "--with", "loose")
