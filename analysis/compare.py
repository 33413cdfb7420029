"""Two contestants compared question by question, wherever their Answers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import chain

import numpy as np

from analysis.contestants import Contestant, labels
from analysis.findings import listed
from analysis.frames import results_of
from analysis.panel import Panel
from analysis.stats.families import benjamini_hochberg
from analysis.stats.paired import Paired, pair_up
from analysis.stats.verdict import Verdict, judge
from proctor.errors import BadInput, UnknownName
from proctor.nouns import Lane, Quant
from proctor.store.reads import progress, runs
from proctor.store.session import Store


class NotComparable(BadInput):
    """Two contestants that didn't sit the same exam under the same terms; the differences are named."""

    def __init__(self, first: str, second: str, differences: Sequence[str]) -> None:
        self.first, self.second, self.differences = first, second, tuple(differences)
        super().__init__(
            f"{first} and {second} can't be compared: {listed(self.differences, most=6)}.",
            "Run both under the same terms, or name the sweeps with --sweep.",
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """One contestant's Answers under one set of terms. `exams` maps subjects to content hashes where known."""

    label: str
    panel: Panel  # of this contestant alone
    exams: Mapping[str, str] = field(default_factory=dict)


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


def match(contestants: Sequence[Contestant], wanted: str) -> int:
    """The place of the contestant that a person means.

    By its label, its model's name, `MODEL:QUANT`, or the quantization alone where there is one model. A model's name
    means its least quantized contestant. Upper and lower case don't count.

    Raises
    ------
    UnknownName
        with the nearest names.
    """
    aliases: dict[str, int] = {}
    order = sorted(range(len(contestants)), key=lambda place: contestants[place].quant != Quant.NONE.value)
    names = labels(contestants)
    single = len({contestant.model for contestant in contestants}) == 1
    for place in order:
        one = contestants[place]
        short = one.model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")
        own = [names[place], f"{one.model}:{one.quant}", f"{short}:{one.quant}", one.model, short]
        for alias in (*own, *([one.quant] if single else [])):
            aliases.setdefault(alias.casefold(), place)
    if wanted.casefold() not in aliases:
        near = get_close_matches(wanted.casefold(), aliases, n=3, cutoff=0.5)
        offered = list(dict.fromkeys(names[aliases[alias]] for alias in near))
        raise UnknownName("contestant", wanted, offered, f"There are: {listed(names, most=12)}.")
    return aliases[wanted.casefold()]


def candidate_of_sweeps(store: Store, sweep_ids: Sequence[int], wanted: str) -> Candidate:
    """The contestant that a person means in these sweeps; no other's Runs and Answers are read.

    Raises
    ------
    UnknownName
        where nobody of that name has answered anything.
    BadInput
        where its Runs differ among themselves in type or terms, so that they are no one contestant.
    """
    answered = [run for sweep_id in sweep_ids for run in progress(store, sweep_id).runs if run.answered]
    lanes = list(dict.fromkeys(run.lane for run in answered))
    if not lanes:
        raise BadInput("None of these Runs has an answer yet.", "See how far they are with: proctor status")
    contestants = [_of_lane(lane) for lane in lanes]
    place = match(contestants, wanted)
    label = labels(contestants)[place]
    results = results_of(store, runs(store, sweep_ids, [run.run_id for run in answered if run.lane == lanes[place]]))
    panel, *others = results.panels
    if others or len(panel.contestants) > 1:
        kinds = [f"{who.dtype} at {one.terms}" for one in results.panels for who in one.contestants]
        raise BadInput(f"{label} ran in several ways: {listed(kinds)}.", "Name one sweep with --sweep.")
    return Candidate(label, panel, {record.spec.subject: record.spec.exam_hash for record in results.records})


def candidate_of_panel(panel: Panel, wanted: str) -> Candidate:
    """The contestant that a person means in an imported panel."""
    place = match(panel.contestants, wanted)
    return Candidate(panel.labels[place], panel.of([place]))


def _of_lane(lane: Lane) -> Contestant:
    name, _, revision = lane.model.rpartition("@")
    return Contestant(name or revision, revision if name else "", lane.quant.value, lane.device.value)


def distinct(first: Candidate, second: Candidate, sweeps: Sequence[str]) -> tuple[Candidate, Candidate]:
    """The two with their sweeps' names behind their own where those are the same."""
    if first.label != second.label:
        return first, second
    behind = list(chain(sweeps, ("first", "second")))[:2] if len(sweeps) < 2 else list(sweeps[:2])
    return (
        replace(first, label=f"{first.label} ({behind[0]})"),
        replace(second, label=f"{second.label} ({behind[1]})"),
    )
