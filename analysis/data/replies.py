"""How the written replies of a panel fared in the filter that counts, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proctor.exams.judging.replies import Standing
from proctor.nouns.exams import Scoring
from proctor.store.database.session import Store
from proctor.store.reads.replies import written_runs
from proctor.written_answers import outcomes

STANDINGS = tuple(Standing)
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Replies:
    """C contestants on Q questions; entries that weren't asked mean nothing."""

    standing: NDArray[np.int8]  # (C, Q) place in `STANDINGS`, or UNKNOWN
    cut: NDArray[np.bool_]  # (C, Q) a reply was cut by the limit, extracted from or not

    def part(self, places: Sequence[int], questions: NDArray[np.bool_]) -> Replies:
        """The same of these contestants and questions (Q,) alone."""
        return Replies(self.standing[places][:, questions], self.cut[places][:, questions])

    def beside(self, other: Replies, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> Replies:
        """The first contestants of the two, on questions that stand at these places here and there."""
        standing = np.stack([self.standing[0, mine], other.standing[0, theirs]])
        return Replies(standing, np.stack([self.cut[0, mine], other.cut[0, theirs]]))


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
    for run in written_runs(store, list(seat)):
        which = np.searchsorted(questions, [one.row for one in run.answers])
        judged = outcomes(run)
        standing[seat[run.run_id], which] = [STANDINGS.index(one.standing) for one in judged]
        cut[seat[run.run_id], which] = [one.cut for one in judged]
    return Replies(standing, cut) if (standing != UNKNOWN).any() else None
