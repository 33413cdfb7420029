"""Panels of any size for tests of graphs and statistics, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.data.panel import Panel
from analysis.data.terms import Terms
from proctor.contestants import Contestant

QUANTS = ("none", "8bit", "4bit")
TERMS = Terms("mmlu", "mmlu-1.0", 5, chat_template=False)


def panel_of(
    contestants: int, subjects: int, questions: int = 20, names: Sequence[str] = (), quants: Sequence[str] = ("none",)
) -> Panel:
    """A panel whose models differ in skill, whose subjects differ in difficulty, and whose quantizations are alike."""
    rng = np.random.default_rng(contestants * 1000 + subjects)
    size = subjects * questions
    key = rng.integers(0, 4, size)
    difficulty = rng.normal(size=size) + np.repeat(rng.normal(0, 0.7, subjects), questions)
    who, logits = [], []
    for place in range(contestants):
        model, quant = divmod(place, len(quants))
        if quant == 0:
            skill, shared = rng.normal(0.3, 0.8), rng.normal(size=(size, 4))
        name = names[place] if names else f"organisation/Some-Model-{model:02d}-Instruct"
        who.append(Contestant(name, quant=quants[quant]))
        own = shared + rng.normal(0, 0.02 + 0.2 * quant, (size, 4))
        own[np.arange(size), key] += 0.9 * (skill - difficulty)
        logits.append(own)
    logprob = np.array(logits)
    logprob -= np.log(np.exp(logprob).sum(axis=-1, keepdims=True))
    picked = logprob.argmax(axis=-1).astype(np.int8)
    asked = np.ones(picked.shape, dtype=bool)
    return Panel(TERMS, tuple(who), _questions(key, subjects, questions), asked, picked == key, picked,
                 logprob.astype(np.float32))  # fmt: skip


def _questions(key: np.ndarray, subjects: int, questions: int) -> pd.DataFrame:
    size = key.size
    return pd.DataFrame(
        {
            "subject": np.repeat([f"high_school_subject_{number:02d}" for number in range(subjects)], questions),
            "question_id": [f"{number:016x}" for number in range(size)],
            "question_index": np.tile(np.arange(questions), subjects),
            "question": [f"Question {number}?" for number in range(size)],
            "choices": pd.Series([("a", "b", "c", "d")] * size, dtype=object),
            "answer": key.astype(np.int8),
        }
    )
