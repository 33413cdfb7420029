"""Exams: questions, the conditions under which they are asked, prompts, packs and Answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from proctor.errors import BadInput

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


SHOTS = 5  # examples before a question, where nobody says how many: the usual number for MMLU


class Scoring(StrEnum):
    """What of an option is scored: the letter before which it stands in the prompt, or its own text."""

    LETTERS = "letters"
    TEXT = "text"


@dataclass(frozen=True)
class Question:
    """One item of an Exam. Within a benchmark it is known by (subject, id); `id` is a hash of its content."""

    id: str  # 16 hex digits, see `proctor.exams.reading.identity.question_id`
    index: int  # place in its split, from 0, before duplicates were dropped
    text: str
    choices: tuple[str, ...]
    answer: int  # index into choices

    def __post_init__(self) -> None:
        if not 2 <= len(self.choices) <= len(LETTERS):
            raise BadInput(
                f"Question {self.index} has {len(self.choices)} choices; 2 to {len(LETTERS)} can be lettered."
            )
        if not 0 <= self.answer < len(self.choices):
            raise BadInput(f"Question {self.index}: answer {self.answer} is not among its {len(self.choices)} choices.")


@dataclass(frozen=True)
class Exam:
    """A benchmark's subject: its questions, and the dev questions that are shown as examples (shots)."""

    benchmark: str
    subject: str
    dev: tuple[Question, ...]
    questions: tuple[Question, ...]
    content_hash: str  # sha256 over dev and questions, 64 hex digits
    duplicates_dropped: int = 0


@dataclass(frozen=True)
class Conditions:
    """How an Exam is put to a model. Runs are compared only where these agree."""

    shots: int = SHOTS
    chat_template: bool = False
    limit: int | None = None  # the first so many questions; None is all
    pack_tokens: int = 2048  # budget of a Pack, in tokens
    prompt_version: str = "mmlu-1.0"
    scoring: Scoring = Scoring.LETTERS
    template_date: str = ""  # YYYY-MM-DD, what a chat template is told; "": the day on which the sweep was submitted

    def __post_init__(self) -> None:
        if self.template_date and not self.chat_template:
            raise BadInput(f"--template-date {self.template_date} is for chat templates.", "Add --chat-template.")
        if self.template_date and not _is_day(self.template_date):
            raise BadInput(f"--template-date {self.template_date!r} is no date.", "Write it as 2026-11-30.")
        if self.shots < 0:
            raise BadInput(f"--shots {self.shots} is below 0.")
        if self.limit is not None and self.limit < 1:
            raise BadInput(f"--limit {self.limit} is below 1.")
        if self.pack_tokens < 1:
            raise BadInput(f"A pack of {self.pack_tokens} tokens holds nothing.")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@dataclass(frozen=True)
class Prompt:
    """One Question as a model reads it, up to and including `Answer:`."""

    question: Question
    text: str
    hash: str  # sha256 of text in UTF-8, 64 hex digits: the field lm-evaluation-harness calls prompt_hash
    shots: int  # examples shown; fewer than asked for where the window was too small
    options: tuple[str, ...]  # what is scored after text: " A", " B", … or "A", "B", …, or the options' own texts
    characters: tuple[int, ...] = ()  # of each option, without the space before it; empty: all have as many


@dataclass(frozen=True)
class Pack:
    """Questions that go through the model together: the unit that is committed and resumed."""

    index: int
    members: tuple[int, ...]  # indexes into the Run's prompts


@dataclass(frozen=True)
class Answer:
    """One Run's result on one Question."""

    question_id: str
    prompt_hash: str
    shots: int
    options_logprob: tuple[float, ...]  # natural logarithms, one an option
    picked: int | None  # None: no single best option (an exact tie)
    correct: bool
    correct_norm: bool = False  # whether the best log-probability per character is the key's
