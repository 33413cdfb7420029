"""What the replies to a question are worth by a form: its headline as a Mark, and all chains by all metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proctor.errors import BadExam, BadScores
from proctor.exams.judging import metrics
from proctor.exams.judging.chains import Outcome, made, through
from proctor.exams.judging.choices import checked
from proctor.exams.judging.replies import ReadReply, Standing, read
from proctor.exams.judging.worth import Worth
from proctor.exams.tasks.form import Chain, Form, Kind, Metric, read_form
from proctor.nouns.exams import Exam, Exchange, Mark, Question, Scored, Written


@dataclass(frozen=True)
class Result:
    """What one metric says of one question on one filter chain."""

    metric: Metric
    worth: Worth
    chain: str = ""  # "" where log-probabilities were asked for
    outcome: Outcome | None = None  # what the chain made of the replies; None as before

    @property
    def standing(self) -> Standing | None:
        """How the replies fared in the chain; None where log-probabilities were asked for."""
        return self.outcome.standing if self.outcome else None


def mark(exam: Exam, question: Question, exchanges: Sequence[Exchange]) -> Mark:
    """The mark by the headline of the exam's form. Nothing extracted is no answer and has no points.

    Nor is a program, as long as it hasn't been run (`proctor.exams.judging.programs`), nor what a judge alone can tell
    (`proctor.exams.judges`).

    Raises
    ------
    BadScores
        for replies that are none: of another kind than the form's, or no log-probabilities.
    BadExam
        for a form that this release can't judge by.
    """
    return mark_by(read_form(exam.form), question, exchanges)


def mark_by(form: Form, question: Question, exchanges: Sequence[Exchange]) -> Mark:
    """The mark by the headline of a form. Raises as `mark`."""
    head = form.headline
    metric = next(one for one in form.metrics if one.name == head.metric and one.chain in {"", head.chain})
    if form.kind is not Kind.WRITE:
        reply = _scored(form, question, exchanges)
        worth = metrics.of_scored(form.kind, metric, question, reply)
        return Mark(worth.points, worth.picked, correct_norm=_normed(form, question, reply))
    outcome = headline_outcome(form, question, exchanges)
    if outcome.extracted is None or metric.name in metrics.KNOWN_LATER:
        return Mark(0.0)
    return Mark(metrics.of_text(metric, question, outcome.text).points, extracted=outcome.extracted)


def results(form: Form, question: Question, exchanges: Sequence[Exchange]) -> tuple[Result, ...]:
    """All metrics on all chains that they are computed on, chains in the form's order. Raises as `mark`.

    A metric is given a fallback's text too, as lm-evaluation-harness does: these are the figures of its samples files.
    Metrics of programs, which would have to be run, and of judges are left out.
    """
    if form.kind is not Kind.WRITE:
        reply = _scored(form, question, exchanges)
        return tuple(Result(one, metrics.of_scored(form.kind, one, question, reply)) for one in form.metrics)
    outcomes = [_through(form, chain, question, exchanges) for chain in form.chains]
    return tuple(
        Result(metric, metrics.of_text(metric, question, outcome.text), outcome.chain, outcome)
        for outcome in outcomes
        for metric in form.metrics
        if metric.chain in {"", outcome.chain} and metric.name not in metrics.KNOWN_LATER
    )


def headline_outcome(form: Form, question: Question, exchanges: Sequence[Exchange]) -> Outcome:
    """What the headline's chain makes of the written replies. Raises as `mark`."""
    chain = next(one for one in form.chains if one.name == form.headline.chain)
    return _through(form, chain, question, exchanges)


def check(form: Form) -> None:
    """Raise `BadExam` where this release can't judge by a form: filters, metrics, summaries, their arguments.

    Regular expressions are tried, and refused where they explode.

    Raises `BadInput` where a library that a metric needs isn't installed.
    """
    for chain in form.chains:
        for step in chain.steps:
            made(step, probes=True)
    for metric in form.metrics:
        metrics.check(form.kind, metric)
    head = form.headline
    if not any(one.name == head.metric and one.chain in {"", head.chain} for one in form.metrics):
        raise BadExam(f"The headline's metric {head.metric!r} isn't computed on the chain {head.chain!r}.")


def _normed(form: Form, question: Question, reply: Scored) -> bool:
    if form.kind is not Kind.CHOOSE:
        return False
    return metrics.of_scored(form.kind, Metric("acc_norm"), question, reply).points == 1


def _scored(form: Form, question: Question, exchanges: Sequence[Exchange]) -> Scored:
    reply = exchanges[-1].reply
    if not isinstance(reply, Scored):
        raise BadScores(f"Question {question.index} ({question.id}) has a written reply where texts were to be scored.")
    return checked(question, reply, len(question.choices) if form.kind is Kind.CHOOSE else 1)


def read_replies(form: Form, question: Question, exchanges: Sequence[Exchange]) -> list[ReadReply]:
    """The written replies to a question, one a repeat, as filters see them. Raises `BadScores` where some lack."""
    written = [one.reply for one in exchanges if isinstance(one.reply, Written)]
    if len(written) < form.repeats:
        raise BadScores(
            f"Question {question.index} ({question.id}) has {len(written)} written replies of {form.repeats}."
        )
    return [read(reply, form.until, form.think_end) for reply in written[-form.repeats :]]


def _through(form: Form, chain: Chain, question: Question, exchanges: Sequence[Exchange]) -> Outcome:
    return through(chain, read_replies(form, question, exchanges), question)
