"""The panel: contestants × questions, the one shape that every comparison, graph and table starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.data.replies import Replies
from analysis.data.terms import Terms
from analysis.stats.intervals import Interval, wilson
from analysis.stats.order import group_p
from analysis.stats.paired import Paired
from analysis.stats.perplexity import perplexity, perplexity_ratio
from analysis.stats.points import mean_points, pair_marks
from proctor.contestants import Contestant, labels, one_a_model
from proctor.exams.benchmarks.mmlu_prompts import characters
from proctor.exams.judging.metrics import OF_PROGRAMS
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import Scoring

QUESTION_COLUMNS = ("subject", "question_id", "question_index", "question", "choices", "answer")
KEPT_AT_LEAST = 0.5  # contestants are set aside until so much of all questions is common to those left


@dataclass(frozen=True, eq=False)
class Panel:
    """C contestants on Q questions under the same terms; K options at most.

    `questions` has Q rows and the columns `QUESTION_COLUMNS`. `picked` is negative where no option was picked,
    `logprob` is -inf for options that a question lacks, and None where nobody's log-probabilities are known.
    `shots` are the examples that were shown before each question, and None where they aren't known one by one.
    `prompt` holds the first 8 bytes of each prompt's SHA-256, 0 where that isn't known, and is None where none is.
    Entries where `asked` is False mean nothing.
    """

    terms: Terms
    contestants: tuple[Contestant, ...]
    questions: pd.DataFrame
    asked: NDArray[np.bool_]  # (C, Q)
    correct: NDArray[np.bool_]  # (C, Q)
    picked: NDArray[np.int8]  # (C, Q)
    logprob: NDArray[np.float32] | None = None  # (C, Q, K)
    prompt: NDArray[np.uint64] | None = None  # (C, Q)
    names: tuple[str, ...] = ()  # labels among more than these contestants; empty: among these
    shots: NDArray[np.int8] | None = None  # (C, Q)
    exams: Mapping[str, str] = field(default_factory=dict)  # subject -> hash of its exam's content, where it is known
    runs: Mapping[Contestant, frozenset[int]] = field(default_factory=dict)  # ids of the Runs that were read
    points: NDArray[np.float64] | None = None  # (C, Q) from 0 to 1; None: 1 where correct, else 0
    replies: Replies | None = None  # how written ones fared; None where none is known
    forms: Mapping[str, str] = field(default_factory=dict)  # subject -> form of its exam as JSON, where it has one
    answered: NDArray[np.bool_] | None = None  # (C, Q) an option was picked or an answer extracted; None: as `picked`

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """(C,) what tables and graphs call the contestants."""
        return self.names or labels(self.contestants)

    @cached_property
    def run_ids(self) -> frozenset[int]:
        """The Runs that these contestants' Answers were read from; none where they were imported."""
        return frozenset(run_id for contestant in self.contestants for run_id in self.runs.get(contestant, ()))

    @cached_property
    def has_options(self) -> bool:
        """Whether every question has options that were scored: what ties, picks and chance are about."""
        without = (Scoring.WRITTEN, Scoring.ONE_TEXT, Scoring.PAGES, Scoring.JUDGED)
        return self.terms.scoring not in without and bool((self.choices > 0).all())

    @cached_property
    def has_keys(self) -> bool:
        """Whether of every question's options one alone is right: what calibration and suspect keys are about."""
        return self.has_options and not self.further.any() and bool((self.key >= 0).all())

    @cached_property
    def further(self) -> NDArray[np.int8]:
        """(Q,) right options besides the key."""
        if "further" not in self.questions:
            return np.zeros(len(self.questions), dtype=np.int8)
        return self.questions["further"].map(len).to_numpy(dtype=np.int8)

    @cached_property
    def right_options(self) -> NDArray[np.bool_]:
        """(Q, K) whether an option is right."""
        most = int(self.choices.max(initial=0)) if self.logprob is None else self.logprob.shape[-1]
        right = np.zeros((len(self.questions), most), dtype=bool)
        keyed = np.flatnonzero(self.key >= 0)
        right[keyed, self.key[keyed]] = True
        for place in np.flatnonzero(self.further):
            right[place, list(self.questions["further"].iloc[place])] = True
        return right

    @cached_property
    def graded(self) -> bool:
        """Whether there are points between 0 and 1."""
        return self.points is not None and bool(((self.points > 0) & (self.points < 1) & self.asked).any())

    @cached_property
    def has_mistakes(self) -> bool:
        """Whether right and wrong tell answers apart: not where all are worth parts of a point, as shares are."""
        by_judge = self.terms.judge is not None
        return not by_judge and (not self.graded or bool((self.correct & self.asked).any()))

    @property
    def unit(self) -> str:
        """What an accuracy counts: answers that are right, or points."""
        return "points" if self.graded else "right"

    @cached_property
    def marks(self) -> NDArray[np.float64]:
        """(C, Q) points, from 0 to 1."""
        return self.correct.astype(np.float64) if self.points is None else self.points

    @cached_property
    def silent(self) -> NDArray[np.bool_]:
        """(C, Q) asked, and neither was an option picked nor an answer extracted."""
        return np.asarray(self.asked & ((self.picked < 0) if self.answered is None else ~self.answered))

    @cached_property
    def not_run(self) -> NDArray[np.bool_]:
        """(C,) whether somebody's answers are programs of which none was run yet, in any subject."""
        subjects = [one for one, form in self.forms.items() if read_form(form).headline.metric in OF_PROGRAMS]
        waiting = np.zeros(len(self.contestants), dtype=bool)
        for subject in subjects:
            theirs = self.asked & (self.questions["subject"] == subject).to_numpy()
            waiting |= theirs.any(axis=1) & ~(theirs & ~self.silent).any(axis=1)
        return waiting

    @cached_property
    def key(self) -> NDArray[np.int8]:
        """(Q,) index of the right option, negative where there are none."""
        return self.questions["answer"].to_numpy(dtype=np.int8)

    @cached_property
    def choices(self) -> NDArray[np.int8]:
        """(Q,) number of options."""
        return self.questions["choices"].map(len).to_numpy(dtype=np.int8)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """S names in the order of the alphabet; graphs sort them by value."""
        return tuple(sorted(self.questions["subject"].unique()))

    @cached_property
    def subject_of(self) -> NDArray[np.int64]:
        """(Q,) each question's place in `subjects`."""
        return np.asarray(pd.Categorical(self.questions["subject"], categories=self.subjects).codes, dtype=np.int64)

    @cached_property
    def common(self) -> NDArray[np.bool_]:
        """(Q,) the questions that every contestant was asked after as many shots."""
        return self.alike(range(len(self.contestants)))

    @cached_property
    def shots_short(self) -> NDArray[np.bool_]:
        """(C, Q) asked after fewer shots than were asked for; nowhere, where that isn't known."""
        if self.shots is None or self.terms.shots is None:
            return np.zeros_like(self.asked)
        return np.asarray(self.asked & (self.shots < self.terms.shots))

    @cached_property
    def right_by_subject(self) -> NDArray[np.int64]:
        """(C, S) right answers."""
        return self._by_subject(self.correct & self.asked)

    @cached_property
    def asked_by_subject(self) -> NDArray[np.int64]:
        """(C, S) questions asked."""
        return self._by_subject(self.asked)

    @cached_property
    def unanswered_by_subject(self) -> NDArray[np.int64]:
        """(C, S) questions asked on which no option was picked, and no answer extracted."""
        return self._by_subject(self.silent)

    @property
    def accuracy_by_subject(self) -> NDArray[np.float64]:
        """(C, S) fractions, not a number where nothing was asked."""
        asked = self.asked_by_subject
        points = self._summed(self.marks * self.asked) if self.graded else self.right_by_subject
        return np.where(asked > 0, points / np.maximum(asked, 1), np.nan)

    def accuracy_in(self, place: int, subject: int) -> Interval:
        """A contestant's accuracy in one subject, by its place in `subjects`, as in `accuracies`."""
        if self.graded:
            return mean_points(self.marks[place, self.asked[place] & (self.subject_of == subject)])
        return wilson(int(self.right_by_subject[place, subject]), int(self.asked_by_subject[place, subject]))

    @property
    def chance(self) -> float:
        """Accuracy of blind guessing: the mean share of a question's choices that are right.

        Not a number where nobody can guess among options, or answers are worth parts of a point.
        """
        known = self.choices.size and self.has_options and not self.graded
        return float(((1 + self.further) / self.choices).mean()) if known else float("nan")

    @property
    def unanswered(self) -> NDArray[np.int64]:
        """(C,) questions asked on which no option was picked, and no answer extracted."""
        return np.asarray(self.silent.sum(axis=1))

    @cached_property
    def subject_p(self) -> NDArray[np.float64]:
        """(S, S) p-values of one subject being harder than another, over all contestants (see `group_p`)."""
        share = (self.marks * self.asked).sum(axis=0) / np.maximum(self.asked.sum(axis=0), 1)
        return group_p(share, self.subject_of)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(C, Q) asked and not right, which is less than all points.

        No answer counts as wrong here, and is counted apart in `unanswered`.
        """
        return self.asked & ~self.correct

    @cached_property
    def accuracies(self) -> tuple[Interval, ...]:
        """Each contestant's accuracy on what it was asked: the share right with its 95 % Wilson interval.

        Where there are parts of a point, the mean of the points with Student's interval (`mean_points`).
        """
        if self.graded:
            return tuple(mean_points(marks[asked]) for marks, asked in zip(self.marks, self.asked, strict=True))
        right, asked = (self.correct & self.asked).sum(axis=1), self.asked.sum(axis=1)
        return tuple(wilson(int(r), int(a)) for r, a in zip(right, asked, strict=True))

    @cached_property
    def picked_norm(self) -> NDArray[np.int8] | None:
        """(C, Q) the option with the highest log-probability per character, negative for a tie.

        None where options are letters, all of one length, answers are worth parts of a point, log-probabilities
        aren't known, or a task names no such figure.
        """
        if self.logprob is None or self.terms.scoring != Scoring.TEXT or self.graded:
            return None
        if not all(any(one.name == "acc_norm" for one in read_form(form).metrics) for form in self.forms.values()):
            return None
        lengths = np.zeros(self.logprob.shape[1:])  # (Q, K)
        for place, choices in enumerate(self.questions["choices"]):
            lengths[place, : len(choices)] = characters(choices, Scoring.TEXT)
        scores = np.where(lengths > 0, self.logprob / np.maximum(lengths, 1), -np.inf)
        best = scores.max(axis=-1, keepdims=True)
        tied = (scores == best).sum(axis=-1) > 1
        return np.where(tied, -1, scores.argmax(axis=-1)).astype(np.int8)

    @cached_property
    def accuracies_norm(self) -> tuple[Interval, ...] | None:
        """Each contestant's accuracy by log-probability per character (`acc_norm`); None as in `picked_norm`."""
        if self.picked_norm is None or (self.key < 0).any():
            return None
        asked = self.asked & (self.picked_norm >= 0)
        right = (self.right_options[np.arange(self.key.size), self.picked_norm] & asked).sum(axis=1)
        return tuple(wilson(int(r), int(a)) for r, a in zip(right, self.asked.sum(axis=1), strict=True))

    @cached_property
    def text_logprob(self) -> NDArray[np.float64] | None:
        """(C, Q) log-probability of the one text that each question scores; None where options or nothing is scored."""
        if self.logprob is None or self.terms.scoring not in (Scoring.ONE_TEXT, Scoring.PAGES):
            return None
        return self.logprob[:, :, 0].astype(np.float64)

    @cached_property
    def perplexities(self) -> tuple[Interval, ...] | None:
        """Each contestant's perplexity on what it was asked (`stats.perplexity`); None as `text_logprob`."""
        if self.text_logprob is None:
            return None
        pairs = zip(self.text_logprob, self.asked, strict=True)
        return tuple(perplexity(row[asked], self._units(asked)) for row, asked in pairs)

    @property
    def perplexity_name(self) -> str:
        """`word perplexity` of pages, else `perplexity`."""
        return "word perplexity" if "words" in self.questions else "perplexity"

    def _units(self, questions: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        if "words" not in self.questions:
            return None
        return self.questions["words"].to_numpy(dtype=np.float64)[questions]

    def perplexity_ratio(self, first: int, second: int) -> Interval | None:
        """The second's perplexity over the first's, on the questions that both were asked alike; None as before."""
        if self.text_logprob is None:
            return None
        both = self.alike([first, second])
        return perplexity_ratio(self.text_logprob[first, both], self.text_logprob[second, both], self._units(both))

    @cached_property
    def ranking(self) -> tuple[int, ...]:
        """Places of the contestants from the most accurate to the least; equal ones in their own order."""
        return tuple(sorted(range(len(self.contestants)), key=lambda place: -_known(self.accuracies[place].estimate)))

    def pair(self, first: int, second: int) -> Paired:
        """Two contestants on the questions that both were asked after as many shots: a 2 × 2 where marks are 0 or 1."""
        both = self.alike([first, second])
        return pair_marks(self.marks[first, both], self.marks[second, both])

    def alike(self, places: Sequence[int]) -> NDArray[np.bool_]:
        """(Q,) the questions that all of these contestants were asked after as many shots, where those are known."""
        chosen = list(places)
        asked = self.asked[chosen].all(axis=0)
        if self.shots is None or not chosen:
            return np.asarray(asked)
        return np.asarray(asked & (self.shots[chosen] == self.shots[chosen[0]]).all(axis=0))

    def of(self, places: Sequence[int]) -> Panel:
        """The panel of these contestants alone, in this order; questions that none of them was asked are left out."""
        chosen = list(places)
        questions = np.asarray(self.asked[chosen].any(axis=0))
        who, names = tuple(self.contestants[p] for p in chosen), tuple(self.labels[p] for p in chosen)
        return replace(self, contestants=who, names=names)._cut(chosen, questions)

    def on(self, questions: NDArray[np.bool_]) -> Panel:
        """The panel of these questions (Q,) alone."""
        return self._cut(list(range(len(self.contestants))), questions)

    def one_a_model(self) -> Panel:
        """The panel with each model's least quantized contestant only."""
        return self.of(one_a_model(self.contestants))

    def _cut(self, places: list[int], questions: NDArray[np.bool_]) -> Panel:
        return replace(
            self,
            questions=self.questions.loc[questions].reset_index(drop=True),
            asked=self.asked[places][:, questions],
            correct=self.correct[places][:, questions],
            picked=self.picked[places][:, questions],
            logprob=None if self.logprob is None else self.logprob[places][:, questions],
            prompt=None if self.prompt is None else self.prompt[places][:, questions],
            shots=None if self.shots is None else self.shots[places][:, questions],
            points=None if self.points is None else self.points[places][:, questions],
            answered=None if self.answered is None else self.answered[places][:, questions],
            replies=None if self.replies is None else self.replies.part(places, questions),
        )

    def _by_subject(self, flags: NDArray[np.bool_]) -> NDArray[np.int64]:
        return self._summed(flags).astype(np.int64)

    def _summed(self, values: NDArray[Any]) -> NDArray[np.float64]:
        sums = [np.bincount(self.subject_of, weights=row, minlength=len(self.subjects)) for row in values]
        return np.asarray(sums, dtype=np.float64).reshape(len(self.contestants), len(self.subjects))


@dataclass(frozen=True, eq=False)
class Level:
    """A panel brought to common ground: every contestant on the same questions, put after as many shots."""

    panel: Panel
    questions_before: int
    set_aside: tuple[str, ...]  # labels of those that were asked too little to be compared with the others
    other_shots: int = 0  # questions left out that all were asked, some after fewer shots than others

    @property
    def questions_left_out(self) -> int:
        return self.questions_before - len(self.panel.questions)


def level(panel: Panel) -> Level:
    """Keep the questions that all were asked alike; first set those aside who would cost half of all questions.

    Those are the ones that were asked the fewest questions after the shots that most were shown.
    """
    usual = (panel.asked & _usual_shots(panel)).sum(axis=1)
    order = sorted(range(len(panel.contestants)), key=lambda place: (int(usual[place]), place))
    kept = [place for place in order if panel.asked[place].any()]
    while len(kept) > 1 and panel.alike(kept).sum() < KEPT_AT_LEAST * len(panel.questions):
        kept = kept[1:]
    aside = tuple(panel.labels[place] for place in order if place not in kept)
    whole = panel.of(sorted(kept))
    other_shots = int((whole.asked.all(axis=0) & ~whole.common).sum())
    return Level(whole.on(whole.common), len(panel.questions), aside, other_shots)


def _usual_shots(panel: Panel) -> NDArray[np.bool_]:
    """(C, Q) whether as many shots were shown as to most who were asked the question; all where that isn't known."""
    if panel.shots is None:
        return np.ones_like(panel.asked)
    numbers = np.unique(panel.shots)
    votes = np.stack([((panel.shots == number) & panel.asked).sum(axis=0) for number in numbers])  # (numbers, Q)
    most = numbers[len(numbers) - 1 - votes[::-1].argmax(axis=0)]  # of equals, the larger number
    return np.asarray(panel.shots == most)


def _known(value: float) -> float:
    return -1.0 if isnan(value) else value
