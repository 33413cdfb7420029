"""How the written replies of a panel fared in the filter that counts, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proctor.exams.judging.metrics import set_figure
from proctor.exams.judging.patterns import PatternTooSlow
from proctor.exams.judging.replies import Standing
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import Scoring
from proctor.store.database.session import Store
from proctor.store.reads.replies import written_runs
from proctor.written_answers import outcomes, repeats_that_count

STANDINGS = tuple(Standing)
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Several:
    """Questions with several replies, C contestants on Q questions; 0 replies where there is one, or it isn't asked."""

    replies: NDArray[np.int32]  # (C, Q) how many there are
    passed: NDArray[np.int32]  # (C, Q) how many have all points, or UNKNOWN
    voted: NDArray[np.float64]  # (C, Q) points of what most of them say; NaN where there is no vote

    def part(self, places: Sequence[int], questions: NDArray[np.bool_]) -> Several:
        """As of `Replies`."""
        return Several(
            self.replies[places][:, questions], self.passed[places][:, questions], self.voted[places][:, questions]
        )

    def beside(self, other: Several, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> Several:
        """As of `Replies`."""
        return Several(
            np.stack([self.replies[0, mine], other.replies[0, theirs]]),
            np.stack([self.passed[0, mine], other.passed[0, theirs]]),
            np.stack([self.voted[0, mine], other.voted[0, theirs]]),
        )


@dataclass(frozen=True, eq=False)
class Replies:
    """C contestants on Q questions; entries that weren't asked mean nothing."""

    standing: NDArray[np.int8]  # (C, Q) place in `STANDINGS`, or UNKNOWN
    cut: NDArray[np.bool_]  # (C, Q) a reply was cut by the limit, extracted from or not
    repeats: Several | None = None  # None where every question has one reply
    texts: NDArray[np.object_] | None = None  # (C, Q) what metrics are given, where some are of a whole set; else None

    def part(self, places: Sequence[int], questions: NDArray[np.bool_]) -> Replies:
        """The same of these contestants and questions (Q,) alone."""
        repeats = self.repeats and self.repeats.part(places, questions)
        texts = None if self.texts is None else self.texts[places][:, questions]
        return Replies(self.standing[places][:, questions], self.cut[places][:, questions], repeats, texts)

    def beside(self, other: Replies, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> Replies:
        """The first contestants of the two, on questions that stand at these places here and there."""
        standing = np.stack([self.standing[0, mine], other.standing[0, theirs]])
        both = self.repeats and other.repeats and self.repeats.beside(other.repeats, mine, theirs)
        texts = None
        if self.texts is not None and other.texts is not None:
            texts = np.stack([self.texts[0, mine], other.texts[0, theirs]])
        return Replies(standing, np.stack([self.cut[0, mine], other.cut[0, theirs]]), both, texts)


def read_replies(
    store: Store, seat: Mapping[int, int], questions: NDArray[np.int64], contestants: int, scoring: str
) -> Replies | None:
    """The replies of these Runs, whose places are in `seat`; None where none was written on an exam in a form.

    `questions` (Q,) are ids of rows, in their order.
    """
    if scoring != Scoring.WRITTEN:
        return None
    standing = np.full((contestants, questions.size), UNKNOWN, dtype=np.int8)
    cut = np.zeros(standing.shape, dtype=np.bool_)
    texts = np.full(standing.shape, "", dtype=object)
    in_sets = False
    several = Several(
        np.zeros(standing.shape, dtype=np.int32),
        np.full(standing.shape, UNKNOWN, dtype=np.int32),
        np.full(standing.shape, np.nan),
    )
    for run in written_runs(store, list(seat)):
        which = np.searchsorted(questions, [one.row for one in run.answers])
        try:
            judged = outcomes(run)
        except PatternTooSlow:  # the Run failed of it, and says so
            continue
        standing[seat[run.run_id], which] = [STANDINGS.index(one.standing) for one in judged]
        cut[seat[run.run_id], which] = [one.cut for one in judged]
        form = read_form(run.form)
        if any(set_figure(form.kind, one) for one in form.metrics):
            in_sets = True
            texts[seat[run.run_id], which] = [one.text for one in judged]
        if counted := repeats_that_count(run):
            place = seat[run.run_id]
            several.replies[place, which] = counted.replies
            several.passed[place, which] = [UNKNOWN if one is None else one for one in counted.passed]
            several.voted[place, which] = counted.voted or np.nan
    if not (standing != UNKNOWN).any():
        return None
    return Replies(standing, cut, several if several.replies.any() else None, texts if in_sets else None)
