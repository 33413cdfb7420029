"""Exams: questions, the conditions under which they are asked, what a model is asked, replies, marks and Answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from proctor.errors import BadInput
from proctor.nouns.briefs import Brief
from proctor.nouns.conversations import Finish, Sampling

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


SHOTS = 5  # examples before a question, where nobody says how many: the usual number for MMLU


class Scoring(StrEnum):
    """What is scored: of each option its letter or its own text, one text alone, or what the model writes."""

    LETTERS = "letters"
    TEXT = "text"
    ONE_TEXT = "one text"
    PAGES = "pages"  # whole texts, of which nothing is right or wrong
    WRITTEN = "written"
    OPEN = "open"  # written, and a judge alone says what it is worth
    JUDGED = "judged"  # a judge's verdicts on another model's replies


@dataclass(frozen=True)
class Question:
    """One item of an Exam. Within a benchmark it is known by (subject, id); `id` is a hash of its content."""

    id: str  # 16 hex digits, see `proctor.exams.reading.identity.question_id`
    index: int  # place in its split, from 0, before duplicates were dropped
    text: str
    choices: tuple[str, ...] = ()  # none: the model writes its answer
    answer: int | None = None  # index into choices; None where there are none
    reference: str = ""  # of a written answer, what it is marked against
    turns: tuple[str, ...] = ()  # what is said after `text`, a message a turn, once the turn before is answered
    further: tuple[int, ...] = ()  # right choices besides `answer`, where there are several
    contexts: tuple[str, ...] = ()  # one a choice, behind each of which `text` is scored; none: the choices are scored
    opening: str = ""  # how the answer begins, put before it
    shots: tuple[int, ...] = ()  # places in the Exam's dev questions: the examples drawn for this one, in their order

    def __post_init__(self) -> None:
        if not self.choices:
            if self.answer is not None:
                raise BadInput(f"Question {self.index}: answer {self.answer} is given, and it has no choices.")
            return
        if not 2 <= len(self.choices) <= len(LETTERS):
            raise BadInput(
                f"Question {self.index} has {len(self.choices)} choices; 2 to {len(LETTERS)} can be lettered."
            )
        if self.answer is None or not 0 <= self.answer < len(self.choices):
            raise BadInput(f"Question {self.index}: answer {self.answer} is not among its {len(self.choices)} choices.")
        if self.contexts and len(self.contexts) != len(self.choices):
            raise BadInput(f"Question {self.index}: {len(self.contexts)} contexts for {len(self.choices)} choices.")

    @property
    def key(self) -> int:
        """Index of the right choice. Raises `BadInput` where there are no choices."""
        if self.answer is None:
            raise BadInput(f"Question {self.index} has no choices.", "It is marked against its reference.")
        return self.answer


@dataclass(frozen=True)
class Exam:
    """A benchmark's subject: its questions, and the dev questions that are shown as examples (shots)."""

    benchmark: str
    subject: str
    dev: tuple[Question, ...]
    questions: tuple[Question, ...]
    content_hash: str  # sha256 over dev, questions and form, 64 hex digits
    duplicates_dropped: int = 0
    form: str = ""  # how it is put and judged, `proctor.exams.tasks.form.Form` as JSON; "": as MMLU


@dataclass(frozen=True)
class Conditions:
    """How an Exam is put to a model. Runs are compared where these agree; packs of another size differ by rounding."""

    shots: int = SHOTS
    chat_template: bool = False
    limit: int | None = None  # the first so many questions; None is all
    pack_tokens: int = 2048  # budget of a Pack, in tokens
    prompt_version: str = "mmlu-1.0"
    scoring: Scoring = Scoring.LETTERS
    template_date: str = ""  # YYYY-MM-DD, what a chat template is told; "": the day on which the sweep was submitted
    shots_as_turns: bool = True  # of a chat; else description, examples and question are one message of the user's
    brief: Brief | None = None  # of a judge's Run; None: the model answers for itself

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


GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True)
class Choose:
    """Ask for the log-probability of each option behind `text`."""

    text: str
    options: tuple[str, ...]  # " A", " B", … or "A", "B", …, or the choices' own texts
    characters: tuple[int, ...] = ()  # of each option, without the space before it; empty: all have as many
    shots: int = 0  # examples shown in `text`
    contexts: tuple[str, ...] = ()  # the prompt of each option, where each has its own; `text` is the first of them
    greedy: bool = False  # whether it is also asked if all tokens of an option are the likeliest at their place


@dataclass(frozen=True)
class Write:
    """Ask for a text behind `text`, up to a stop string or `sampling.max_tokens`."""

    text: str
    sampling: Sampling = GREEDY
    shots: int = 0  # examples shown in `text`


@dataclass(frozen=True)
class Roll:
    """Ask for the log-probability of a whole page, in windows as long as the model's."""

    text: str
    shots: int = 0  # a page stands alone


Ask = Choose | Write | Roll


@dataclass(frozen=True)
class Scored:
    """The reply to a Choose or a Roll."""

    options_logprob: tuple[float, ...]  # natural logarithms, one an option in their order, or one a page
    greedy: tuple[bool, ...] = ()  # whether all tokens of an option are the likeliest at their place; empty: not known


@dataclass(frozen=True)
class Written:
    """The reply to a Write, raw: nothing is stripped or cut off."""

    text: str
    token_ids: tuple[int, ...] = ()  # as they were generated, end tokens left out
    finish: Finish = Finish.STOP
    think_end: str = ""  # the model's own mark behind which its thought ends, written or not; "": it didn't think


Reply = Scored | Written


@dataclass(frozen=True)
class Exchange:
    """One ask, and the reply to it."""

    ask: Ask
    reply: Reply


@dataclass(frozen=True)
class Mark:
    """What the replies to one Question are worth.

    A Mark with neither a pick nor an extracted answer is no answer: an exact tie, or a text without one. It has 0
    points.
    """

    points: float  # 0 to 1
    picked: int | None = None  # index of a choice
    extracted: str | None = None  # the answer, as it was read out of the written text
    correct_norm: bool = False  # whether the best log-probability per character is the key's

    def __post_init__(self) -> None:
        if math.isnan(self.points) or not 0 <= self.points <= 1:
            raise ValueError(f"A mark of {self.points} points is not from 0 to 1.")
        if not self.answered and self.points:
            raise ValueError(f"{self.points} points for no answer.")

    @property
    def answered(self) -> bool:
        """Whether a choice was picked or an answer extracted."""
        return self.picked is not None or self.extracted is not None

    @property
    def correct(self) -> bool | None:
        """Whether it has all points; None for no answer."""
        return self.points == 1 if self.answered else None


@dataclass(frozen=True)
class Prompt:
    """One Question as it is first put to a model."""

    question: Question
    ask: Ask
    hash: str  # sha256 of the text in UTF-8, 64 hex digits: the field lm-evaluation-harness calls prompt_hash

    @property
    def text(self) -> str:
        """What the model reads, up to and including `Answer:`."""
        return self.ask.text

    @property
    def shots(self) -> int:
        """Examples shown; fewer than asked for where the window was too small."""
        return self.ask.shots

    @property
    def options(self) -> tuple[str, ...]:
        """What is scored behind the text; none: the model writes, or the text itself is scored."""
        return self.ask.options if isinstance(self.ask, Choose) else ()


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
    options_logprob: tuple[float, ...]  # natural logarithms, one an option or page; none where none was scored
    picked: int | None  # None: no single best option (an exact tie), or there are no options
    correct: bool  # whether it has all points
    correct_norm: bool = False  # whether the best log-probability per character is the key's
    partial: float | None = None  # points between 0 and 1; None: all or none, as `correct` says
    extracted: str | None = None  # what was read out of the written text; None: nothing
    written: tuple[Written, ...] = ()  # replies in full, one a turn

    @property
    def points(self) -> float:
        """What it is worth, 0 to 1."""
        return float(self.correct) if self.partial is None else self.partial

    @property
    def answered(self) -> bool:
        """Whether an option was picked or an answer extracted."""
        return self.picked is not None or self.extracted is not None
