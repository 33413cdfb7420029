"""What the log-probabilities of the options say. `logprob` is (Q, K); options that a question lacks are -inf.

Natural logarithms throughout. Probabilities are renormalised over a question's options first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LogProbs = NDArray[np.floating[Any]]
ENOUGH_FOR_ECE = 1_000  # below it even a perfectly calibrated model shows .05 to .09
NEAR_TIE_NATS = 0.05  # a 16-bit float resolves logits around 20 to about so much


@dataclass(frozen=True)
class Calibration:
    """How far a model's probabilities can be believed."""

    brier: float  # 0 perfect, 0.75 for an even guess among four, 2 surely wrong
    ece: float | None  # None where there are too few questions
    confidence: Floats  # (B,) mean probability of the pick in each filled bin
    accuracy: Floats  # (B,) share right in each filled bin
    questions: NDArray[np.int64]  # (B,) those with a single best option; on a tie nothing is picked
    error: float = float("nan")  # standard error of `overconfidence`

    @property
    def overconfidence(self) -> float:
        """Mean probability of the pick less the share right; negative where the model is less sure than right.

        Not a number where nothing was picked.
        """
        return self._mean(self.confidence - self.accuracy)

    @property
    def mean_confidence(self) -> float:
        return self._mean(self.confidence)

    @property
    def share_right(self) -> float:
        """Of the questions with a single best option."""
        return self._mean(self.accuracy)

    def _mean(self, values: Floats) -> float:
        return float(np.average(values, weights=self.questions)) if self.questions.sum() else float("nan")


def probabilities(logprob: LogProbs) -> Floats:
    """(Q, K) softmax over the options, in float64."""
    wide = logprob.astype(np.float64)
    shifted = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def calibrate(logprob: LogProbs, key: NDArray[np.int8], bins: int = 15) -> Calibration:
    """Brier's score over all options (1950) and the expected calibration error of the pick in even bins (Guo 2017).

    Brier = mean over questions of Σ_k (p_k - [k is the key])²
    ECE   = Σ over bins of (questions in it / all)·|accuracy - mean confidence|

    Where the best options are tied nothing is picked: such questions count for Brier's score alone.
    """
    chance = probabilities(logprob)
    truth = np.zeros_like(chance)
    truth[np.arange(key.size), key] = 1.0
    brier = float(((chance - truth) ** 2).sum(axis=1).mean())
    picked = (chance == chance.max(axis=1, keepdims=True)).sum(axis=1) == 1
    sure, right = chance.max(axis=1)[picked], (chance.argmax(axis=1) == key)[picked]
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    size = np.bincount(place, minlength=bins)
    filled = size > 0
    confidence = np.bincount(place, weights=sure, minlength=bins)[filled] / size[filled]
    accuracy = np.bincount(place, weights=right, minlength=bins)[filled] / size[filled]
    apart = float((size[filled] / max(1, sure.size) * np.abs(accuracy - confidence)).sum())
    error = float((sure - right).std(ddof=1) / np.sqrt(sure.size)) if sure.size > 1 else float("nan")
    ece = apart if sure.size >= ENOUGH_FOR_ECE else None
    return Calibration(brier, ece, confidence, accuracy, size[filled], error)


def mean_divergence(base: LogProbs, changed: LogProbs) -> float:
    """Mean Kullback-Leibler divergence KL(base ‖ changed) of the options' distribution, in nats a question.

    Σ_k p_k·log(p_k/q_k), where p_k = 0 adds nothing. Source: Kullback and Leibler 1951.
    """
    first, second = probabilities(base), probabilities(changed)
    floor = np.finfo(np.float64).tiny
    ratio = np.log(np.maximum(first, floor)) - np.log(np.maximum(second, floor))
    return float(np.where(first > 0, first * ratio, 0.0).sum(axis=1).mean())


def key_shift(base: LogProbs, changed: LogProbs, right: NDArray[np.bool_]) -> float:
    """Mean change of the probability of what is `right` (Q, K) from `base` to `changed`, as a fraction."""
    return float(((probabilities(changed) - probabilities(base)) * right).sum(axis=1).mean())


def near_ties(logprob: LogProbs, nats: float = NEAR_TIE_NATS) -> int:
    """Questions whose best two options lie within `nats`: another batch, device or library version may turn them."""
    best = np.sort(logprob, axis=1)[:, -2:]
    return int(np.count_nonzero(best[:, 1] - best[:, 0] < nats))
