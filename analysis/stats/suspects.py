"""Answer keys that look wrong: the models' weighted vote against the key. A list of leads, never a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

CLIPPED = (0.05, 0.99)  # accuracies beyond these would let one model decide alone
PRIOR_QUESTIONS = 20.0  # a subject's mean margin is drawn towards the overall mean as if by so many questions


@dataclass(frozen=True)
class KeyScores:
    """One entry for each question (Q,). `rival` is the option that most weight speaks for besides the key."""

    score: NDArray[np.float64]
    margin: NDArray[np.float64]  # in [-1, 1]: weight for the rival minus weight for the key, over all weight
    rival: NDArray[np.int64]  # -1 where nobody voted for another option


def vote_weights(picked: NDArray[np.int8], key: NDArray[np.int8], asked: NDArray[np.bool_], others: float) -> Weights:
    """(M,) weight of each model's vote: max(0, log(others·a/(1-a))), a its accuracy by the key, clipped to [.05, .99].

    `others` is the number of wrong options (3 with four choices): the log-odds that a vote is right against one given
    wrong option, if wrong votes fall evenly.
    """
    right = (picked == key) & asked
    accuracy = np.clip(right.sum(axis=1) / np.maximum(1, asked.sum(axis=1)), *CLIPPED)
    return np.asarray(np.maximum(0.0, np.log(others * accuracy / (1 - accuracy))))


def key_scores(
    picked: NDArray[np.int8],
    key: NDArray[np.int8],
    asked: NDArray[np.bool_],
    subject: NDArray[np.int64],
    choices: NDArray[np.int8],
) -> KeyScores:
    """Score every question's key by the votes of M models, one vote a model (not one a quantization).

    Shapes: `picked` and `asked` (M, Q), picked negative for no answer; `key`, `subject` and `choices` (Q,).

        margin = (max over other options of Σ w of their voters - Σ w of the key's voters) / Σ w of those asked
        c_s    = (Σ over subject s of max(margin, 0) + 20·c̄) / (n_s + 20),  c̄ the mean of max(margin, 0) over all
        score  = margin + c_s/2

    Where nobody asked has weight, the margin is 0.
    """
    margin, rival = np.zeros(key.size), np.full(key.size, -1)
    for count in np.unique(choices):
        here = choices == count
        weights = vote_weights(picked, key, asked, float(count) - 1)
        margin[here], rival[here] = _margins(picked[:, here], key[here], asked[:, here], weights, int(count))
    against = np.maximum(margin, 0)
    overall = float(against.mean()) if against.size else 0.0
    sizes = np.bincount(subject)
    clusters = (np.bincount(subject, weights=against) + PRIOR_QUESTIONS * overall) / (sizes + PRIOR_QUESTIONS)
    return KeyScores(margin + clusters[subject] / 2, margin, rival)


def _margins(
    picked: NDArray[np.int8], key: NDArray[np.int8], asked: NDArray[np.bool_], weights: Weights, count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    votes = np.stack([weights @ ((picked == option) & asked) for option in range(count)])  # (K, Q)
    questions = np.arange(key.size)
    for_key = votes[key, questions]
    votes[key, questions] = -1.0
    rival = votes.argmax(axis=0)
    best = votes[rival, questions]
    total = weights @ asked
    margin = np.where(total > 0, (best - for_key) / np.where(total > 0, total, 1), 0.0)
    return margin, np.where(best > 0, rival, -1)
