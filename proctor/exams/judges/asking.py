"""How a judge is asked, one verdict after the other, and what its replies amount to. Pure.

A question has a verdict a turn; in pairs two, one in each order. A reply without its last line is asked for once more;
what doesn't parse then is unjudged, which is counted and is neither 0 nor left out. What was asked follows from the
replies alone, so that stored ones are read again at any time (`found`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, TypeVar

from proctor.errors import BadInput, QuestionTooLong
from proctor.exams.benchmarks.base import Benchmark, Examinee, ExamSet, check_conditions
from proctor.exams.chat_prompts import Message
from proctor.exams.judges import prompts
from proctor.exams.judges.cases import Case, case_of
from proctor.exams.judging.replies import read
from proctor.exams.judging.verdicts import MOST, Better, Preferred, better, of_both_orders, rating
from proctor.nouns.conversations import Sampling
from proctor.nouns.exams import Conditions, Exam, Exchange, Mark, Question, Write, Written

T = TypeVar("T")
LONGEST = 1024  # tokens of a judge's reply
LEAST = 256  # that it must have room for
AGAIN = 64  # tokens of the line that was missing
WORTH = {Preferred.ONE: 1.0, Preferred.OTHER: 0.0, Preferred.TIE: 0.5, Preferred.INCONSISTENT: 0.5}


@dataclass(frozen=True)
class Slot:
    """One verdict that is asked for."""

    turn: int
    swapped: bool = False  # of a pair: the other answer is shown first


@dataclass(frozen=True)
class Found:
    """What a judge's replies to a question amount to, slot by slot."""

    ratings: tuple[float | None, ...] = ()  # one a turn; None: unjudged
    verdicts: tuple[tuple[Better | None, Better | None], ...] = ()  # of pairs, a turn: candidate first, other first
    asked_again: int = 0  # slots whose first reply had no last line

    @property
    def preferred(self) -> tuple[Preferred, ...]:
        """Of pairs, what both orders come to, a turn."""
        return tuple(of_both_orders(*both) for both in self.verdicts)

    @property
    def unjudged(self) -> int:
        """Turns without a rating, or without a verdict in both orders."""
        return sum(one is None for one in self.ratings) + sum(one is Preferred.UNJUDGED for one in self.preferred)

    @property
    def points(self) -> float | None:
        """The mean rating over 10, or the share won with half for what was no win; None where a turn is unjudged."""
        if self.unjudged:
            return None
        if self.verdicts:
            return fmean(WORTH[one] for one in self.preferred)
        return fmean(one for one in self.ratings if one is not None) / MOST


def slots(case: Case) -> tuple[Slot, ...]:
    """The verdicts on a case, in the order in which they are asked for."""
    orders = (False, True) if case.in_pairs else (False,)
    return tuple(Slot(turn, swapped) for turn in range(len(case.messages)) for swapped in orders)


def found(case: Case, texts: Sequence[str]) -> Found:
    """What a judge's replies to a case amount to; slots that it wasn't asked for count as unjudged."""
    wanted = len(slots(case))
    if not case.in_pairs:
        rated = _walked(texts, rating)
        return Found(ratings=rated.filled(wanted), asked_again=rated.again)
    told = _walked(texts, better)
    every = told.filled(wanted)
    return Found(verdicts=tuple(zip(every[::2], every[1::2], strict=True)), asked_again=told.again)


def texts_of(replies: Iterable[Written]) -> list[str]:
    """What a judge said, without what it thought by its own marks."""
    return [read(one).text for one in replies]


def ask(
    exam: Exam, question: Question, conditions: Conditions, examinee: Examinee, so_far: Sequence[Exchange]
) -> Write | None:
    """The next verdict that is asked for, or the last line of one that lacks it; None once all are there.

    Raises
    ------
    QuestionTooLong
        where one of the question's verdicts leaves the judge no room to reply; found before the first is asked for.
    BadInput
        for prompts in other words than this release's.
    """
    check_conditions(prompts.VERSION, conditions, examinee)
    if conditions.brief is None or conditions.brief.prompts != prompts.DIGEST:
        raise BadInput(
            "The judge is to be asked in words that aren't this release's.",
            "Use the release that the sweep was submitted with.",
        )
    case = case_of(question)
    wanted = slots(case)
    if not so_far:
        for slot in wanted:
            _check_room(exam, question, _asked(examinee, (_user(case, slot),)), examinee)
    texts = _texts(so_far)
    told = _walked(texts, better) if case.in_pairs else _walked(texts, rating)
    if len(told.values) == len(wanted):
        return None
    slot = wanted[len(told.values)]
    if told.missing is not None:
        return _again(case, slot, told.missing, examinee)
    text = _asked(examinee, (_user(case, slot),))
    return _write(text, min(LONGEST, examinee.window_tokens - examinee.count_tokens(text)))


def mark(_exam: Exam, question: Question, exchanges: Sequence[Exchange]) -> Mark:
    """The mark of the candidate's replies by the judge's; a turn unjudged, there is none: no answer, no points."""
    told = found(case_of(question), _texts(exchanges))
    if told.points is None:
        return Mark(0.0)
    said = [one.value for one in told.preferred] or [f"{one:g}" for one in told.ratings if one is not None]
    return Mark(told.points, extracted=", ".join(said))


def _no_rows(_subjects: Sequence[str]) -> ExamSet:
    raise BadInput("A judge's questions are replies that are stored.", "Name them: proctor judge SWEEP -m MODEL.")


JUDGE = Benchmark("judge", prompts.VERSION, Write, _no_rows, ask, mark)


@dataclass(frozen=True)
class _Walked(Generic[T]):
    """Replies gone through: the values of the slots that are over, and the reply of one that is to be asked again."""

    values: tuple[T | None, ...]
    missing: str | None
    again: int  # slots that were, or are to be

    def filled(self, wanted: int) -> tuple[T | None, ...]:
        """The values of so many slots, None of those that aren't over."""
        return (*self.values, *[None] * (wanted - len(self.values)))


def _walked(texts: Iterable[str], parse: Callable[[str], T | None]) -> _Walked[T]:
    values: list[T | None] = []
    missing: str | None = None
    again = 0
    for text in texts:
        value = parse(text)
        if value is None and missing is None:
            missing, again = text, again + 1
            continue
        values.append(value)
        missing = None
    return _Walked(tuple(values), missing, again)


def _again(case: Case, slot: Slot, reply: str, examinee: Examinee) -> Write:
    """Ask for the line alone, behind the reply that lacks it; without that where the two don't fit."""
    line = prompts.PAIR_AGAIN if case.in_pairs else prompts.GRADE_AGAIN
    behind = (_user(case, slot), Message("assistant", reply), Message("user", line))
    text = _asked(examinee, behind)
    if not reply.strip() or examinee.count_tokens(text) + AGAIN > examinee.window_tokens:
        text = _asked(examinee, (Message("user", f"{_user(case, slot).content}\n\n{line}"),))
    return _write(text, AGAIN)


def _user(case: Case, slot: Slot) -> Message:
    """The judge's prompt for a slot: both sides up to its turn, whose answers are the last."""
    until = slot.turn + 1
    messages, answers = case.messages[:until], case.answers[:until]
    if not case.in_pairs:
        return Message("user", prompts.grade(messages, answers, case.references[:until]))
    others = case.others[:until]
    first, second = (others, answers) if slot.swapped else (answers, others)
    return Message("user", prompts.pair(messages, first, second, case.references[:until]))


def _asked(examinee: Examinee, messages: Sequence[Message]) -> str:
    if examinee.template is not None:
        return examinee.template(messages)
    return "\n\n".join(message.content for message in messages) + prompts.PLAIN_END


def _write(text: str, tokens: int) -> Write:
    return Write(text, Sampling(temperature=0.0, max_tokens=tokens))


def _check_room(exam: Exam, question: Question, text: str, examinee: Examinee) -> None:
    tokens = examinee.count_tokens(text) + LEAST
    if tokens > examinee.window_tokens:
        raise QuestionTooLong(exam.benchmark, exam.subject, question.index, tokens, examinee.window_tokens)


def _texts(exchanges: Sequence[Exchange]) -> list[str]:
    return texts_of(one.reply for one in exchanges if isinstance(one.reply, Written))
