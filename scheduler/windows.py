"""Which questions fit a model's window, found before anything runs: examples go first, and a question is never cut.

Prompts are made and counted by the functions by which a worker makes and counts them. Longest first: what has fewer
bytes than the window has tokens fits, and of the rest as many are counted as may not fit, by the densest text so far
and half as many tokens more. The worker counts each prompt again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from proctor.errors import BadInput, ProctorError, QuestionTooLong
from proctor.exams.benchmarks.base import Benchmark, Examinee, ask_first
from proctor.exams.benchmarks.registry import of_version
from proctor.exams.chat_prompts import Message
from proctor.nouns.exams import Ask, Choose, Conditions, Exam, Question, Scoring, Write
from scheduler.plan import conditions_of

SPARE = 8  # tokens that a template's or tokenizer's own marks may add to a text of a few bytes
DENSER = 1.5  # what is left uncounted would have to be denser by this than anything counted
UNLIMITED = 1 << 60  # tokens
NAMED = 5  # questions, or subjects, in a sentence
ENOUGH = 20  # too long questions of an exam: more of them are not looked for


@dataclass(frozen=True)
class Length:
    """How long a question is at most as it is put: its text in bytes, its longest reply in tokens."""

    question: Question
    text_bytes: int
    reply_tokens: int

    @property
    def most_tokens(self) -> int:
        """More than it can have: a token is a byte at least."""
        return self.text_bytes + self.reply_tokens + SPARE


@dataclass(frozen=True)
class Paper:
    """An exam as it is to be asked, with the length of each question behind its examples, longest first."""

    exam: Exam
    conditions: Conditions
    lengths: tuple[Length, ...]
    template_bytes: int = 0  # that the model's chat template writes by itself

    @property
    def benchmark(self) -> Benchmark:
        return of_version(self.conditions.prompt_version)

    def bare(self) -> tuple[Length, ...]:
        """The length of each question without examples, longest first."""
        return _longer(_lengths(self.exam, replace(self.conditions, shots=0), alone=True), self.template_bytes)

    def behind(self, template_bytes: int) -> Paper:
        """The same, put by a chat template that writes so much by itself."""
        return replace(self, lengths=_longer(self.lengths, template_bytes), template_bytes=template_bytes)


@dataclass(frozen=True)
class Fit:
    """What of an exam doesn't fit a model's window: questions, and of the longest ones examples."""

    too_long: tuple[QuestionTooLong, ...] = ()
    fewest_shots: int | None = None  # on the longest question that is asked with fewer than asked for; None: on none


@dataclass
class _Counter:
    """Counts tokens, and remembers the densest text."""

    count: Callable[[str], int]
    densest: float = field(default=0.0)  # tokens a byte

    def __call__(self, text: str) -> int:
        tokens = self.count(text)
        self.densest = max(self.densest, tokens / max(1, len(text.encode())))
        return tokens

    def surely_fits(self, length: Length, window: int) -> bool:
        """Whether a question would have to be far denser than all that was counted, to be longer than the window."""
        if length.most_tokens <= window:
            return True
        dense = length.text_bytes * self.densest * DENSER
        return self.densest > 0 and dense + length.reply_tokens + SPARE <= window


def papers(exams: Sequence[Exam], asked: Conditions) -> list[Paper]:
    """The exams as they are to be asked; without pages, which are cut into windows, and what can't be asked."""
    found = []
    for exam in exams:
        conditions = conditions_of(asked, exam)
        if conditions.scoring is Scoring.PAGES or not exam.questions:
            continue
        try:
            found.append(_paper(exam, conditions))
        except ProctorError:  # told by who looks for faults of exams and shots
            continue
    return found


def fits(paper: Paper, window: int) -> bool:
    """Whether all of it fits a window of so many tokens, whatever the tokenizer."""
    return paper.lengths[0].most_tokens <= window


def fit(paper: Paper, examinee: Examinee) -> Fit:
    """What of the exam doesn't fit this model's window: of too long questions the first `ENOUGH` that are found.

    Errors as of the model's template.
    """
    counter, window = _Counter(examinee.count_tokens), examinee.window_tokens
    counted = replace(examinee, count_tokens=counter)
    too_long: dict[str, QuestionTooLong] = {}
    fewest: int | None = None

    def shots_of(length: Length) -> int | None:
        try:
            return ask_first(paper.benchmark, paper.exam, length.question, paper.conditions, counted).shots
        except QuestionTooLong as fault:
            too_long[length.question.id] = fault
            return None

    for length in paper.lengths:
        if fewest is not None or len(too_long) >= ENOUGH or counter.surely_fits(length, window):
            break
        shots = shots_of(length)
        if shots is not None and shots < paper.conditions.shots:
            fewest = shots  # shorter ones may have fewer too; whether a question fits by itself is looked at below
    for length in paper.bare() if fewest is not None else ():
        if len(too_long) >= ENOUGH or counter.surely_fits(length, window):
            break
        shots_of(length)
    return Fit(tuple(sorted(too_long.values(), key=lambda fault: fault.index)), fewest)


def refusal(model: str, paper: Paper, faults: Sequence[QuestionTooLong]) -> BadInput:
    """The fault of an exam of which these questions don't fit a model's window, by their names."""
    first, *others = faults
    named = ", ".join(str(fault.index) for fault in others[:NAMED]) + (", …" if len(others) > NAMED else "")
    several = f"at least {len(others)}" if len(faults) >= ENOUGH else str(len(others))
    more = f"; {several} more don't fit either ({named})" if others else ""
    reply = paper.lengths[0].reply_tokens
    with_reply = f", {reply:,} of them for what is replied" if reply else ""
    return BadInput(
        f"{model}: question {first.index} of {first.subject} ({first.benchmark}) needs {first.tokens:,} tokens without "
        f"any example{with_reply}, and the model's window has {first.window_tokens:,}{more}. A question is never cut.",
        "Take a model with a longer window, or leave the subject out (-s).",
    )


def dropped(model: str, window: int, found: Sequence[tuple[Paper, int]]) -> str:
    """That the model asks these exams with fewer examples, and with how many where questions are longest."""
    each = [f"{paper.exam.subject} {shots} of {paper.conditions.shots}" for paper, shots in found]
    named = ", ".join(each[:NAMED]) + (f" and {len(each) - NAMED} more subjects" if len(each) > NAMED else "")
    return (
        f"{model}: its window of {window:,} tokens holds fewer examples than asked for before the longest questions: "
        f"{named}."
    )


def left_to_workers(model: str, window: int) -> str:
    """That nobody has counted, since the model's tokenizer isn't here."""
    return (
        f"{model}: its tokenizer isn't at hand, so the worker finds out whether each question fits its window of "
        f"{window:,} tokens."
    )


def _paper(exam: Exam, conditions: Conditions) -> Paper:
    return Paper(exam, conditions, _lengths(exam, conditions))


def _lengths(exam: Exam, conditions: Conditions, *, alone: bool = False) -> tuple[Length, ...]:
    benchmark, anyone = of_version(conditions.prompt_version), Examinee(len, UNLIMITED, _as_text)
    asked = [
        (question, ask_first(benchmark, exam, replace(question, shots=()) if alone else question, conditions, anyone))
        for question in exam.questions[: conditions.limit]
    ]
    found = (_length(question, prompt.ask) for question, prompt in asked)
    return tuple(sorted(found, key=lambda length: -length.most_tokens))


def _longer(lengths: Sequence[Length], text_bytes: int) -> tuple[Length, ...]:
    return tuple(replace(length, text_bytes=length.text_bytes + text_bytes) for length in lengths)


def _length(question: Question, ask: Ask) -> Length:
    further = sum(len(f"{turn}{_MARKS}".encode()) for turn in question.turns)
    if isinstance(ask, Write):
        replies = (ask.sampling.max_tokens or 0) * (1 + len(question.turns))
        return Length(question, len(ask.text.encode()) + further, replies)
    if not isinstance(ask, Choose):
        return Length(question, 0, 0)
    contexts = ask.contexts or (ask.text,) * len(ask.options)
    texts = (context + option for context, option in zip(contexts, ask.options, strict=True))
    return Length(question, max(len(text.encode()) for text in texts), 0)


def _as_text(messages: Sequence[Message]) -> str:
    """A chat as long as its words: a template adds some marks a message."""
    return "".join(f"{message.content}{_MARKS}" for message in messages)


_MARKS = "<|start_of_a_message|>role\n\n<|end_of_a_message|>\n" * 2  # longer than those of any template known
