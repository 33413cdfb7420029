"""Two contestants compared question by question, wherever their Answers come from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.data.groups import differences
from analysis.data.panel import Panel
from analysis.data.phrases import counted, listed
from analysis.data.shots import short_of_shots, shots_range
from analysis.data.terms import UNKNOWN, Condition, Terms
from analysis.stats.families import benjamini_hochberg
from analysis.stats.paired import Paired
from analysis.stats.points import SAME, pair_marks
from analysis.stats.verdict import Verdict, judge
from analysis.verdicts.candidates import Candidate
from analysis.verdicts.same_prompts import Alike, alike, share_a_template
from proctor.errors import BadInput

Places = NDArray[np.int64]  # (Q,) of questions in a panel


class NotComparable(BadInput):
    """Two contestants that didn't sit the same exam under the same terms; the differences are named."""

    def __init__(
        self, first: str, second: str, differences: Sequence[str], conditions: Collection[Condition] = ()
    ) -> None:
        self.first, self.second, self.differences = first, second, tuple(differences)
        named = " ".join(f"--across {one}" for one in conditions)
        super().__init__(
            f"{first} and {second} can't be compared: {listed(self.differences, most=6)}.",
            "Run both under the same terms, or name the sweeps with --sweep."
            + (f" To compare the conditions themselves, say {named}." if named else ""),
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
    prompts: Alike  # on the questions of `panel`
    notes: tuple[str, ...]  # what else the verdict stands on, in words
    terms: str  # how the questions were put: to each, where a comparison is across conditions

    @property
    def lost(self) -> list[int]:
        """Places of the questions on which the first has more points: those that only it has right."""
        return [int(place) for place in np.flatnonzero(self.panel.marks[0] > self.panel.marks[1] + SAME)]

    @property
    def gained(self) -> list[int]:
        """Places of the questions on which the second has more points."""
        return [int(place) for place in np.flatnonzero(self.panel.marks[1] > self.panel.marks[0] + SAME)]


def named_across(first: Candidate, second: Candidate, across: Collection[Condition]) -> tuple[Candidate, Candidate]:
    """The two, each with the conditions in which they differ in its label: `One (0 shots)` and `One (5 shots)`.

    Raises
    ------
    BadInput
        where one of these conditions is known to be the same for both.
    """
    mine, theirs = first.panel.terms, second.panel.terms
    apart = mine.apart(theirs)
    for one in across:
        if one not in apart and one is not Condition.PROMPTS and mine.knows(one) and theirs.knows(one):
            raise BadInput(
                f"{first.label} and {second.label} don't differ in {one}: {mine.said(one)}, both.",
                f"Leave --across {one} away.",
            )
    named = [one for one in apart if one in across]
    if not named:
        return first, second
    said = [", ".join(terms.said(one) for one in named) for terms in (mine, theirs)]
    return (
        replace(first, label=f"{first.label} ({said[0]})"),
        replace(second, label=f"{second.label} ({said[1]})"),
    )


def compare(first: Candidate, second: Candidate, margin: float, across: Collection[Condition] = ()) -> Comparison:
    """Judge the second against the first. The conditions in `across` may differ, and so may prompts then.

    Raises
    ------
    BadInput
        where the two are one.
    NotComparable
        where terms or exams differ, or they share no question, or none in the same prompt.
    """
    mine, theirs = ((one.source, one.sweep_id, one.panel.terms, one.panel.contestants) for one in (first, second))
    if mine == theirs:
        raise BadInput(
            f"{first.label} and {second.label} are the same Answers of {first.source}.",
            "Name another contestant of it, or the two sweeps with --sweep.",
        )
    everything = side_by_side(first, second, across)
    whole = everything.on(everything.common)
    if whole.questions.empty:
        shown = " against ".join(shots_range(everything.of([place])) for place in (0, 1))
        raise NotComparable(first.label, second.label, [f"{shown} shots shown, on no question as many"])
    prompts = alike(whole, 0, 1)
    kept = np.ones(prompts.equal.size, dtype=bool) if across else _same_prompts(first, second, prompts)
    panel, prompts, left_out = whole.on(kept), prompts.on(kept), int((~kept).sum())
    leads = [
        (subject, pair_marks(panel.marks[0, here], panel.marks[1, here]))
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
        prompts,
        (*_shots_notes(everything, panel), *_notes(first, second, prompts, left_out, across)),
        _terms_words(first.panel.terms, second.panel.terms, across),
    )


def _terms_words(first: Terms, second: Terms, across: Collection[Condition]) -> str:
    if any(one in across for one in first.apart(second)):
        return f"{first}, against {second}"
    return str(second if first.imported else first)


def side_by_side(first: Candidate, second: Candidate, across: Collection[Condition] = ()) -> Panel:
    """A panel of the two on the questions that both were asked, matched one to one by subject and id."""
    found = differences(first.panel, second.panel, across)
    apart = first.panel.terms.apart(second.panel.terms)
    if found:
        conditions_alone = len(found) == len([one for one in apart if one not in across])
        raise NotComparable(first.label, second.label, found, list(apart) if conditions_alone else ())
    keys = ["subject", "question_id"]
    mine, theirs = (one.panel.questions[keys].reset_index(names="place") for one in (first, second))
    both = mine.merge(theirs, on=keys, validate="one_to_one", suffixes=("_first", "_second"))
    if both.empty:
        raise NotComparable(first.label, second.label, ["they share no question"])
    left, right = both["place_first"].to_numpy(), both["place_second"].to_numpy()
    if (first.panel.key[left] != second.panel.key[right]).any():
        raise NotComparable(first.label, second.label, ["another answer key for the same questions"])
    a, b = first.panel, second.panel
    terms = b.terms if a.terms.imported else a.terms
    return replace(
        a,
        terms=replace(terms, scoring=UNKNOWN) if Condition.SCORING in apart else terms,
        contestants=(*a.contestants, *b.contestants),
        names=(first.label, second.label),
        questions=a.questions.iloc[left].reset_index(drop=True),
        asked=np.ones((2, left.size), dtype=bool),
        correct=np.stack([a.correct[0, left], b.correct[0, right]]),
        picked=np.stack([a.picked[0, left], b.picked[0, right]]),
        points=np.stack([a.marks[0, left], b.marks[0, right]]) if a.graded or b.graded else None,
        answered=~np.stack([a.silent[0, left], b.silent[0, right]]),
        logprob=None if a.logprob is None or b.logprob is None else _stacked(a.logprob[0, left], b.logprob[0, right]),
        prompt=None if a.prompt is None or b.prompt is None else np.stack([a.prompt[0, left], b.prompt[0, right]]),
        shots=None if Condition.SHOTS in across else _shots(a, b, left, right),
        replies=None if a.replies is None or b.replies is None else a.replies.beside(b.replies, left, right),
        exams={**b.exams, **a.exams},
        runs={**b.runs, **a.runs},
    )


def _shots(first: Panel, second: Panel, left: Places, right: Places) -> NDArray[np.int8] | None:
    """(2, Q) shots shown, as many as the terms say where they aren't known one by one; None where nothing says it."""
    shown = [
        np.full(places.size, panel.terms.shots, dtype=np.int8) if panel.shots is None else panel.shots[0, places]
        for panel, places in ((first, left), (second, right))
        if panel.shots is not None or panel.terms.shots is not None
    ]
    return np.stack(shown) if len(shown) == 2 else None


def _stacked(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2, Q, K) of two (Q, K), of which one may know questions with more options than the other."""
    widest = max(first.shape[1], second.shape[1])
    both = np.full((2, len(first), widest), -np.inf, dtype=np.float32)
    both[0, :, : first.shape[1]], both[1, :, : second.shape[1]] = first, second
    return both


def _same_prompts(first: Candidate, second: Candidate, prompts: Alike) -> NDArray[np.bool_]:
    """The questions (Q,) to compare. Of imported results, only the prompts say whether the conditions agree.

    Where both used a chat template, which is a model's own, or both are ours under the same terms, all questions are
    compared, whatever their prompts.
    """
    terms = first.panel.terms, second.panel.terms
    templates = all(one.chat_template for one in terms)
    if templates or not any(one.imported for one in terms) or not prompts.others:
        return np.ones(prompts.equal.size, dtype=bool)
    if not prompts.equals:
        found = f"another prompt on {_of(prompts.others, prompts.equal.size)}"
        raise NotComparable(first.label, second.label, [found], [Condition.PROMPTS])
    return prompts.equal


def _shots_notes(everything: Panel, panel: Panel) -> Iterator[str]:
    """Questions left out since the two were shown other numbers of shots, and those that both were shown fewer of."""
    other = int((~everything.common).sum())
    if other:
        apart = everything.on(~everything.common)
        shown = listed([f"{name} {shots_range(apart.of([place]))}" for place, name in enumerate(apart.labels)])
        yield f"{counted(other, 'question')} left out: put after another number of shots ({shown}), as windows held"
    short = int(short_of_shots(panel)[0])
    if short:
        few = panel.on(np.asarray(panel.shots_short[0]))
        yield f"{shots_range(few)} shots instead of {panel.terms.shots} on {_of(short, len(panel.questions))}, for both"


def _notes(
    first: Candidate, second: Candidate, prompts: Alike, left_out: int, across: Collection[Condition]
) -> list[str]:
    terms = first.panel.terms, second.panel.terms
    size = prompts.equal.size
    notes = [f"{one.label} is imported: {one.panel.terms}" for one in (first, second) if one.panel.terms.imported]
    if left_out:
        notes.append(f"{counted(left_out, 'question')} left out: not known to have been put in the same prompt")
    if notes and prompts.equals:
        notes.append(f"the same prompt, to the byte, on {_of(prompts.equals, size)} (SHA-256)")
    if prompts.others:
        why = f"compared across {listed(list(across))}" if across else _why(first, second, terms[0])
        notes.append(f"another prompt on {_of(prompts.others, size)}, {why}")
    if prompts.unknown:
        notes.append(f"prompts of {_of(prompts.unknown, size)} are not known: they may have been put in other words")
    return notes


def _why(first: Candidate, second: Candidate, terms: Terms) -> str:
    if share_a_template(first.panel.contestants[0], second.panel.contestants[0], terms):
        return "although the terms agree, such as by a date in a chat template: part of any difference may be theirs"
    return "as each model's chat template has it"


def _of(some: int, questions: int) -> str:
    return f"all {questions:,} questions" if some == questions else f"{some:,} of {questions:,} questions"
