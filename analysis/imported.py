"""Other people's results: a CSV with a column a model, and the samples that lm-evaluation-harness writes."""

from __future__ import annotations

import hashlib
import string
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.contestants import Contestant
from analysis.panel import Panel, Terms
from proctor.errors import BadInput


def read_wide_csv(path: Path) -> Panel:
    """A panel of a CSV with `subject, question, A, B, …, answer`, and then a column of letters for each model.

    An empty cell is a question on which the model gave no answer. A second copy of a question within a subject is
    dropped, as it is when an exam is loaded.

    Raises
    ------
    BadInput
        for a file without those columns, without a model, or with an answer that is no letter of its options.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} can't be read as CSV: {error}.") from error
    options = [letter for letter in string.ascii_uppercase if letter in rows.columns]
    missing = [name for name in ("subject", "question", "answer") if name not in rows.columns]
    if missing or len(options) < 2:
        raise BadInput(
            f"{path} lacks the columns {', '.join(missing) or 'A and B'}.",
            "Columns wanted: subject, question, A, B, …, answer, then one a model.",
        )
    models = [name for name in rows.columns if name not in {"subject", "question", "answer", *options}]
    if not models:
        raise BadInput(f"{path} has no column of a model's answers.", "Put one a model after the column answer.")
    rows = rows.drop_duplicates(["subject", "question", *options, "answer"]).reset_index(names="question_index")
    questions = _questions(rows, options, path)
    picked = np.stack([_letters(rows[model], options, path) for model in models])
    return Panel(
        terms=Terms(path.stem, "unknown", 0, chat_template=False),
        contestants=tuple(Contestant(model) for model in models),
        questions=questions,
        asked=np.ones(picked.shape, dtype=bool),
        correct=picked == questions["answer"].to_numpy(),
        picked=picked,
    )


def _questions(rows: pd.DataFrame, options: list[str], path: Path) -> pd.DataFrame:
    texts = rows[options].to_numpy().tolist()
    content = ["\n".join(parts) for parts in rows[["question", *options]].to_numpy().tolist()]
    key = _letters(rows["answer"], options, path)
    if (key < 0).any():
        raise BadInput(f"{path}: question {int(rows['question_index'][int(np.argmax(key < 0))])} has no answer.")
    return pd.DataFrame(
        {
            "subject": rows["subject"],
            "question_id": [hashlib.sha256(text.encode()).hexdigest()[:16] for text in content],
            "question_index": rows["question_index"],
            "question": rows["question"],
            "choices": [tuple(text for text in row if text) for row in texts],
            "answer": key,
        }
    )


def _letters(column: pd.Series[str], options: list[str], path: Path) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """(Q,) the option's index for each letter, -1 for an empty cell."""
    places = {letter: place for place, letter in enumerate(options)} | {"": -1}
    numbers = column.str.strip().str.upper().map(places)
    if numbers.isna().any():
        odd = column[numbers.isna()].iloc[0]
        raise BadInput(f"{path}: column {column.name} holds {odd!r}, which is none of {', '.join(options)}.")
    return np.asarray(numbers, dtype=np.int8)
