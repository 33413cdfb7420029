"""Figures of whole sets that an exam's form names (F1, BLEU, …), each with its interval, and who has the better one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.stats.intervals import Interval
from analysis.stats.set_figures import LABELS, Additive, Drawn, draw, of_labels, of_texts
from proctor.exams.judging.metrics import set_figure
from proctor.exams.judging.references import right_texts
from proctor.exams.judging.sets import Pair
from proctor.exams.tasks.form import Form, Kind, Metric, read_form
from proctor.nouns.exams import Question

CANT_TELL = "can't be told apart"


@dataclass(frozen=True, eq=False)
class SetFigure:
    """One metric of one subject, for all contestants of a panel, on the questions that all were asked."""

    subject: str
    metric: Metric
    questions: int
    drawn: Drawn

    @property
    def order(self) -> tuple[int, ...]:
        """Places of the contestants, the best first."""
        sign = -1 if self.metric.higher_is_better else 1
        return tuple(np.argsort(sign * self.drawn.estimates, kind="stable").tolist())

    def from_best(self, place: int) -> Interval:
        """The contestant's figure minus the best one's, its interval adjusted for all pairs (Bonferroni)."""
        count = self.drawn.estimates.size
        return self.drawn.difference(self.order[0], place, 1 - 0.05 / max(1, count * (count - 1) // 2))


def verdict(change: Interval) -> str:
    """What may be said of a difference from the best, or of a second from a first: `differs` or not."""
    return "differs" if change.low > 0 or change.high < 0 else CANT_TELL


def set_figures(panel: Panel) -> Iterator[SetFigure]:
    """All such figures of a panel, subjects in the order of the alphabet; none where its forms name none.

    Written answers are taken by the filter that marks their Runs. Raises `BadInput` where sacrebleu is needed and isn't
    installed.
    """
    for subject in sorted(panel.forms):
        form = read_form(panel.forms[subject])
        asked = panel.alike(range(len(panel.contestants))) & (panel.questions["subject"] == subject).to_numpy()
        if not asked.any():
            continue
        for metric in form.metrics:
            name = set_figure(form.kind, metric)
            if not name or metric.chain not in {"", panel.terms.judged_by or form.headline.chain}:
                continue
            places = np.flatnonzero(asked)
            pairs = [_pairs(panel, form, place, places) for place in range(len(panel.contestants))]
            if any(some is None for some in pairs):
                continue
            sets = [_additive(name, some) for some in pairs if some is not None]
            yield SetFigure(subject, metric, places.size, draw(sets, places.size))


def _additive(name: str, pairs: list[Pair]) -> Additive:
    return of_labels(name, pairs) if name in LABELS else of_texts(name, pairs)


def _pairs(panel: Panel, form: Form, place: int, questions: NDArray[np.int64]) -> list[Pair] | None:
    """(right, given) of these questions; None where what was written isn't known. A tie is the label −1."""
    if form.kind is not Kind.WRITE:
        given = panel.picked[place, questions].astype(np.float64).tolist()
        return list(zip(panel.key[questions].astype(np.float64).tolist(), given, strict=True))
    if panel.replies is None or panel.replies.texts is None:
        return None
    rows = panel.questions.iloc[questions]
    references = rows["reference"].tolist() if "reference" in rows else [""] * len(rows)
    keyed = zip(rows["choices"], rows["answer"].tolist(), references, strict=True)
    right = [right_texts(_question(tuple(choices), int(key), reference))[0] for choices, key, reference in keyed]
    return list(zip(right, map(str, panel.replies.texts[place, questions]), strict=True))


def _question(choices: tuple[str, ...], key: int, reference: str) -> Question:
    return Question("", 0, "", choices, key if choices else None, reference)
