"""A judge measured by its own verdicts: is it consistent, does length or the first place decide, do two agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.data.judged import JudgedRun, Judgement
from analysis.stats.agreement import jackknife, kappa, kappa_of_ratings, rank_correlation
from analysis.stats.intervals import Interval
from analysis.stats.points import mean_points, sign_p
from proctor.contestants import Contestant
from proctor.exams.judging.verdicts import LEAST, MOST, Better, Preferred

Key = tuple[str, str, str, int]  # benchmark, subject, question id, turn
NOTHING = Interval(float("nan"), float("nan"), float("nan"))
EVEN = 0.5  # of two answers, what blind chance prefers


@dataclass(frozen=True, eq=False)
class Bench:
    """One judge on one candidate, or on one pair, over all subjects of a benchmark."""

    benchmark: str
    judge: Contestant
    prompts: str
    candidates: tuple[Contestant, ...]
    runs: tuple[JudgedRun, ...]

    @property
    def in_pairs(self) -> bool:
        return len(self.candidates) > 1

    @cached_property
    def by_key(self) -> dict[Key, Judgement]:
        """Every turn that was to be judged."""
        return {
            (run.benchmark, run.subject, one.question_id, one.turn): one for run in self.runs for one in run.judgements
        }

    @cached_property
    def judged(self) -> dict[Key, Judgement]:
        """The turns that have a verdict."""
        return {key: one for key, one in self.by_key.items() if one.is_judged}

    @property
    def asked_again(self) -> int:
        return sum(run.asked_again for run in self.runs)

    @property
    def questions(self) -> int:
        return sum(len(run.points) for run in self.runs)

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Of the questions all of whose turns are judged, from 0 to 1."""
        return np.array([one for run in self.runs for one in run.points if one is not None], dtype=np.float64)

    @property
    def unjudged(self) -> int:
        """Turns without a verdict."""
        return len(self.by_key) - len(self.judged)


@dataclass(frozen=True)
class Grades:
    """A judge's ratings of one candidate."""

    rating: Interval  # from 1 to 10, over questions
    by_turn: tuple[float, ...]  # mean rating of each turn
    usual: float  # the rating that it gives most often
    usual_share: float
    with_length: Interval  # rank correlation of rating and length
    with_number: tuple[float, int] | None  # mean rating of answers that have the reference's number, and how many
    without_number: tuple[float, int] | None


@dataclass(frozen=True)
class Pairs:
    """A judge's verdicts on one pair, of which the first is the candidate."""

    won: Interval  # share of the candidate, half of what is no win, over questions
    p: float  # of no difference
    counts: Counter[Preferred]
    consistent: Interval  # same verdict in both orders
    first_place: Interval  # of single verdicts that are no ties: for the answer shown first
    longer: Interval  # of these, where lengths differ: for the longer answer
    with_number: Interval  # where one answer alone has the reference's number: for that
    with_number_of: int  # single verdicts that this is of


@dataclass(frozen=True)
class Agreement:
    """Two judges on the same replies, those of all candidates that both judged."""

    benchmark: str
    one: Contestant
    other: Contestant
    in_pairs: bool
    candidates: tuple[tuple[Contestant, ...], ...]
    turns: int
    same: float  # share of equal verdicts; of ratings, when rounded
    kappa: Interval
    difference: float | None  # of ratings, mean of the other's minus the one's


@dataclass(frozen=True, eq=False)
class Judged:
    """All that judges said, put together."""

    benches: tuple[Bench, ...] = field(default=())

    @property
    def graded(self) -> tuple[Bench, ...]:
        return tuple(one for one in self.benches if not one.in_pairs)

    @property
    def paired(self) -> tuple[Bench, ...]:
        return tuple(one for one in self.benches if one.in_pairs)


def benches_of(runs: Sequence[JudgedRun]) -> Judged:
    """Runs of one judge on the same candidates together; of two on one subject the later counts."""
    grouped: dict[tuple[str, Contestant, str, tuple[Contestant, ...]], dict[str, JudgedRun]] = {}
    for run in runs:
        key = run.benchmark, run.judge, run.prompts, run.candidates
        grouped.setdefault(key, {})[run.subject] = run
    return Judged(tuple(Bench(*key, tuple(theirs.values())) for key, theirs in grouped.items()))


def grades(bench: Bench) -> Grades:
    """The ratings of a judge that rates."""
    told = list(bench.judged.values())
    ratings = np.array([one.rating for one in told], dtype=np.float64)
    turns = sorted({one.turn for one in bench.by_key.values()})
    points = mean_points(bench.points) if bench.points.size else NOTHING
    common = Counter(ratings.tolist()).most_common(1)
    usual, often = common[0] if common else (float("nan"), 0)
    has = [(one.rating or 0.0, one.has_number[0]) for one in told if one.has_number is not None]
    return Grades(
        Interval(MOST * points.estimate, float(np.maximum(LEAST, MOST * points.low)), MOST * points.high),
        tuple(_mean(ratings[[one.turn == turn for one in told]]) for turn in turns),
        usual,
        often / len(told) if told else float("nan"),
        with_length([bench]),
        _group([rating for rating, right in has if right]),
        _group([rating for rating, right in has if not right]),
    )


def with_length(benches: Sequence[Bench]) -> Interval:
    """The rank correlation of rating and length over all candidates that one judge rated, with its interval.

    Within one candidate lengths may hardly differ; between two they often do.
    """
    told = [(key, one) for bench in benches for key, one in bench.judged.items() if one.rating is not None]
    ratings = np.array([one.rating for _, one in told], dtype=np.float64)
    lengths = np.array([one.lengths[0] for _, one in told], dtype=np.float64)
    return jackknife(lambda kept: rank_correlation(ratings[kept], lengths[kept]), [key[:3] for key, _ in told])


def pairs(bench: Bench) -> Pairs:
    """The verdicts of a judge that compares."""
    told = bench.judged
    single = [(key, one, *shown) for key, one in told.items() for shown in _single(one)]
    apart = [
        (key, won == (one.lengths[0] > one.lengths[1])) for key, one, won, _ in single if len(set(one.lengths)) > 1
    ]
    numbers = [
        (key, won == one.has_number[0])
        for key, one, won, _ in single
        if one.has_number is not None and one.has_number[0] != one.has_number[1]
    ]
    points = bench.points
    return Pairs(
        mean_points(points) if points.size else NOTHING,
        sign_p(points - EVEN),
        Counter(one.preferred for one in bench.by_key.values() if one.preferred is not None),
        _share((key, one.preferred is not Preferred.INCONSISTENT) for key, one in told.items()),
        _share((key, first) for key, _, _, first in single),
        _share(apart),
        _share(numbers),
        len(numbers),
    )


def agreements(judged: Judged) -> list[Agreement]:
    """Every two judges who rated, or compared, the same replies."""
    found: dict[tuple[str, Contestant, str, bool], list[Bench]] = {}
    for bench in judged.benches:
        found.setdefault((bench.benchmark, bench.judge, bench.prompts, bench.in_pairs), []).append(bench)
    agreed = []
    for (one, mine), (other, theirs) in combinations(found.items(), 2):
        if (one[0], one[3]) != (other[0], other[3]):
            continue
        both = [
            (a, b) for a in mine for b in theirs if a.candidates == b.candidates and a.judged.keys() & b.judged.keys()
        ]
        if both:
            agreed.append(_agreement(both))
    return agreed


def _agreement(both: Sequence[tuple[Bench, Bench]]) -> Agreement:
    told = [(key[:3], a.judged[key], b.judged[key]) for a, b in both for key in a.judged if key in b.judged]
    clusters: list[Hashable] = [key for key, _, _ in told]
    one, other = both[0]
    candidates = tuple(bench.candidates for bench, _ in both)
    about = (one.benchmark, one.judge, other.judge, one.in_pairs, candidates, len(told))
    if one.in_pairs:
        mine, theirs = [a.preferred for _, a, _ in told], [b.preferred for _, _, b in told]
        same = sum(a is b for a, b in zip(mine, theirs, strict=True)) / len(told)

        def of_verdicts(kept: NDArray[np.bool_]) -> float:
            chosen = np.flatnonzero(kept).tolist()
            return kappa([mine[place] for place in chosen], [theirs[place] for place in chosen])

        return Agreement(*about, same, jackknife(of_verdicts, clusters), None)
    first = np.array([a.rating for _, a, _ in told], dtype=np.float64)
    second = np.array([b.rating for _, _, b in told], dtype=np.float64)
    same = float((np.rint(first) == np.rint(second)).mean())
    weighted = jackknife(lambda kept: kappa_of_ratings(first[kept], second[kept]), clusters)
    return Agreement(*about, same, weighted, float((second - first).mean()))


def _share(flags: Iterable[tuple[Key, bool]]) -> Interval:
    """How often these hold, as the mean over questions of a question's own share, with its interval."""
    by_question: dict[Hashable, list[bool]] = {}
    for key, holds in flags:
        by_question.setdefault(key[:3], []).append(holds)
    means = np.array([sum(some) / len(some) for some in by_question.values()], dtype=np.float64)
    return mean_points(means) if means.size else NOTHING


def _single(one: Judgement) -> list[tuple[bool, bool]]:
    """Of each verdict that is no tie: whether the candidate won, and whether the answer shown first did."""
    found = []
    for swapped, verdict in zip((False, True), one.verdicts or (), strict=False):
        if verdict in (Better.FIRST, Better.SECOND):
            first = verdict is Better.FIRST
            found.append((first is not swapped, first))
    return found


def _group(ratings: Sequence[float]) -> tuple[float, int] | None:
    return (sum(ratings) / len(ratings), len(ratings)) if ratings else None


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
