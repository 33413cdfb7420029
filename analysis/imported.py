"""Other people's results: a CSV with a column a model, the samples of lm-evaluation-harness, and our own exports.

What is imported is kept as one JSON-lines file in `PROCTOR_HOME/imports`, and is named like a sweep from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.files import whole_file
from analysis.panel import QUESTION_COLUMNS, Panel, Terms
from analysis.samples import read_samples
from analysis.wide import read_wide_csv
from proctor.contestants import Contestant
from proctor.errors import BadInput

NOT_ASKED = -2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def read_foreign(paths: Sequence[Path], model: str | None) -> Panel:
    """A panel of files of one kind, told by their ending and columns: `.csv`, or `.jsonl` samples.

    Raises
    ------
    BadInput
        for a file of no known kind, or one that can't be read as what it seems to be.
    """
    kinds = {path.suffix.lower() for path in paths}
    if kinds == {".csv"} and len(paths) == 1:
        return read_wide_csv(paths[0])
    if kinds == {".jsonl"}:
        return read_samples(paths, model)
    raise BadInput(
        f"{', '.join(map(str, paths))}: results of this kind can't be imported.",
        "Give one CSV with a column a model, or one or more samples_*.jsonl of lm-evaluation-harness.",
    )


def keep(panel: Panel, name: str, home: Path, *, force: bool = False) -> Path:
    """Keep an imported panel under a name.

    Raises
    ------
    BadInput
        where the name is none, or is taken and `force` isn't set.
    """
    if not NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name for results.", "Use letters, digits, dots, dashes and underscores.")
    path = place_of(name, home)
    if path.exists() and not force:
        raise BadInput(f"Results named {name!r} are imported already.", "Take another --name, or replace with --force.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        who = [asdict(contestant) for contestant in panel.contestants]
        stream.write(json.dumps({"terms": asdict(panel.terms), "contestants": who}) + "\n")
        for line in _lines(panel):
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def kept(name: str, home: Path) -> Panel | None:
    """The panel that was imported under this name; None where there is none."""
    path = place_of(name, home)
    if not NAME.fullmatch(name) or not path.is_file():
        return None
    with path.open(encoding="utf-8") as stream:
        head = json.loads(next(stream))
        lines = [json.loads(line) for line in stream]
    picked = np.array([line["picked"] for line in lines], dtype=np.int16).T
    questions = pd.DataFrame({column: [line[column] for line in lines] for column in QUESTION_COLUMNS})
    questions["choices"] = pd.Series([tuple(line["choices"]) for line in lines], dtype=object)
    questions["answer"] = questions["answer"].astype(np.int8)
    asked = picked != NOT_ASKED
    return Panel(
        terms=Terms(**head["terms"]),
        contestants=tuple(Contestant(**one) for one in head["contestants"]),
        questions=questions,
        asked=asked,
        correct=(picked == questions["answer"].to_numpy()) & asked,
        picked=np.where(asked, picked, -1).astype(np.int8),
        logprob=_logprob([line["options_logprob"] for line in lines]),
    )


def place_of(name: str, home: Path) -> Path:
    """Where imported results of this name lie."""
    return home / "imports" / f"{name}.jsonl"


def _lines(panel: Panel) -> Iterator[dict[str, Any]]:
    """A line a question: what it is, and what each contestant picked (-1 for no answer, -2 for not asked)."""
    picked = np.where(panel.asked, panel.picked, NOT_ASKED).T.tolist()
    for place, (question, picks) in enumerate(zip(panel.questions.to_dict("records"), picked, strict=True)):
        scores = None
        if panel.logprob is not None:
            known = panel.logprob[:, place, : len(question["choices"])].tolist()
            scores = [[value if isfinite(value) else None for value in row] for row in known]  # JSON has no infinity
        yield {str(name): value for name, value in question.items()} | {"picked": picks, "options_logprob": scores}


def _logprob(scores: Sequence[list[list[float | None]] | None]) -> NDArray[np.float32] | None:
    """(C, Q, K) of the lists of each question; None where any has none."""
    known = [one for one in scores if one is not None]
    if not known or len(known) < len(scores):
        return None
    widest = max(len(one[0]) for one in known)
    matrix = np.full((len(known[0]), len(known), widest), -np.inf, dtype=np.float32)
    for place, one in enumerate(known):
        filled = np.array(one, dtype=np.float64)
        matrix[:, place, : filled.shape[1]] = np.nan_to_num(filled, nan=-np.inf, neginf=-np.inf)
    return matrix
