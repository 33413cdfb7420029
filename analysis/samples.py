"""Results as lm-evaluation-harness writes them with `--log_samples`: one line a question, one file a task and model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analysis.contestants import Contestant
from analysis.panel import UNKNOWN, Panel, Terms
from analysis.rows import Row, panel_from_rows
from proctor.errors import BadInput

FILE_NAME = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d{2}-\d{2}T.*")


def read_samples(paths: Sequence[Path], model: str | None) -> Panel:
    """A panel of multiple-choice samples. The model is `model`, else the folder in which a file lies.

    Each line needs `doc` with question, choices and answer, and the log-probability of each option in
    `filtered_resps` (or `resps`). What scores highest was picked; of a tie, none.

    Raises
    ------
    BadInput
        for a line that isn't such a sample, with its number.
    """
    rows = [row for path in paths for row in _read(path, model or path.resolve().parent.name)]
    if not rows:
        raise BadInput(f"{paths[0]} holds no sample.")
    return panel_from_rows(rows, Terms("lm-evaluation-harness", UNKNOWN, 0, chat_template=False))


def _read(path: Path, model: str) -> Iterator[Row]:
    found = FILE_NAME.fullmatch(path.stem)
    task = (found["task"] if found else path.stem).removeprefix("mmlu_")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} can't be read: {error}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _row(json.loads(line), task, Contestant(model))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadInput(
                f"{path}, line {number} is no multiple-choice sample: {type(error).__name__} {error}.",
                "Wanted: doc with question, choices and answer, and filtered_resps with a log-probability an option.",
            ) from error


def _row(sample: dict[str, Any], task: str, contestant: Contestant) -> Row:
    doc = sample["doc"]
    choices = tuple(str(choice) for choice in doc["choices"])
    scores = tuple(_score(response) for response in sample.get("filtered_resps") or sample["resps"])
    if len(scores) != len(choices):
        raise ValueError(f"{len(scores)} scores for {len(choices)} choices")
    answer = doc["answer"]
    key = int(answer) if not isinstance(answer, str) or answer.isdigit() else "ABCDEFGHIJ".index(answer.strip().upper())
    best = max(scores)
    picked = scores.index(best) if scores.count(best) == 1 else None
    subject = str(doc.get("subject") or task)
    return Row(contestant, subject, int(sample["doc_id"]), str(doc["question"]), choices, key, picked, scores)


def _score(response: Any) -> float:
    """The log-probability in `[-1.2, false]`, `["-1.2", "False"]`, or either inside a list of one."""
    while isinstance(response[0], list):
        response = response[0]
    return float(response[0])
