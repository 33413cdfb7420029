"""Questions whose answer key looks wrong, as a list of leads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.data.panel import Panel
from analysis.stats.suspects import KeyScores, key_scores
from proctor.nouns.exams import LETTERS


@dataclass(frozen=True)
class Suspect:
    """A question, its key, and the option that the models' weighted vote prefers."""

    question: int  # place in the panel
    subject: str
    question_id: str
    question_index: int
    text: str
    key: str  # letter and text
    rival: str  # letter and text of the option preferred, or of those that are level; empty where nobody voted so
    votes: str  # `A 3, B 11`, the key's letter first
    score: float
    margin: float  # weight for the rival less weight for the key, over all weight; above 0 the key is outvoted


def suspects(panel: Panel) -> list[Suspect]:
    """Questions on which more weight speaks for another option than for the key, the most suspect first."""
    return [one for one in scored_keys(panel) if one.margin > 0]


def scored_keys(panel: Panel) -> list[Suspect]:
    """Every question with the votes on its key, the most suspect first; one that isn't outvoted is no suspect.

    One vote a model, of its least quantized contestant. Fewer than three models can't outvote a key in earnest, so
    nothing is scored then, nor where a question has no options, or several right ones.
    """
    models = panel.one_a_model()
    if len(models.contestants) < 3 or not panel.has_keys:
        return []
    scores = key_scores(models.picked, models.key, models.asked, models.subject_of, models.choices)
    order = np.argsort(-scores.score, kind="stable")
    # Log-probabilities break the ties where all models have them: the less the key was believed, the more suspect.
    if models.logprob is not None:
        believed = models.logprob[:, np.arange(models.key.size), models.key].mean(axis=0)
        order = np.lexsort((believed, -scores.score))
    return [_suspect(models, place, scores) for place in order.tolist()]


def _suspect(panel: Panel, place: int, scores: KeyScores) -> Suspect:
    row, key = panel.questions.iloc[place], int(panel.key[place])
    choices: tuple[str, ...] = row["choices"]
    picked = panel.picked[panel.asked[:, place], place]
    counts = [(option, int((picked == option).sum())) for option in range(len(choices))]
    votes = sorted(counts, key=lambda pair: (pair[0] != key, -pair[1]))
    return Suspect(
        question=place,
        subject=str(row["subject"]),
        question_id=str(row["question_id"]),
        question_index=int(row["question_index"]),
        text=str(row["question"]),
        key=f"{LETTERS[key]}: {choices[key]}",
        rival=", or ".join(f"{LETTERS[rival]}: {choices[rival]}" for rival in scores.rivals[place]),
        votes=", ".join(f"{LETTERS[option]} {count}" for option, count in votes if count or option == key),
        score=float(scores.score[place]),
        margin=float(scores.margin[place]),
    )
