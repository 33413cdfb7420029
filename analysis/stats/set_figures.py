"""Figures that a set of questions has together, and no question alone: F1, Matthews' correlation, BLEU, chrF, TER.

Each is a function of sums over the questions, of what every question adds: which label is right and which was given,
or how many n-grams agree. So a set that is drawn anew, questions with replacement, is summed up by one product of
matrices, for all contestants by the same draws.

Sources: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13 (percentiles) and 6 (standard
errors); Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation" (paired, over sentences).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from analysis.stats.intervals import Interval, critical_z
from proctor.exams.judging.libraries import library
from proctor.exams.judging.sets import Pair

DRAWS = 1000
_PORTION = 50  # draws at a time: memory is so many times (questions + labels)
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Additive:
    """One contestant's set: what each of Q questions adds, and the figure of such sums."""

    parts: csr_array | Floats  # (Q, S)
    value: Callable[[Floats], Floats]  # (B, S) -> (B,)

    @property
    def estimate(self) -> float:
        """The figure of the set as it is."""
        return float(self.value(np.asarray(self.parts.sum(axis=0), dtype=np.float64)[None, :])[0])


@dataclass(frozen=True, eq=False)
class Drawn:
    """The figures of C contestants on the same questions, and of the same DRAWS sets drawn from these."""

    estimates: Floats  # (C,)
    draws: Floats  # (C, DRAWS)

    def interval(self, place: int, level: float = 0.95) -> Interval:
        """A contestant's figure with the percentiles of its draws."""
        low, high = np.nanquantile(self.draws[place], [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(self.estimates[place]), float(low), float(high))

    def difference(self, first: int, second: int, level: float = 0.95) -> Interval:
        """The second's figure minus the first's, and as many standard errors of the paired draws as the level asks."""
        change = float(self.estimates[second] - self.estimates[first])
        half = critical_z(level) * float(np.nanstd(self.draws[second] - self.draws[first], ddof=1))
        return Interval(change, change - half, change + half)


def draw(contestants: Sequence[Additive], questions: int, seed: int = 0) -> Drawn:
    """Draw sets of as many questions, with replacement, and sum each of the contestants' up."""
    estimates = np.array([one.estimate for one in contestants])
    draws = np.concatenate(
        [[one.value(np.asarray(counts @ one.parts)) for one in contestants] for counts in _counts(questions, seed)],
        axis=1,
    )
    return Drawn(estimates, draws)


def of_labels(metric: str, pairs: Sequence[Pair]) -> Additive:
    """F1 and its like of (right, given) labels; `metric` is one of `LABELS`."""
    labels = {label: place for place, label in enumerate(dict.fromkeys(one for pair in pairs for one in pair))}
    right = np.array([labels[one] for one, _ in pairs])
    given = np.array([labels[one] for _, one in pairs])
    rows, size = np.arange(len(pairs)), len(labels)
    hits = np.flatnonzero(right == given)
    at = np.concatenate([right, size + given, 2 * size + right[hits]])
    who = np.concatenate([rows, rows, hits])
    parts = csr_array((np.ones(at.size), (who, at)), shape=(len(pairs), 3 * size))
    figure = LABELS[metric](labels)
    return Additive(parts, lambda sums: figure(sums[:, :size], sums[:, size : 2 * size], sums[:, 2 * size :]))


def of_texts(metric: str, pairs: Sequence[Pair]) -> Additive:
    """BLEU, chrF or TER of (right, given) texts, as sacrebleu has it by default; `metric` is one of `TEXTS`.

    Raises `BadInput` where sacrebleu isn't installed.
    """
    name, settings = TEXTS[metric]
    measure: Any = getattr(library("sacrebleu.metrics"), name)(**settings)
    given, right = [str(one) for _, one in pairs], [str(one) for one, _ in pairs]
    parts = np.array(measure._extract_corpus_statistics(given, [right]), dtype=np.float64)

    def value(sums: Floats) -> Floats:
        whole = np.rint(sums).astype(int).tolist()  # of TER one may be a fraction: its reference lengths' mean
        rows = sums.tolist() if name == "TER" else whole
        return np.array([measure._compute_score_from_stats(row).score for row in rows])

    return Additive(parts, value)


Counts = tuple[Floats, Floats, Floats]  # (B, L) each: how often a label is right, is given, and is both
OfCounts = Callable[[Floats, Floats, Floats], Floats]


def _f1s(right: Floats, given: Floats, both: Floats) -> Floats:
    return 2 * both / np.maximum(right + given, 1)


def _binary(labels: Mapping[Any, int]) -> OfCounts:
    place = labels.get(1.0)
    if place is None:
        return lambda right, _, __: np.zeros(len(right))
    return lambda *counts: np.asarray(_f1s(*counts)[:, place])


def _weighted(_: Mapping[Any, int]) -> OfCounts:
    return lambda *counts: np.asarray((_f1s(*counts) * counts[0]).sum(axis=1) / counts[0].sum(axis=1))


def _macro(_: Mapping[Any, int]) -> OfCounts:
    def value(right: Floats, given: Floats, both: Floats) -> Floats:
        there = (right + given > 0).sum(axis=1)
        return np.asarray(_f1s(right, given, both).sum(axis=1) / there)

    return value


def _three(labels: Mapping[Any, int]) -> OfCounts:
    places = [labels[one] for one in (0.0, 1.0, 2.0) if one in labels]
    return lambda *counts: np.asarray(_f1s(*counts)[:, places].sum(axis=1) / 3)


def _micro(_: Mapping[Any, int]) -> OfCounts:
    return lambda right, _, both: np.asarray(both.sum(axis=1) / right.sum(axis=1))


def _mcc(_: Mapping[Any, int]) -> OfCounts:
    def value(right: Floats, given: Floats, both: Floats) -> Floats:
        n, hits = right.sum(axis=1), both.sum(axis=1)
        spread = (n**2 - (right**2).sum(axis=1)) * (n**2 - (given**2).sum(axis=1))
        return np.where(spread > 0, (hits * n - (right * given).sum(axis=1)) / np.sqrt(np.maximum(spread, 1)), 0.0)

    return value


LABELS: Mapping[str, Callable[[Mapping[Any, int]], OfCounts]] = {
    "f1": _binary, "weighted_f1": _weighted, "macro_f1": _macro, "three_label_f1": _three, "micro_f1": _micro,
    "mcc": _mcc,
}  # fmt: skip
TEXTS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "bleu": ("BLEU", {}), "chrf": ("CHRF", {}), "chrf++": ("CHRF", {"word_order": 2}), "ter": ("TER", {}),
}  # fmt: skip


def _counts(questions: int, seed: int) -> Iterator[Floats]:
    """(portion, Q) how often each question is drawn, DRAWS in all."""
    random, even = np.random.default_rng(seed), np.full(questions, 1 / questions)
    for _ in range(DRAWS // _PORTION):
        yield random.multinomial(questions, even, size=_PORTION).astype(np.float64)
