"""TruthfulQA (Lin et al. 2021, Apache 2.0): questions that many answer wrongly. 817 rows of validation.

A row of `multiple_choice`: {"question": "…", "mc1_targets": {"choices": […], "labels": [1, 0, …]}, "mc2_targets": …};
of mc1 one choice is right, the first; of mc2 several. A row of `generation`: {"question", "correct_answers",
"incorrect_answers", …}. Before each question stand six questions with answers, which are read out of lm_eval's files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import benchmark_of
from proctor.exams.tasks.borrowed import borrowed
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Settings, Task
from proctor.exams.tasks.form import Headline, Kind, Metric

NO_COMMENT = "I have no comment."
FIGURES = tuple(f"{by}_{what}" for by in ("bleu", "rouge1", "rouge2", "rougeL") for what in ("max", "acc", "diff"))


def right_places(row: Row) -> list[int]:
    """Places of the right choices of mc2."""
    targets = row["mc2_targets"]
    labels = targets["labels"] if isinstance(targets, Mapping) else []
    return [place for place, label in enumerate(labels) if label == 1]


def prepared(rows: Sequence[Row]) -> list[Row]:
    """The rows with answers as sentences, and with no comment as a right one."""
    return [_prepared(row) for row in rows]


def references(row: Row) -> object:
    """What a written answer is held against."""
    return {name: row[name] for name in ("correct_answers", "incorrect_answers")}


def _prepared(row: Row) -> Row:
    right, wrong = _sentences(row["correct_answers"]), _sentences(row["incorrect_answers"])
    if NO_COMMENT not in right:
        right.append(NO_COMMENT)
    return {**row, "question": str(row["question"]).strip(), "correct_answers": right, "incorrect_answers": wrong}


def _sentences(answers: object) -> list[str]:
    texts = [str(one).strip() for one in answers] if isinstance(answers, list) else []
    return [text if text.endswith(".") else f"{text}." for text in texts if text]


MC1 = Task(
    "truthfulqa_mc1",
    Kind.CHOOSE,
    Rows("truthfulqa/truthful_qa", "multiple_choice", validation="validation", licence="Apache 2.0"),
    Asking("", 0, "{{mc1_targets.choices}}", shots=0),
    Judging((Metric("acc"),)),
    "2.0",
    LM_EVAL,
)
MC2 = replace(
    MC1,
    name="truthfulqa_mc2",
    asking=replace(MC1.asking, choices="{{mc2_targets.choices}}"),
    judging=Judging((Metric("acc", {"function": "mc2"}),), right=right_places),
    version="3.0",
)
GEN = Task(
    "truthfulqa_gen",
    Kind.WRITE,
    Rows("truthfulqa/truthful_qa", "generation", validation="validation", prepare=prepared, licence="Apache 2.0"),
    Asking("", " ", shots=0),
    Judging(tuple(map(Metric, FIGURES)), headline=Headline("bleu_acc", "none"), reference=references),
    "3.0",
    LM_EVAL,
)


def _asked(task: Task, file: str, sha256: str) -> Callable[[Settings], Sequence[Task]]:
    def tasks(settings: Settings) -> Sequence[Task]:
        ((text,),) = borrowed(settings.tasks, [f"truthfulqa/{file}"], ["doc_to_text"], sha256)
        return [replace(task, asking=replace(task.asking, text=str(text)))]

    return tasks


_MC_TEXT = "3bb3c166b34cbe80a286506c74e5ce553ad0de55f27da00cc2b212f137ef4ba1"
_GEN_TEXT = "dc75b0213ef9da9656c8a39b3c1246384902d0a7e3c00973cbeef416df593f1a"
TRUTHFULQA_MC1 = benchmark_of(MC1.name, MC1.kind, _asked(MC1, "truthfulqa_mc1.yaml", _MC_TEXT))
TRUTHFULQA_MC2 = benchmark_of(MC2.name, MC2.kind, _asked(MC2, "truthfulqa_mc1.yaml", _MC_TEXT))
TRUTHFULQA_GEN = benchmark_of(GEN.name, GEN.kind, _asked(GEN, "truthfulqa_gen.yaml", _GEN_TEXT))
