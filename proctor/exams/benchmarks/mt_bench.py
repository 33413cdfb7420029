"""MT-Bench (Zheng et al. 2023, Apache 2.0): 80 conversations of two turns in eight categories, told apart by judges.

A row: {"prompt": ["…", "…"], "category": "math", "reference": ["…", "…"]}, the reference missing in most. FastChat has
the same rows as `question.jsonl` (`turns` for `prompt`), and longer references, by GPT-4, in a file of their own:

{"question_id": 111, "choices": [{"turns": ["…", "…"]}]}

Where a folder has that file, as `reference_answers.jsonl` or `gpt-4.jsonl`, they are the references. Of the 30 that
there are, 13 are wrong by FastChat's issue 3158.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.benchmarks.task_benchmark import benchmark_of
from proctor.exams.judges.cases import BY_TURN
from proctor.exams.tasks.definition import Asking, Judging, Prepare, Row, Rows, Settings, Task
from proctor.exams.tasks.form import Kind, Metric

TEMPERATURES = {  # FastChat's, by category
    "writing": 0.7, "roleplay": 0.7, "reasoning": 0.0, "math": 0.0, "coding": 0.0, "extraction": 0.0, "stem": 0.1,
    "humanities": 0.1,
}  # fmt: skip
LONGEST = 1024  # tokens of a reply
QUESTIONS = "question"  # FastChat's file of questions
REFERENCES = ("reference_answers.jsonl", "gpt-4.jsonl", "reference_answer/gpt-4.jsonl")
OPEN = Judging((Metric("judged"),), reference=lambda row: {BY_TURN: row["references"]})


def tasks(settings: Settings) -> tuple[Task, ...]:
    """A task a category. Raises `BadExam` for references that can't be read."""
    folder = settings.folder
    split = QUESTIONS if folder is not None and (folder / f"{QUESTIONS}.jsonl").is_file() else "train"
    references = {} if folder is None else _references(folder)
    return tuple(_task(category, split, references) for category in TEMPERATURES)


def _task(category: str, split: str, references: Mapping[object, Sequence[str]]) -> Task:
    rows = Rows(
        "HuggingFaceH4/mt_bench_prompts", test=split, prepare=_prepared(category, references), licence="Apache 2.0"
    )
    temperature = TEMPERATURES[category]
    generation = {
        "until": [], "do_sample": temperature > 0, "temperature": temperature, "max_gen_toks": LONGEST,
    }  # fmt: skip
    asking = Asking(
        "text", "", shots=0, generation=generation, turns=lambda row: row["further"], chat=True, target_delimiter="\n"
    )
    return Task(f"mt_bench_{category}", Kind.WRITE, rows, asking, OPEN, version="1")


def _prepared(category: str, references: Mapping[object, Sequence[str]]) -> Prepare:
    def prepare(rows: Sequence[Row]) -> list[Row]:
        return [_row(row, number, references) for number, row in enumerate(rows, 1) if row.get("category") == category]

    return prepare


def _row(row: Row, number: int, references: Mapping[object, Sequence[str]]) -> Row:
    turns = row.get("turns") or row.get("prompt")
    if not isinstance(turns, list) or not turns or not all(isinstance(one, str) and one.strip() for one in turns):
        raise BadExam(f"Row {number} of mt_bench has no turns: {turns!r}.", "Name the column turns, or prompt.")
    own = row.get("reference")
    given = references.get(row.get("question_id"), own if isinstance(own, list) else ())
    return {"text": turns[0], "further": turns[1:], "references": [str(one or "") for one in given]}


def _references(folder: Path) -> Mapping[object, Sequence[str]]:
    """Reference answers by question id, a text a turn; none where the folder has no such file."""
    from proctor.exams.tasks.splits import read_rows

    path = next((folder / name for name in REFERENCES if (folder / name).is_file()), None)
    if path is None:
        return {}
    found: dict[object, Sequence[str]] = {}
    for number, row in enumerate(read_rows(path), start=1):
        choices = row.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        turns = first.get("turns") if isinstance(first, dict) else None
        if not isinstance(turns, list):
            raise BadExam(f"Row {number} of {path.name} has no choices with turns.", "Take FastChat's own file.")
        found[row.get("question_id")] = [str(one) for one in turns]
    return found


MT_BENCH = benchmark_of("mt_bench", Kind.WRITE, tasks)
