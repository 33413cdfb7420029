"""Files of one's own whose answers are written: a question and an answer a row, and a way of judging; no template.

Rows: `question, answer` are put as `Question: …⏎Answer:`, as most benchmarks do; `prompt, target` as they stand. An
answer may be a list, of which any is right. Other columns don't matter. A folder has `test.jsonl` and, for examples,
`dev.jsonl` or `train.jsonl` (or CSV, or Parquet).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from proctor.errors import BadExam, BadInput
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark, fixed
from proctor.exams.judging.patterns import pattern_of
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step
from proctor.printing import quoted

PAIRS = (("question", "answer"), ("prompt", "target"), ("question", "target"), ("prompt", "answer"))
WAYS = "exact, number, contains, choice, regex:PATTERN, or model (a judge)"
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_PLAIN = {"ignore_case": True, "ignore_punctuation": True}


@dataclass(frozen=True)
class Way:
    """How a reply is read, and compared with the answer."""

    pattern: str  # of what is read out of the reply
    which: int  # of its matches: 0 the first, −1 the last
    metric: Metric


_WAYS: Mapping[str, Way] = {
    "exact": Way(r"\S[^\n]*", 0, Metric("exact_match", _PLAIN)),  # the first line that isn't blank
    "number": Way(_NUMBER, -1, Metric("number")),
    "contains": Way(r"(?s)\S.*", 0, Metric("contains", {"ignore_case": True})),
    "choice": Way(r"\(?\b([A-Z])\b\)?", 0, Metric("exact_match")),
}


def own_written(path: Path, way: str, shots: int | None = None, licence: str = "") -> TaskBenchmark:
    """The benchmark of a file or folder whose answers are judged in this way, called by the last part of its path.

    `shots` are the examples shown where nobody says how many.

    Raises
    ------
    BadInput
        for a way that there isn't, a pattern that is none, and one that explodes.
    """
    name = path.stem if path.is_file() else path.name
    judged = _way(way)
    chain = Chain(way.partition(":")[0], (Step("regex", _regex(judged)), Step("take_first")))
    rows = Rows(path.name, training="train", test="test", pool="dev", prepare=_prepared, licence=licence)
    generation = {"until": ["\n\n", "\nQuestion:"], "do_sample": False}
    asking = Asking("text", _target, shots=shots, generation=generation)
    task = Task(name, Kind.WRITE, rows, asking, Judging((judged.metric,), (chain,)), version="own")
    return replace(fixed(task), at=path)


def _regex(way: Way) -> dict[str, object]:
    return {"regex_pattern": way.pattern, "group_select": way.which}


def _way(text: str) -> Way:
    kind, _, pattern = text.partition(":")
    if kind == "regex" and pattern:
        try:
            pattern_of(pattern).probe()
        except re.error as error:
            raise BadInput(f"--judge {text}: no regular expression ({error}).", "Mend the pattern.") from error
        return Way(pattern, -1, Metric("exact_match", _PLAIN))
    if text not in _WAYS:
        raise BadInput(f"--judge {text!r} is no way of judging.", f"There are {WAYS}.")
    return _WAYS[text]


def _target(row: Row) -> object:
    return row["answer"]


def _prepared(rows: Sequence[Row]) -> list[Row]:
    """The rows as `text` and `answer`. Raises `BadExam` for a row that lacks one."""
    first = rows[0]
    pair = next((pair for pair in PAIRS if all(name in first for name in pair)), None)
    if pair is None:
        raise BadExam(
            f"The columns are {', '.join(map(quoted, first)) or 'none'}.",
            "Name them question, answer; or prompt, target.",
        )
    put: Callable[[str], str] = _as_question if pair[0] == "question" else str
    several = any(isinstance(row.get(pair[1]), list) for row in rows)
    return [_row(row, number, pair, put, several=several) for number, row in enumerate(rows, start=1)]


def _row(row: Row, number: int, pair: tuple[str, str], put: Callable[[str], str], *, several: bool) -> Row:
    text, answer = (row.get(name) for name in pair)
    answers = answer if isinstance(answer, list) else [answer]
    if not isinstance(text, str) or not text.strip():
        raise BadExam(f"Row {number} has no {pair[0]}: {text!r}.", "Give it one, or take the row out.")
    if not answers or not all(isinstance(one, str | int | float) and str(one).strip() for one in answers):
        raise BadExam(f"Row {number} has no {pair[1]}: {answer!r}.", "Give it a text, a number, or a list of them.")
    said = [str(one).strip() for one in answers]
    return {"text": put(text), "answer": said if several else said[0]}


def _as_question(text: str) -> str:
    return f"Question: {text.strip()}\nAnswer:"


DEMO_WORDS = own_written(Path(__file__).parents[1] / "data" / "demo_words", "number", shots=5, licence="CC0")
