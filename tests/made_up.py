"""Two made-up benchmarks with written answers: sums, and a question that is asked on in a second turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from proctor.errors import QuestionTooLong
from proctor.exams.benchmarks.base import Benchmark, Examinee, ExamSet, put
from proctor.exams.reading.assembly import Splits, assemble
from proctor.exams.reading.questions import Draft
from proctor.exams.reading.subjects import select
from proctor.nouns.conversations import Sampling
from proctor.nouns.exams import Answer, Ask, Conditions, Exam, Exchange, Mark, Question, Reply, Write, Written

NUMBER = re.compile(r"-?\d+")
LAST_LINE = Sampling(temperature=0.0, stop=("\n",), max_tokens=32)
EXAMINEE = Examinee(count_tokens=len, window_tokens=10_000)


def rows(subjects: Sequence[str]) -> ExamSet:
    """Sums of one and of two digits: 8 test questions a subject, and 2 to be shown."""
    splits = {}
    for subject in select(subjects, ("one_digit", "two_digits")):
        step = 1 if subject == "one_digit" else 11
        drafts = [_draft(subject, step * n, step * (n + 1)) for n in range(1, 11)]
        splits[subject] = Splits(dev=drafts[:2], test=drafts[2:])
    exams, notes = assemble("sums", splits)
    return ExamSet("sums", "sums-1.0", exams, notes)


def ask(
    exam: Exam, question: Question, conditions: Conditions, examinee: Examinee, so_far: Sequence[Exchange]
) -> Write | None:
    """One Write, after as many solved sums as fit into the window."""
    if so_far:
        return None
    for shots in range(conditions.shots, -1, -1):
        solved = "".join(f"{shot.text} {shot.reference}\n" for shot in exam.dev[:shots])
        text = f"{solved}{question.text}"
        tokens = examinee.count_tokens(text)
        if tokens <= examinee.window_tokens:
            return Write(text, LAST_LINE, shots)
    raise QuestionTooLong(exam.benchmark, exam.subject, question.index, tokens, examinee.window_tokens)


def mark(_exam: Exam, question: Question, exchanges: Sequence[Exchange]) -> Mark:
    """The first number of the reply, equal to the reference."""
    return _mark([question.reference], exchanges)


def ask_twice(
    exam: Exam, question: Question, conditions: Conditions, examinee: Examinee, so_far: Sequence[Exchange]
) -> Write | None:
    """The sum, then each turn behind all that was said before it."""
    if not so_far:
        return ask(exam, question, conditions, examinee, so_far)
    if len(so_far) > len(question.turns):
        return None
    last = so_far[-1]
    assert isinstance(last.reply, Written)
    return Write(f"{last.ask.text}{last.reply.text}\n{question.turns[len(so_far) - 1]}", LAST_LINE)


def mark_twice(_exam: Exam, question: Question, exchanges: Sequence[Exchange]) -> Mark:
    """Half of the points a turn: the second asks for the double of the first."""
    return _mark([question.reference, str(2 * int(question.reference))], exchanges)


def rows_twice(subjects: Sequence[str]) -> ExamSet:
    """The same sums, each with a second turn."""
    splits = {}
    for subject in select(subjects, ("one_digit",)):
        drafts = [_draft(subject, n, n + 1, turns=("Twice that is",)) for n in range(1, 5)]
        splits[subject] = Splits(test=drafts)
    exams, notes = assemble("twice", splits)
    return ExamSet("twice", "twice-1.0", exams, notes)


SUMS = Benchmark("sums", "sums-1.0", Write, rows, ask, mark)
TWICE = Benchmark("twice", "twice-1.0", Write, rows_twice, ask_twice, mark_twice)


def sit(
    benchmark: Benchmark, exam: Exam, question: Question, conditions: Conditions, reply: Callable[[Ask], Reply]
) -> Answer:
    """Ask until nothing is left to ask, then mark."""
    exchanges: list[Exchange] = []
    while (one := benchmark.ask(exam, question, conditions, EXAMINEE, tuple(exchanges))) is not None:
        exchanges.append(Exchange(one, reply(one)))
    return benchmark.judged(exam, put(question, exchanges[0].ask), exchanges)


def _draft(subject: str, one: int, other: int, turns: tuple[str, ...] = ()) -> Draft:
    return Draft(subject, f"{one} + {other} =", reference=str(one + other), turns=turns)


def _mark(wanted: Sequence[str], exchanges: Sequence[Exchange]) -> Mark:
    texts = [exchange.reply.text for exchange in exchanges if isinstance(exchange.reply, Written)]
    found = [match.group() if (match := NUMBER.search(text)) else None for text in texts]
    if found[-1] is None:
        return Mark(0.0)
    right = sum(one == other for one, other in zip(found, wanted, strict=True))
    return Mark(right / len(wanted), extracted=found[-1])
