"""Figures of whole sets by sums over questions: those of `judging.sets` and sacrebleu, and intervals that cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats import set_figures
from analysis.stats.set_figures import draw, of_labels, of_texts
from proctor.exams.judging import likenesses, sets
from proctor.exams.judging.sets import Pair

LABELS: dict[str, Callable[..., float]] = {
    "f1": sets.f1, "weighted_f1": sets.weighted_f1, "macro_f1": sets.macro_f1, "micro_f1": sets.micro_f1,
    "three_label_f1": sets.three_label_f1, "mcc": sets.mcc,
}  # fmt: skip
TEXTS: dict[str, Callable[..., float]] = {
    "bleu": likenesses.corpus_bleu, "chrf": likenesses.corpus_chrf, "chrf++": likenesses.corpus_chrf_with_words,
    "ter": likenesses.corpus_ter,
}  # fmt: skip
SENTENCES = [
    ("the cat sat on the mat", "a cat sat on the mat"),
    ("it rains in the north today", "it rains today in the north"),
    ("nobody knows", "somebody knows that"),
    ("the moon shows one face", "the moon shows one face"),
]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=30))
def test_figures_of_labels_are_those_that_are_summed_up(pairs: list[tuple[int, int]]) -> None:
    made: list[Pair] = [(float(right), float(given)) for right, given in pairs]
    for name, summary in LABELS.items():
        assert of_labels(name, made).estimate == pytest.approx(summary(made)), name


@pytest.mark.parametrize("name", TEXTS)
def test_figures_of_texts_are_those_of_sacrebleu(name: str) -> None:
    pairs: list[Pair] = list(SENTENCES)
    assert of_texts(name, pairs).estimate == pytest.approx(TEXTS[name](pairs))
    assert of_texts(name, pairs[:1]).estimate == pytest.approx(TEXTS[name](pairs[:1]))


@pytest.mark.parametrize("name", ["f1", "bleu"])
def test_a_drawn_set_is_summed_up_as_the_questions_in_it_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_figures, "DRAWS", 50)
    labels: list[Pair] = [(1.0, 1.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0)]
    pairs: list[Pair] = labels if name == "f1" else list(SENTENCES)
    summary = LABELS[name] if name == "f1" else TEXTS[name]
    found = draw([of_labels(name, pairs) if name == "f1" else of_texts(name, pairs)], len(pairs)).draws[0]
    counts = next(set_figures._counts(len(pairs), 0))
    for value, drawn in zip(found, counts, strict=True):
        again = [pair for pair, count in zip(pairs, drawn, strict=True) for _ in range(int(count))]
        assert value == pytest.approx(summary(again))


def test_two_contestants_are_drawn_together() -> None:
    random = np.random.default_rng(3)
    right = random.integers(0, 2, 200).astype(float)
    given = np.where(random.random(200) < 0.8, right, 1 - right)
    worse = given.copy()
    worse[:8] = 1 - right[:8]
    first, second = (of_labels("f1", list(zip(right, some, strict=True))) for some in (given, worse))
    found = draw([first, second, first], 200)
    same = found.difference(0, 2)
    assert (same.low, same.high) == (0.0, 0.0)
    apart, own = found.difference(0, 1), found.interval(0)
    assert apart.low < apart.high < 0
    assert apart.high - apart.low < own.high - own.low
    wide = found.difference(0, 1, 0.999)
    assert wide.low < apart.low


def test_the_interval_covers_nearly_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_figures, "DRAWS", 400)
    random = np.random.default_rng(11)

    def answers(size: int) -> list[Pair]:
        right = (random.random(size) < 0.3).astype(float)
        return list(zip(right, np.where(random.random(size) < 0.75, right, 1 - right), strict=True))

    true = of_labels("f1", answers(200_000)).estimate
    hits = 0
    for _ in range(200):
        found = draw([of_labels("f1", answers(150))], 150).interval(0)
        hits += found.low <= true <= found.high
    assert 0.89 < hits / 200 < 0.99
