"""What a benchmark is: rows, how they are put to a model, and what its replies are worth.

A benchmark is one value of three parts, all but `rows` pure. To add one, write a file with its three parts beside this
one and name it in `proctor.exams.benchmarks.registry`. Split as in HELM (scenario, adapter, metric).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from proctor.errors import BadExam, BadInput
from proctor.exams.chat_prompts import Message
from proctor.exams.marking.answers import answer_of
from proctor.exams.reading.identity import prompt_hash
from proctor.exams.reading.problems import Faults
from proctor.nouns.exams import (
    Answer,
    Ask,
    Choose,
    Conditions,
    Exam,
    Exchange,
    Mark,
    Prompt,
    Question,
    Roll,
    Write,
)


@dataclass(frozen=True)
class Examinee:
    """What a prompt depends on of the model that it is put to."""

    count_tokens: Callable[[str], int]  # of a text, special tokens included
    window_tokens: int
    template: Callable[[Sequence[Message]], str] | None = None  # writes a chat as text, opening the assistant's turn


@dataclass(frozen=True)
class ExamSet:
    """Exams by subject, in the benchmark's order, and what a reader of results must know about them."""

    name: str  # "mmlu", "demo", or the last part of a path: the same questions are the same benchmark anywhere
    version: str  # of the prompts and the marking: `Conditions.prompt_version` of the Runs on these exams
    exams: Mapping[str, Exam]
    notes: tuple[str, ...] = ()

    def check_shots(self, shots: int) -> None:
        """Raise `BadExam` (`SeveralFaults` for several) for exams with fewer dev questions than `shots`."""
        faults = Faults()
        for exam in self.exams.values():
            try:
                check_shots(exam, shots)
            except BadExam as fault:
                faults.add(fault)
        faults.raise_any()


class Rows(Protocol):
    """Which questions there are."""

    def __call__(self, subjects: Sequence[str], /) -> ExamSet:
        """Read the exams of these subjects (`proctor.exams.reading.subjects.select` takes them; none: all).

        Raises
        ------
        BadExam
            for rows that can't be read or had, `SeveralFaults` for several faults.
        UnknownName
            for an unknown subject.
        """
        ...


class Asking(Protocol):
    """How a question is put. Pure: the same arguments give the same ask on every machine."""

    def __call__(
        self, exam: Exam, question: Question, conditions: Conditions, examinee: Examinee, so_far: Sequence[Exchange], /
    ) -> Ask | None:
        """The next ask, given those before it with their replies; None once nothing is left to ask.

        Raises
        ------
        QuestionTooLong
            where it doesn't fit into the model's window.
        BadExam
            where the exam has fewer dev questions than shots were asked for.
        BadInput
            for conditions under which it can't be put.
        """
        ...


class Marking(Protocol):
    """What the replies to a question are worth. Pure."""

    def __call__(self, exam: Exam, question: Question, exchanges: Sequence[Exchange], /) -> Mark:
        """The mark of a question whose last ask is answered. Raises `BadScores` for replies that are none."""
        ...


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, in three parts."""

    name: str
    version: str  # of `ask` and `mark`: Runs of two versions are never compared
    asks: type[Choose] | type[Write] | type[Roll]  # known before anything starts: an engine that can't do it is refused
    rows: Rows
    ask: Asking
    mark: Marking

    def load(self, subjects: Sequence[str] = ()) -> ExamSet:
        """The exams of these subjects; errors as of `Rows`."""
        return self.rows(subjects)

    def judged(self, exam: Exam, prompt: Prompt, exchanges: Sequence[Exchange]) -> Answer:
        """The Answer that these exchanges amount to; `prompt` is the first ask. Errors as of `Marking`."""
        return answer_of(prompt, exchanges, self.mark(exam, prompt.question, exchanges))


def put(question: Question, ask: Ask) -> Prompt:
    """The first ask as the Prompt by which it is known."""
    return Prompt(question, ask, prompt_hash(ask.text))


def ask_first(
    benchmark: Benchmark, exam: Exam, question: Question, conditions: Conditions, examinee: Examinee
) -> Prompt:
    """The first ask to a question. Raises as `Asking`, and `BadExam` where the benchmark asks nothing."""
    ask = benchmark.ask(exam, question, conditions, examinee, ())
    if ask is None:
        raise BadExam(f"{benchmark.name} asks nothing on question {question.index} of {exam.subject}.")
    return put(question, ask)


def check_conditions(version: str, conditions: Conditions, examinee: Examinee) -> None:
    """Raise `BadInput` for prompts of another version than is made, and for a chat without a template."""
    if conditions.prompt_version != version:
        raise BadInput(
            f"Prompt version {conditions.prompt_version!r} isn't made by this release, which makes {version!r}.",
            "Use the release that the sweep was submitted with.",
        )
    if conditions.chat_template and examinee.template is None:
        raise BadInput("The model has no chat template.", "Leave --chat-template away, or take an instruct model.")


def check_shots(exam: Exam, shots: int) -> None:
    """Raise `BadExam` if `exam` has fewer dev questions than `shots`."""
    have = len(exam.dev)
    if shots <= have:
        return
    owns = f"only {have} dev question{'s' if have > 1 else ''}" if have else "no dev questions"
    raise BadExam(
        f"{shots} examples (shots) were asked for, and subject {exam.subject!r} of {exam.benchmark!r} has {owns} "
        "to show; test questions are never shown.",
        f"Say --shots {have}{', or less' if have else ', or add a dev split'}.",
    )
