"""Stored replies, judged again from what is stored: nothing is generated. Above the store and the exams alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from proctor.errors import UnknownName
from proctor.exams.judging.chains import Outcome
from proctor.exams.judging.fared import fared
from proctor.exams.judging.marking import Result, headline_outcome, mark_by, results
from proctor.exams.judging.metrics import KNOWN_LATER, OF_PROGRAMS, summary_of, summed_up
from proctor.exams.judging.patterns import PatternTooSlow
from proctor.exams.judging.programs import wanted_of
from proctor.exams.judging.repeats import PICKS, Repeats, chains_of_one, each_reply, passed_of
from proctor.exams.judging.sets import mean
from proctor.exams.tasks.form import Chain, Form, Headline, Metric, read_form
from proctor.nouns.exams import Exchange, Mark, Question, Scoring, Write
from proctor.nouns.runs import Fared
from proctor.store.database.session import Store
from proctor.store.reads.records import SweepProgress
from proctor.store.reads.replies import WrittenAnswer, WrittenRun, written_runs

WRITTEN = (Scoring.WRITTEN, Scoring.OPEN)


@dataclass(frozen=True)
class Figure:
    """What a metric says of all answers of a Run on one filter chain, and how they fared in it."""

    chain: str
    metric: str
    value: float
    points: tuple[float, ...]  # of each answer; empty where the value isn't their mean
    fared: Fared


@dataclass(frozen=True)
class Counted:
    """Of each question how many of its replies have all points (None: not known), and points of the vote of all."""

    replies: int
    passed: tuple[int | None, ...]
    voted: tuple[float, ...]  # empty where there is no vote


@dataclass(frozen=True)
class Changed:
    """An answer that is marked in another way than it stands in the database."""

    question: Question
    before: tuple[float, str | None]  # points, extracted
    after: tuple[float, str | None]


def by_chain(form: Form, chain: str) -> Form:
    """The form with the headline's metric on another filter chain; "" leaves it as it is.

    Raises `UnknownName` where it has no such chain, or doesn't compute that metric on it.
    """
    if not chain:
        return form
    metric = form.headline.metric
    of = [one.chain for one in form.metrics if one.name == metric]
    known = [one.name for one in form.chains if {"", one.name} & set(of)]
    if chain not in known:
        near = f"There are {', '.join(known)}."
        raise UnknownName(f"filter of {form.source.task or 'the exam'}", chain, [], near)
    return replace(form, headline=Headline(metric, chain))


def runs_programs(form: Form) -> bool:
    """Whether a headline is known only once programs have run."""
    return form.headline.metric in OF_PROGRAMS


def outcomes(run: WrittenRun) -> list[Outcome]:
    """What the filter chain by which a Run is marked makes of the replies to each question."""
    form = by_chain(read_form(run.form), run.judged_by)
    return [headline_outcome(form, one.question, exchanges_of(one)) for one in run.answers]


def with_counts(store: Store, progress: SweepProgress) -> SweepProgress:
    """The progress of a sweep with how the written answers of each Run fared; their replies are read for it."""
    written = [run.run_id for run in progress.runs if run.scoring in WRITTEN and run.answered]
    if not written:
        return progress
    counts = {run.run_id: _fared(run) for run in written_runs(store, written)}
    return replace(progress, runs=tuple(replace(run, fared=counts.get(run.run_id)) for run in progress.runs))


def _fared(run: WrittenRun) -> Fared | None:
    try:
        return fared(zip(outcomes(run), (one.points for one in run.answers), strict=True))
    except PatternTooSlow:  # the Run failed of it, and says so
        return None


def figures(run: WrittenRun) -> Iterator[Figure]:
    """All metrics on all filter chains of a Run, chains in the form's order. Raises as `marking.results`."""
    form = read_form(run.form)
    judged = [results(form, one.question, exchanges_of(one)) for one in run.answers]
    for column in zip(*judged, strict=True):
        yield _figure(form, column)


def marks(run: WrittenRun, chain: str = "") -> list[Mark]:
    """The mark of each answer by the headline of its form, or by another filter chain. Raises as `marking.mark`."""
    form = by_chain(read_form(run.form), chain)
    return [mark_by(form, one.question, exchanges_of(one)) for one in run.answers]


def changed(run: WrittenRun, marked: Sequence[Mark]) -> list[Changed]:
    """The answers whose points or extracted text are others by these marks."""
    pairs = [
        Changed(one.question, (one.points, one.extracted), (mark.points, mark.extracted))
        for one, mark in zip(run.answers, marked, strict=True)
    ]
    return [one for one in pairs if one.before != one.after]


def repeated(run: WrittenRun) -> Iterator[Repeats]:
    """The replies one by one, on each filter chain; nothing where a question has one. Raises as `marking.mark`."""
    form = read_form(run.form)
    if form.repeats == 1 or form.headline.metric in KNOWN_LATER:
        return
    for chain in chains_of_one(form):
        each = [each_reply(form, chain, one.question, exchanges_of(one)) for one in run.answers]
        passed, voted = zip(*each, strict=True)
        yield Repeats(chain.name, form.headline.metric, passed, voted)


def repeats_that_count(run: WrittenRun) -> Counted | None:
    """How many replies to each question have all points by the filter that marks the Run, and what they vote for.

    None where a question has one reply. What programs did is told from the points that they were given.
    """
    form = by_chain(read_form(run.form), run.judged_by)
    if form.repeats == 1 or form.headline.metric in KNOWN_LATER - OF_PROGRAMS:
        return None
    if runs_programs(form):
        k = wanted_of(next(one for one in form.metrics if one.name == form.headline.metric))
        told = [
            passed_of(one.points, form.repeats, k) if one.extracted is not None and isinstance(k, int) else None
            for one in run.answers
        ]
        return Counted(form.repeats, tuple(told), ())
    chosen = tuple(step for one in form.chains if one.name == form.headline.chain for step in one.steps)
    chain = Chain(form.headline.chain, tuple(step for step in chosen if step.function not in PICKS))
    each = [each_reply(form, chain, one.question, exchanges_of(one)) for one in run.answers]
    return Counted(form.repeats, tuple(sum(passed) for passed, _ in each), tuple(voted[-1] for _, voted in each))


def exchanges_of(answer: WrittenAnswer) -> list[Exchange]:
    """The replies as the exchanges that they were; what was asked is not stored, and judges nothing."""
    return [Exchange(Write(""), reply) for reply in answer.replies]


def _figure(form: Form, column: Sequence[Result]) -> Figure:
    metric: Metric = column[0].metric
    points = tuple(one.worth.points for one in column)
    items = [one.worth.item for one in column]
    averaged = summary_of(form.kind, metric) is mean and points == tuple(items)
    judged = [(one.outcome, one.worth.points) for one in column if one.outcome is not None]
    value = summed_up(form.kind, metric, items)
    return Figure(column[0].chain, metric.name, value, points if averaged else (), fared(judged))
