"""Files of one's own whose answers a judge alone can tell apart: messages, and a reference where there is one.

Rows: `question` or `prompt`, or `turns` for a conversation (a list of messages); put as they stand. `answer`, `target`
or `reference` may be there for some rows: a text, or a list with a text a turn, which a judge is shown. Other columns
don't matter. A folder has `test.jsonl` (or CSV, or Parquet).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark, fixed
from proctor.exams.judges.cases import BY_TURN
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Kind, Metric
from proctor.printing import quoted

WAY = "model"  # of judging: by a model alone
ASKED, GIVEN = ("turns", "prompt", "question"), ("reference", "answer", "target")
LONGEST = 1024  # tokens of a reply


def own_open(path: Path) -> TaskBenchmark:
    """The benchmark of a file or folder, called by the last part of its path."""
    name = path.stem if path.is_file() else path.name
    rows = Rows(path.name, test="test", prepare=_prepared)
    generation = {"until": [], "do_sample": False, "max_gen_toks": LONGEST}
    asking = Asking(
        "text", "", shots=0, generation=generation, turns=lambda row: row["further"], target_delimiter="\n\n"
    )
    judging = Judging((Metric("judged"),), reference=lambda row: {BY_TURN: row["references"]})
    return replace(fixed(Task(name, Kind.WRITE, rows, asking, judging, version="own")), at=path)


def _prepared(rows: Sequence[Row]) -> list[Row]:
    """The rows as `text`, `further` messages and `references`. Raises `BadExam` for a row without a message."""
    if not any(name in row for row in rows for name in ASKED):
        raise BadExam(f"The columns are {', '.join(map(quoted, rows[0])) or 'none'}.", "Name one question, or turns.")
    return [_row(row, number) for number, row in enumerate(rows, start=1)]


def _row(row: Row, number: int) -> Row:
    said, reference = (
        next((row[name] for name in names if row.get(name) is not None), None) for names in (ASKED, GIVEN)
    )
    messages = said if isinstance(said, list) else [said]
    if not messages or not all(isinstance(one, str) and one.strip() for one in messages):
        raise BadExam(
            f"Row {number} has no {', '.join(ASKED[:-1])} or {ASKED[-1]}: {said!r}.",
            "Give it a text, or a list of them; or take it out.",
        )
    references = reference if isinstance(reference, list) else [] if reference is None else [reference]
    return {
        "text": messages[0],
        "further": messages[1:],
        "references": ["" if one is None else str(one) for one in references],
    }
