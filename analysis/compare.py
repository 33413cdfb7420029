"""Two contestants compared question by question, wherever their Answers come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.candidates import Candidate
from analysis.findings import listed
from analysis.panel import Panel
from analysis.stats.families import benjamini_hochberg
from analysis.stats.paired import Paired, pair_up
from analysis.stats.verdict import Verdict, judge
from proctor.errors import BadInput


class NotComparable(BadInput):
    """Two contestants that didn't sit the same exam under the same terms; the differences are named."""

    def __init__(self, first: str, second: str, differences: Sequence[str]) -> None:
        self.first, self.second, self.differences = first, second, tuple(differences)
        super().__init__(
            f"{first} and {second} can't be compared: {listed(self.differences, most=6)}.",
            "Run both under the same terms, or name the sweeps with --sweep.",
        )


@dataclass(frozen=True)
class Lead:
    """One subject's part of a comparison: a lead only, its p-value adjusted by Benjamini and Hochberg."""

    subject: str
    pair: Paired
    p: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The second contestant, seen from the first, on the questions that both were asked."""

    first: str
    second: str
    panel: Panel  # of the two, in order, on common questions
    verdict: Verdict
    leads: tuple[Lead, ...]  # the smallest p first

    @property
    def lost(self) -> list[int]:
        """Places of the questions that only the first has right."""
        return [int(place) for place in np.flatnonzero(self.panel.correct[0] & ~self.panel.correct[1])]

    @property
    def gained(self) -> list[int]:
        """Places of the questions that only the second has right."""
        return [int(place) for place in np.flatnonzero(~self.panel.correct[0] & self.panel.correct[1])]


def compare(first: Candidate, second: Candidate, margin: float) -> Comparison:
    """Judge the second against the first.

    Raises
    ------
    NotComparable
        where terms or exams differ, or they share no question.
    """
    panel = side_by_side(first, second)
    leads = [
        (subject, pair_up(panel.correct[0, here], panel.correct[1, here]))
        for number, subject in enumerate(panel.subjects)
        for here in (panel.subject_of == number,)
    ]
    adjusted = benjamini_hochberg(np.array([pair.p for _, pair in leads]))
    found = [Lead(subject, pair, float(p)) for (subject, pair), p in zip(leads, adjusted, strict=True)]
    return Comparison(
        first.label,
        second.label,
        panel,
        judge(panel.pair(0, 1), margin),
        tuple(sorted(found, key=lambda lead: (lead.p, -abs(lead.pair.change)))),
    )


def side_by_side(first: Candidate, second: Candidate) -> Panel:
    """A panel of the two on the questions that both were asked, matched one to one by subject and id."""
    differences = first.panel.terms.differences(second.panel.terms)
    changed = [s for s, content in first.exams.items() if second.exams.get(s, content) != content]
    if changed:
        differences.append(f"another exam content in {listed(changed)}")
    if differences:
        raise NotComparable(first.label, second.label, differences)
    keys = ["subject", "question_id"]
    mine, theirs = (one.panel.questions[keys].reset_index(names="place") for one in (first, second))
    both = mine.merge(theirs, on=keys, validate="one_to_one", suffixes=("_first", "_second"))
    if both.empty:
        raise NotComparable(first.label, second.label, ["they share no question"])
    left, right = both["place_first"].to_numpy(), both["place_second"].to_numpy()
    if (first.panel.key[left] != second.panel.key[right]).any():
        raise NotComparable(first.label, second.label, ["another answer key for the same questions"])
    a, b = first.panel, second.panel
    known = a.logprob is not None and b.logprob is not None
    return replace(
        a,
        contestants=(*a.contestants, *b.contestants),
        questions=a.questions.iloc[left].reset_index(drop=True),
        asked=np.ones((2, left.size), dtype=bool),
        correct=np.stack([a.correct[0, left], b.correct[0, right]]),
        picked=np.stack([a.picked[0, left], b.picked[0, right]]),
        logprob=np.stack([a.logprob[0, left], b.logprob[0, right]]) if known else None,  # type: ignore[index]
    )
