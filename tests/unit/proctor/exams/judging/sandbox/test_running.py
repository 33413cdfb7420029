"""Replies that are programs, run and marked: what passed has its points, what says nothing is no answer."""

from __future__ import annotations

import json

import pytest

from proctor.errors import NoIsolation
from proctor.exams.benchmarks import humaneval, mbpp
from proctor.exams.judging.sandbox import isolation, running
from proctor.exams.judging.sandbox.isolation import Limits, Outcome
from proctor.exams.judging.sandbox.running import run_code
from proctor.exams.tasks.definition import Task
from proctor.exams.tasks.form import Chain, Form, Headline, Kind, Metric, Step
from proctor.exams.tasks.forming import form_of
from proctor.nouns.exams import Exchange, Mark, Question, Write, Written
from tests.support import shared_data
from tests.unit.proctor.exams.judging.sandbox.test_isolation import isolated

HEAD = "def double(n):\n"
TESTS = {"prompt": HEAD, "test": "def check(f):\n    assert f(2) == 4", "entry_point": "double"}
DOUBLE = Question("0" * 16, 0, HEAD, reference=json.dumps(TESTS))
CHAIN = Chain("create_test", (Step("code_behind_prompt"),))


def form(repeats: int = 1, k: int = 1) -> Form:
    metrics = (Metric("pass_at_k", {"k": [k]}),)
    return Form(
        Kind.WRITE, metrics, Headline("pass_at_k", CHAIN.name), chains=(CHAIN,), until=("\ndef",), repeats=repeats
    )


def wrote(*texts: str) -> list[Exchange]:
    return [Exchange(Write(""), Written(text)) for text in texts]


@isolated
def test_each_question_has_the_points_of_its_own_programs() -> None:
    right, wrong = "    return 2 * n\n\ndef more(): exit()", "    return n"
    asked = [(DOUBLE, wrote(reply)) for reply in (right, wrong, right)]
    assert [one.mark.points for one in run_code(form(), asked)] == [1.0, 0.0, 1.0]
    mark = run_code(form(), asked[1:2])[0].mark
    assert mark.extracted == f"{HEAD}    return n"
    assert mark.correct is False


@isolated
def test_of_several_replies_the_chance_that_one_passes_is_the_points() -> None:
    replies = wrote("    return 4", "    return n", "    raise ValueError", "    return n + n")
    (ran,) = run_code(form(repeats=4), [(DOUBLE, replies)])
    assert sum(ran.passed) == 2
    assert ran.mark.points == pytest.approx(0.5)
    assert run_code(form(repeats=4, k=2), [(DOUBLE, replies)])[0].mark.points == pytest.approx(1 - 1 / 6)


def test_nothing_is_run_where_there_is_no_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "isolation", lambda: "no namespaces")
    with pytest.raises(NoIsolation, match="on this machine: no namespaces"):
        run_code(form(), [(DOUBLE, wrote("    return 4"))])


def test_what_has_not_begun_when_it_is_broken_off_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def run_program(source: str, _limits: Limits) -> Outcome:
        begun.append(source)
        raise KeyboardInterrupt

    monkeypatch.setattr(isolation, "isolation", lambda: "")
    monkeypatch.setattr(running, "run_program", run_program)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        run_code(form(), [(DOUBLE, wrote("    return 4"))] * 5000)
    assert len(begun) < 5000


@isolated
def test_a_question_of_which_nothing_was_extracted_is_no_answer() -> None:
    chain = Chain("fenced", (Step("regex", {"regex_pattern": "```(.*)```"}), Step("take_first")))
    fenced = Form(Kind.WRITE, (Metric("pass_at_1"),), Headline("pass_at_1", "fenced"), chains=(chain,))
    listed = Question("0" * 16, 0, "Double it.", reference=json.dumps({"test_list": ["assert double(2) == 4"]}))
    replies = ("```double = lambda n: 2 * n```", "double = lambda n: 2 * n")
    assert [one.mark for one in run_code(fenced, [(listed, wrote(reply)) for reply in replies])] == [
        Mark(1.0, extracted="double = lambda n: 2 * n"),
        Mark(0.0),
    ]


@isolated
@pytest.mark.parametrize(("task", "answer"), [(humaneval.TASK, "canonical_solution"), (mbpp.TASK, "code")])
def test_the_solutions_that_come_with_real_rows_pass(task: Task, answer: str) -> None:
    lines = shared_data(f"benchmarks/{task.name}/test.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:30]]
    assert task.judging.reference is not None
    references = [json.dumps(task.judging.reference(row)) for row in rows]
    questions = [Question(f"{n:016x}", n, "", reference=reference) for n, reference in enumerate(references)]
    solved = [(one, wrote(f"{row[answer]}\n")) for one, row in zip(questions, rows, strict=True)]
    assert [one.mark.points for one in run_code(form_of(task, ""), solved)] == [1.0] * len(rows)
