"""Answer keys that look wrong: the models' weighted vote against the key. A list of leads, never a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

CLIPPED = (0.05, 0.99)  # accuracies beyond these would let one model decide alone
ROUNDING = 1e-9  # of all weight: sums that differ by less are level
PRIOR_QUESTIONS = 20.0  # a subject's mean margin is drawn towards the overall mean as if by so many questions


@dataclass(frozen=True)
class KeyScores:
    """One entry for each question (Q,). The rivals are the options that most weight speaks for besides the key."""

    score: NDArray[np.float64]
    margin: NDArray[np.float64]  # in [-1, 1]: weight for the rival minus weight for the key, over all weight
    rivals: tuple[tuple[int, ...], ...]  # more than one where they are level; none where nobody voted for another


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

    Where nobody asked has weight, the margin is 0, as it is where rival and key are level.
    """
    margin, level = np.zeros(key.size), np.zeros((key.size, int(choices.max(initial=0))), dtype=bool)
    for count in np.unique(choices):
        here = choices == count
        weights = vote_weights(picked, key, asked, float(count) - 1)
        margins = _margins(picked[:, here], key[here], asked[:, here], weights, int(count))
        margin[here], level[here, : int(count)] = margins
    against = np.maximum(margin, 0)
    overall = float(against.mean()) if against.size else 0.0
    sizes = np.bincount(subject)
    clusters = (np.bincount(subject, weights=against) + PRIOR_QUESTIONS * overall) / (sizes + PRIOR_QUESTIONS)
    rivals = tuple(tuple(np.flatnonzero(row).tolist()) for row in level)
    return KeyScores(margin + clusters[subject] / 2, margin, rivals)


def _margins(
    picked: NDArray[np.int8], key: NDArray[np.int8], asked: NDArray[np.bool_], weights: Weights, count: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Margins (Q,), and the options (Q, K) besides the key that are level at the top."""
    votes = np.stack([weights @ ((picked == option) & asked) for option in range(count)])  # (K, Q)
    questions = np.arange(key.size)
    for_key = votes[key, questions]
    votes[key, questions] = -1.0
    best = votes.max(axis=0)
    total = weights @ asked
    ahead = np.where(np.abs(best - for_key) > ROUNDING * total, best - for_key, 0.0)
    margin = np.where(total > 0, ahead / np.where(total > 0, total, 1), 0.0)
    return margin, ((best - votes <= ROUNDING * total) & (best > 0)).T
