"""What a judge's questions are: another model's replies, beside the messages that they answer. Pure.

Such an exam isn't stored: it is made of the candidate's exam and of the replies that are, each time it is sat or read.
Its questions have the ids of the candidate's, so that a judge's Answers stand with the questions that they are about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from proctor.errors import BadExam
from proctor.exams.judging.references import parts_of, right_texts
from proctor.exams.judging.replies import read
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import Exam, Question, Written

BY_TURN = "by_turn"  # of a reference: a text a turn, "" where a turn has none
Replies = Mapping[str, Sequence[Written]]  # by question id, one a turn


@dataclass(frozen=True)
class Case:
    """One question as a judge sees it."""

    messages: tuple[str, ...]  # the user's
    answers: tuple[str, ...]  # the candidate's, one a message
    others: tuple[str, ...] = ()  # those that they are compared with; none: they are graded
    references: tuple[str, ...] = ()  # one a message, "" where there is none

    @property
    def in_pairs(self) -> bool:
        return bool(self.others)


def exam_of_replies(exam: Exam, replies: Replies, others: Replies | None = None) -> Exam:
    """The judge's exam: each question of the candidate's exam with the replies to it, and with `others` where given.

    A reply is judged as marks are made of it: without the thought, and cut at stop strings. Of several replies to one
    message (`Form.repeats`) the first is judged.

    Raises
    ------
    BadExam
        where a question that was replied to lacks a reply to one of its messages.
    """
    questions = [
        _with_replies(exam, one, replies[one.id], None if others is None else others[one.id])
        for one in exam.questions
        if one.id in replies and (others is None or one.id in others)
    ]
    return replace(exam, dev=(), questions=tuple(questions))


def case_of(question: Question) -> Case:
    """The case of a question that `exam_of_replies` made."""
    parts = json.loads(question.reference)
    answers, others, references = (tuple(parts[name]) for name in ("answers", "others", "references"))
    return Case((question.text, *question.turns), answers, others, references)


def references_of(question: Question) -> tuple[str, ...]:
    """What a judge may take for right, a text a message of the user's; "" where there is none."""
    messages = 1 + len(question.turns)
    parts = parts_of(question)
    given = parts.get(BY_TURN)
    if isinstance(given, list):
        return tuple(str(one) for one in [*given, *[""] * messages][:messages])
    if not question.reference and question.answer is None:
        return ("",) * messages
    if parts and "right" not in parts:
        return ("",) * messages  # such as a list of instructions, which is no answer
    return (" / ".join(right_texts(question)), *[""] * (messages - 1))


def _with_replies(
    exam: Exam, question: Question, replies: Sequence[Written], others: Sequence[Written] | None
) -> Question:
    parts = {
        "answers": _texts(exam, question, replies),
        "others": [] if others is None else _texts(exam, question, others),
        "references": references_of(question),
    }
    case = json.dumps(parts, ensure_ascii=False)
    return Question(question.id, question.index, question.text, reference=case, turns=question.turns)


def _texts(exam: Exam, question: Question, replies: Sequence[Written]) -> list[str]:
    messages = 1 + len(question.turns)
    if len(replies) < messages:
        raise BadExam(
            f"Question {question.index} of {exam.subject} has {len(replies)} replies to {messages} messages.",
            "Only written answers are judged.",
        )
    form = read_form(exam.form) if exam.form else None
    until, think_end = (form.until, form.think_end) if form else ((), "")
    return [read(one, until, think_end).text for one in replies[:messages]]
