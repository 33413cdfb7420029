"""Log-probabilities of a real model by lm-evaluation-harness 0.4.13: the figures of each question, and of the set."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from proctor.exams.benchmarks.registry import BUILT_IN
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark
from proctor.exams.judging import metrics
from proctor.exams.judging.marking import Result, results
from proctor.exams.tasks.definition import Settings, Task
from proctor.exams.tasks.form import Kind, Metric, read_form
from proctor.exams.tasks.splits import of_folder
from proctor.exams.tasks.writing import write_out
from proctor.nouns.exams import Choose, Exchange, Question, Scored
from tests.support import shared_data

ROWS = {
    "arc_easy": "arc_easy",
    "blimp_adjunct_island": "blimp/adjunct_island",
    "commonsense_qa": "commonsense_qa",
    "hellaswag": "hellaswag",
    "lambada_openai": "lambada_openai",
    "openbookqa": "openbookqa",
    "piqa": "piqa",
    "winogrande": "winogrande",
}


def task_called(name: str) -> Task:
    for benchmark in BUILT_IN:
        if isinstance(benchmark, TaskBenchmark) and name.startswith(benchmark.name):
            return next(task for task in benchmark.tasks(Settings()) if task.name == name)
    raise AssertionError(name)


def scored(sample: dict[str, Any]) -> Exchange:
    values = sample["filtered_resps"]
    logprobs, greedy = zip(*(values if isinstance(values[0], list) else [values]), strict=True)
    return Exchange(Choose("", ("",) * len(logprobs)), Scored(logprobs, greedy))


@pytest.mark.parametrize("name", sorted(ROWS))
def test_figures_of_log_probabilities_are_the_release_s_own(name: str) -> None:
    folder = shared_data("benchmarks/reference")
    lines = (folder / f"{name}.0.jsonl").read_text("utf-8").splitlines()
    samples = {sample["doc_id"]: sample for sample in map(json.loads, lines)}
    task = task_called(name)
    exam = write_out(task, partial(of_folder(shared_data(f"benchmarks/{ROWS[name]}")), task.rows), name, 0, 1234).exam
    form = read_form(exam.form)
    found: list[Result] = []
    for question in exam.questions:
        if sample := samples.pop(question.index, None):
            of_question = results(form, question, [scored(sample)])
            assert {one.metric.name: one.worth.item for one in of_question} == pytest.approx(
                {one.metric.name: sample[one.metric.name] for one in of_question}, abs=1e-9
            )
            found += of_question
    assert not samples
    whole = json.loads((folder / f"{name}.0.result.json").read_text("utf-8"))["results"]
    for metric in form.metrics:
        items = [one.worth.item for one in found if one.metric == metric]
        assert metrics.summed_up(form.kind, metric, items) == pytest.approx(whole[f"{metric.name},none"])


def test_mc2_is_the_release_s_own() -> None:
    rows = shared_data("benchmarks/truthfulqa_mc/test.jsonl").read_text("utf-8").splitlines()
    for line in shared_data("benchmarks/reference/truthfulqa_mc2.0.jsonl").read_text("utf-8").splitlines():
        sample = json.loads(line)
        targets = json.loads(rows[sample["doc_id"]])["mc2_targets"]
        first, *further = (place for place, label in enumerate(targets["labels"]) if label)
        question = Question("0" * 16, 0, "", tuple(targets["choices"]), first, further=tuple(further))
        reply = Scored(tuple(logprob for logprob, _ in sample["filtered_resps"]))
        worth = metrics.of_scored(Kind.CHOOSE, Metric("mc2"), question, reply)
        assert worth.item == pytest.approx(sample["acc"], abs=1e-9)
