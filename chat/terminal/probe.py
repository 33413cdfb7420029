"""`/probe`: an exam question inside a conversation. What the model thinks of its options here, beside nowhere.

Questions whose answers are written are `chat.terminal.probe_written`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chat.client.client import TurnFailed
from chat.client.session import ChatSession
from proctor.errors import BadInput, ProctorError
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.tasks.definition import Settings
from proctor.exams.tasks.form import Form, Kind, read_form
from proctor.nouns.conversations import Finish, History
from proctor.nouns.exams import LETTERS, Question


@dataclass(frozen=True)
class Probed:
    """A question, and the form of its exam where its answer is written; without, its options are scored."""

    question: Question
    form: Form | None = None


@dataclass(frozen=True)
class Probe:
    """A question's options: natural log-probabilities of their letters in the conversation, and without it."""

    question: Question
    here: tuple[float, ...]
    alone: tuple[float, ...]

    @property
    def moved(self) -> bool:
        """Whether the conversation changes what the model would pick."""
        return _best(self.here) != _best(self.alone)


def probe(talk: ChatSession, question: Question) -> Probe:
    """Score the options twice. The conversation stays as it is. Raises `TurnFailed` where the worker refuses."""
    return Probe(question, _score(talk, question, talk.reply_settings.history), _score(talk, question, History.OFF))


def find_question(benchmark: str, subject: str, index: int, data: Path | None = None) -> Probed:
    """The question of a subject that `proctor show SUBJECT:INDEX` shows: by its place in the split, from 0.

    `data` is the folder in which the benchmark's rows lie; None: on the hub, or beside the benchmark.

    Raises
    ------
    BadInput
        where the benchmark, the subject or the question isn't there, or there is nothing to be asked.
    """
    exams = load_benchmark(benchmark, [subject], Settings(folder=data)).exams
    if len(exams) != 1:
        raise BadInput(f"{subject!r} is {len(exams)} subjects.", f"Name one: {', '.join(exams)}.")
    (exam,) = exams.values()
    found = next((question for question in exam.questions if question.index == index), None)
    if found is None:
        places = [question.index for question in exam.questions]
        copies = " without those that stand there twice" if exam.duplicates_dropped else ""
        raise BadInput(
            f"{subject} has no question {index}.", f"It has {min(places)} to {max(places)}, counted from 0{copies}."
        )
    form = read_form(exam.form) if exam.form else None
    if not found.choices and (form is None or form.kind is not Kind.WRITE):
        raise BadInput(
            f"{subject}:{index} has neither options nor a written answer.",
            "A text or page that is scored as it stands can't be asked; take another benchmark.",
        )
    return Probed(found, form if form and form.kind is Kind.WRITE else None)


def as_message(question: Question) -> str:
    """The question as it is put to the model: its options lettered, in whole sentences where they are contexts."""
    options = "\n".join(f"{LETTERS[n]}. {choice}" for n, choice in enumerate(_options(question)))
    return f"{_asked(question)}\n{options}\nAnswer with the letter of the right option only."


def lines(found: Probe) -> list[str]:
    """The result, a line an option: its letter (the key's with a star), log-probability and share here, then alone."""
    here, alone = shares(found.here), shares(found.alone)
    right = (found.question.key, *found.question.further)
    rows = [_asked(found.question), "           here             alone"]
    for n, choice in enumerate(_options(found.question)):
        key = "*" if n in right else " "
        scores = f"{found.here[n]:>9.3f} {here[n]:>6.1%}  {found.alone[n]:>9.3f} {alone[n]:>6.1%}"
        rows.append(f"{LETTERS[n]}{key} {scores}  {choice}")
    picked = f"here it picks {LETTERS[_best(found.here)]}, alone {LETTERS[_best(found.alone)]}"
    return [*rows, f"{picked}; the key is {' and '.join(LETTERS[n] for n in sorted(right))}"]


def _asked(question: Question) -> str:
    return "Which of these is right?" if question.contexts else question.text.strip()


def _options(question: Question) -> tuple[str, ...]:
    """The choices, each context with the text that is scored behind it."""
    return tuple(f"{one} {question.text}" for one in question.contexts) or question.choices


def shares(logprobs: Sequence[float]) -> list[float]:
    """Probabilities among the options alone: they add up to 1."""
    top = max(logprobs)
    weights = [math.exp(each - top) for each in logprobs]
    return [weight / sum(weights) for weight in weights]


def _best(logprobs: Sequence[float]) -> int:
    return max(range(len(logprobs)), key=lambda n: logprobs[n])


def _score(talk: ChatSession, question: Question, history: History) -> tuple[float, ...]:
    reply = talk.score(as_message(question), LETTERS[: len(question.choices)], history)
    for _ in reply.entries():
        pass
    ending = reply.ending
    if ending is not None and ending.finish is Finish.FAILED:
        raise TurnFailed(ending)
    if ending is None or len(ending.options_logprob) != len(question.choices):
        raise ProctorError("The worker's answer has no log-probability of each option.")
    return ending.options_logprob
