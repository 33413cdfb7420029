"""`/probe` of a question whose answer is written: what the model replies here, beside nowhere, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chat.client.client import TurnFailed
from chat.client.session import ChatSession
from proctor.errors import ProctorError
from proctor.exams.judging.marking import headline_outcome, mark_by
from proctor.exams.judging.references import right_texts
from proctor.exams.judging.replies import read
from proctor.exams.judging.thoughts import mark_in
from proctor.exams.tasks.asking import sampling_of
from proctor.exams.tasks.form import Form
from proctor.nouns.conversations import Finish, History
from proctor.nouns.exams import Exchange, Question, Write, Written
from proctor.written_answers import runs_programs

SHOWN = 8  # lines of a reply


@dataclass(frozen=True)
class WrittenProbe:
    """A question's replies in the conversation, and without it."""

    question: Question
    form: Form  # for one reply
    here: Written
    alone: Written


def probe_written(talk: ChatSession, question: Question, form: Form) -> WrittenProbe:
    """Have it answered twice, as its exam says. The conversation stays as it is. Raises `TurnFailed` as `score`."""
    of_one = replace(form, repeats=1)
    here, alone = (_write(talk, question, of_one, one) for one in (talk.reply_settings.history, History.OFF))
    return WrittenProbe(question, of_one, here, alone)


def as_message(question: Question, form: Form) -> str:
    """The question as it is put to the model: the exam's description before it, no examples."""
    return "\n\n".join(part for part in (form.description.strip(), question.text.strip()) if part)


def lines(found: WrittenProbe) -> list[str]:
    """The question, each reply in a few lines with what was read out of it and what that is worth, and the answer."""
    rows = [found.question.text.strip()]
    for name, reply in (("here", found.here), ("alone", found.alone)):
        said = read(reply, found.form.until, found.form.think_end).text.strip().splitlines()
        more = [f"… {len(said) - SHOWN} more lines"] if len(said) > SHOWN else []
        rows += [f"{name}: {_judged(found, reply)}", *(f"  {line}" for line in (*said[:SHOWN], *more))]
    if runs_programs(found.form):
        return rows
    return [*rows, f"the answer is {' or '.join(right_texts(found.question)[:4])}"]


def _judged(found: WrittenProbe, reply: Written) -> str:
    exchanges = [Exchange(Write(""), reply)]
    outcome = headline_outcome(found.form, found.question, exchanges)
    if runs_programs(found.form):
        return "a program, which nothing runs here"
    if outcome.extracted is None:
        return str(outcome.standing)
    points = mark_by(found.form, found.question, exchanges).points
    worth = {0.0: "wrong", 1.0: "right"}.get(points, f"{points:.0%} of the points")
    return f"{' '.join(outcome.extracted.split())[:60]!r} was read out: {worth}"


def _write(talk: ChatSession, question: Question, form: Form, history: History) -> Written:
    """One reply, stopped where what the model says has a stop string; a thought has none."""
    sampling = replace(sampling_of(form, 0), stop=())
    reply = talk.write(as_message(question, form), sampling, history)
    stopped = False
    for _ in reply.entries():
        so_far = Written(reply.text, think_end=mark_in(reply.text))
        if not stopped and any(stop in _spoken(so_far) for stop in form.until if stop):
            reply.stop()
            stopped = True
    ending = reply.ending
    if ending is None:
        raise ProctorError("The worker's answer has no end.")
    if ending.finish is Finish.FAILED:
        raise TurnFailed(ending)
    finish = Finish.LENGTH if ending.finish is Finish.LENGTH else Finish.STOP
    return Written(reply.text, (), finish, mark_in(reply.text))


def _spoken(reply: Written) -> str:
    return read(reply).text
