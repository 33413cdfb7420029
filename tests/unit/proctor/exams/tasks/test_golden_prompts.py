"""Every built-in benchmark asks to the byte what lm-evaluation-harness 0.4.13 asks on the same rows, in every mode."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.errors import BadExam
from proctor.exams.benchmarks.registry import BUILT_IN
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark
from proctor.exams.tasks.definition import Settings, Task
from proctor.exams.tasks.form import Source
from proctor.exams.tasks.forming import form_of
from proctor.exams.tasks.installed import installed
from proctor.exams.tasks.task_folder import open_folder
from tests.support import shared_data
from tests.unit.proctor.exams.tasks.goldens import FOLDER, differences

GOLDEN = FOLDER / "golden"
NAMES = (
    sorted(path.name.removesuffix(".jsonl") for path in GOLDEN.glob("*.jsonl")) if GOLDEN.is_dir() else ["arc_easy.0"]
)
ROWS = {
    "truthfulqa_mc1": "truthfulqa_mc",
    "truthfulqa_mc2": "truthfulqa_mc",
    "gsm8k_cot": "gsm8k",
    "gsm8k_cot_llama": "gsm8k",
    "gsm8k_cot_zeroshot": "gsm8k",
    "humaneval_instruct": "humaneval",
    "mbpp_instruct": "mbpp",
    "arc_challenge_chat": "arc_challenge",
    "lambada_openai_cloze_yaml": "lambada_openai",
    "leaderboard_bbh_snarks": "bbh",
}
TASKS = Path(os.environ["LM_EVAL_TASKS"]) if "LM_EVAL_TASKS" in os.environ else installed()

GROUPS = ("mmlu_pro", "mgsm", "bbh", "blimp")  # several tasks of one folder


def rows_of(name: str) -> Path:
    group = next((group for group in GROUPS if name.startswith(f"{group}_")), None)
    return FOLDER / (group or ROWS.get(name, name))


def built_in(name: str) -> Task | None:
    """The task of this name; skips where it shows others' text, and no lm_eval with it is at hand."""
    for benchmark in BUILT_IN:
        if isinstance(benchmark, TaskBenchmark) and name.startswith(benchmark.name):
            try:
                found = [task for task in benchmark.tasks(Settings(tasks=TASKS)) if task.name == name]
            except BadExam as missing:
                pytest.skip(str(missing))
            if found:
                return found[0]
    return None


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_benchmark_asks_what_the_release_asks(name: str) -> None:
    golden = shared_data(f"benchmarks/golden/{name}.jsonl")
    task = built_in(name.rpartition(".")[0])
    if task is None:
        pytest.skip("it isn't built in")
    assert list(differences(task, rows_of(task.name), golden)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_task_file_of_the_release_asks_what_the_release_asks(name: str) -> None:
    golden = shared_data(f"benchmarks/golden/{name}.jsonl")
    if TASKS is None:
        pytest.skip("no lm_eval 0.4.13 is installed, and LM_EVAL_TASKS names no folder of its task files")
    task_name = name.rpartition(".")[0]
    (task,) = open_folder(TASKS).tasks(task_name)
    assert list(differences(task, rows_of(task_name), golden)) == []


OURS = [one for one in BUILT_IN if isinstance(one, TaskBenchmark)]
OTHER_HEADLINE = ("lambada_openai", "truthfulqa_gen")  # the release has none: the first figure of its file isn't ours


@pytest.mark.parametrize("benchmark", OURS, ids=[one.name for one in OURS])
def test_a_built_in_benchmark_is_put_and_judged_as_the_releases_file_says(benchmark: TaskBenchmark) -> None:
    if TASKS is None:
        pytest.skip("no lm_eval 0.4.13 is installed, and LM_EVAL_TASKS names no folder of its task files")
    folder = open_folder(TASKS)
    for ours in benchmark.tasks(Settings(tasks=TASKS)):
        (theirs,) = folder.tasks(ours.name)
        mine, its = (replace(form_of(task, ""), source=Source()) for task in (ours, theirs))
        if ours.name in OTHER_HEADLINE:
            mine = replace(mine, headline=its.headline)
        sums = {one.name: one.aggregation for one in its.metrics if one.aggregation != "mean"}
        metrics = tuple(replace(one, aggregation=sums.get(one.name, "mean")) for one in mine.metrics)
        assert replace(mine, metrics=metrics) == its
        assert (ours.version, ours.release, ours.asking.shots or 0) == (
            theirs.version,
            theirs.release,
            theirs.asking.shots or 0,
        )
        assert (ours.rows.data, ours.rows.config, ours.rows.asked, ours.rows.pool) == (
            theirs.rows.data,
            theirs.rows.config,
            theirs.rows.asked,
            theirs.rows.pool,
        )
