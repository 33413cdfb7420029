"""Results as lm-evaluation-harness writes them with `--log_samples`: one line a question, one file a task and model."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.panel import UNKNOWN, Panel, Terms
from analysis.rows import Row, panel_from_rows
from proctor.contestants import Contestant
from proctor.errors import BadInput
from proctor.exams.judge import best_of
from proctor.exams.prompts import prompt_hash
from proctor.nouns import LETTERS, Scoring

FILE_NAME = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d{2}-\d{2}T.*")


def read_samples(paths: Sequence[Path], model: str | None) -> Panel:
    """A panel of multiple-choice samples. The model is `model`, else the folder in which a file lies.

    Raises
    ------
    BadInput
        as `sample_rows`, and for samples that were scored by letters and by text in one panel.
    """
    samples = sample_rows(paths, model)
    scorings = {sample.scoring for sample in samples}
    if len(scorings) > 1:
        raise BadInput(
            "Some of these samples were scored by the options' letters and some by their text.",
            "Import them apart, each under a --name of its own.",
        )
    terms = Terms("lm-evaluation-harness", UNKNOWN, None, None, scorings.pop().value)
    return panel_from_rows([sample.row for sample in samples], terms)


@dataclass(frozen=True)
class Sample:
    """One line of a samples file: what was asked and answered, and how it was scored."""

    row: Row
    scoring: Scoring


def sample_rows(paths: Sequence[Path], model: str | None = None) -> list[Sample]:
    """The samples of these files, and of every `samples_*.jsonl` (or `.jsonl.gz`) below those that are folders.

    Each line needs `doc` with question, choices and answer, and the log-probability of each option in
    `filtered_resps` (or `resps`). What scores highest was picked; of a tie, none.

    Raises
    ------
    BadInput
        for a line that isn't such a sample, with its number, and where there is none at all.
    """
    files = [file for path in paths for file in (_below(path) if path.is_dir() else [path])]
    samples = [sample for path in files for sample in _read(path, model or path.resolve().parent.name)]
    if not samples:
        raise BadInput(
            f"{', '.join(map(str, paths))} holds no sample.",
            "Name samples_*.jsonl files that lm-evaluation-harness wrote with --log_samples, or their folder.",
        )
    return samples


def _below(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("samples_*.jsonl"), *folder.rglob("samples_*.jsonl.gz")])


def _read(path: Path, model: str) -> Iterator[Sample]:
    found = FILE_NAME.fullmatch(path.stem)
    task = (found["task"] if found else path.stem).removeprefix("mmlu_").removesuffix("_continuation")
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            yield _sample(json.loads(line), task, Contestant(model))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            raise BadInput(
                f"{path}, line {number} is no multiple-choice sample: {type(error).__name__} {error}.",
                "Wanted: doc with question, choices and answer, and filtered_resps with a log-probability an option.",
            ) from error


def _lines(path: Path) -> Iterator[str]:
    """A file's lines, one in memory at a time: ended by a newline alone, as questions may hold Unicode's other ends."""
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            yield from file
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} can't be read: {error}.",
            "Wanted: lines of JSON in UTF-8, as they are or packed by gzip with the ending .gz.",
        ) from error


def _sample(sample: dict[str, Any], task: str, contestant: Contestant) -> Sample:
    doc = sample["doc"]
    choices = tuple(str(choice) for choice in doc["choices"])
    scores = tuple(_score(response) for response in sample.get("filtered_resps") or sample["resps"])
    if len(scores) != len(choices):
        raise ValueError(f"{len(scores)} scores for {len(choices)} choices")
    key = _key(doc["answer"], len(choices))
    subject = str(doc.get("subject") or task)
    asked = _arguments(sample)
    known = str(sample.get("prompt_hash") or (prompt_hash(asked[0][0]) if asked else ""))
    named = [continuation.strip() for _, continuation in asked]
    scoring = Scoring.TEXT if named and named == [choice.strip() for choice in choices] else Scoring.LETTERS
    index, picked = int(sample["doc_id"]), best_of(scores)
    return Sample(Row(contestant, subject, index, str(doc["question"]), choices, key, picked, scores, known), scoring)


def _key(answer: object, choices: int) -> int:
    """The right option's place: an index that counts from 0, or a letter."""
    text = str(int(answer) if isinstance(answer, float) and answer.is_integer() else answer).strip().upper()
    key = int(text) if text.isdecimal() else next((n for n, letter in enumerate(LETTERS) if letter == text), -1)
    if not 0 <= key < choices:
        raise ValueError(f"the answer {answer!r} is none of {choices} choices")
    return key


def _arguments(sample: dict[str, Any]) -> list[tuple[str, str]]:
    """Prompt and continuation of each request: objects in today's files, lists in older ones."""
    asked = sample.get("arguments") or []
    each = asked.values() if isinstance(asked, dict) else asked
    return [(one["arg_0"], one["arg_1"]) if isinstance(one, dict) else (one[0], one[1]) for one in each]


def _score(response: Any) -> float:
    """The log-probability in `[-1.2, false]`, `["-1.2", "False"]`, or either inside a list of one."""
    while isinstance(response[0], list):
        response = response[0]
    score = float(response[0])
    if math.isnan(score) or score == math.inf:
        raise ValueError(f"{score} is no log-probability")
    return score
