"""Prompts, to the byte those of lm-evaluation-harness (task `mmlu`, default template, version 1.0).

    The following are multiple choice questions (with answers) about SUBJECT WITH SPACES.⏎⏎
    QUESTION⏎A. CHOICE⏎B. CHOICE⏎C. CHOICE⏎D. CHOICE⏎Answer: LETTER⏎⏎
    QUESTION⏎A. CHOICE⏎B. CHOICE⏎C. CHOICE⏎D. CHOICE⏎Answer:

The second line stands once a shot, for the first k dev questions in order; what is scored is " A", " B", " C", " D".
Only the question is stripped of white space, not the choices. With a chat template the description is the system's
message, each shot a user's and an assistant's, and the letter is scored without its space: what lm-evaluation-harness
does with `--apply_chat_template --fewshot_as_multiturn`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proctor.errors import BadExam, BadInput, QuestionTooLong
from proctor.nouns import LETTERS, Conditions, Exam, Prompt, Question

PROMPT_VERSION = "mmlu-1.0"


@dataclass(frozen=True)
class Message:
    """One message of a chat; `role` is system, user or assistant."""

    role: str
    content: str


def prompt_hash(text: str) -> str:
    """64 hex digits of the sha256 of `text` in UTF-8: the field `prompt_hash` of lm-evaluation-harness's samples."""
    return hashlib.sha256(text.encode()).hexdigest()


def options(question: Question, *, chat: bool = False) -> tuple[str, ...]:
    """What is scored behind the prompt, an option each: `" A"`, `" B"`, …, in a chat without the space."""
    space = "" if chat else " "
    return tuple(space + letter for letter in LETTERS[: len(question.choices)])


def render(exam: Exam, question: Question, shots: int, *, dropped: int = 0) -> str:
    """The prompt as plain text, up to and including `Answer:`.

    It shows the first `shots` dev questions, without the first `dropped` of those.

    Raises
    ------
    BadExam
        if the exam has fewer than `shots` dev questions.
    """
    shown = _shown(exam, shots, dropped)
    examples = (f"{_ask(shot)} {LETTERS[shot.answer]}\n\n" for shot in shown)
    return _description(exam) + "".join(examples) + _ask(question)


def messages(exam: Exam, question: Question, shots: int, *, dropped: int = 0) -> tuple[Message, ...]:
    """The prompt as a chat, for a model's own template; arguments and errors as in `render`."""
    chat = [Message("system", _description(exam))]
    for shot in _shown(exam, shots, dropped):
        chat += [Message("user", _ask(shot)), Message("assistant", LETTERS[shot.answer])]
    return (*chat, Message("user", _ask(question)))


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


def fit(
    exam: Exam,
    question: Question,
    conditions: Conditions,
    count_tokens: Callable[[str], int],
    window_tokens: int,
    template: Callable[[Sequence[Message]], str] | None = None,
) -> Prompt:
    """The prompt of `question` that fits into a model's window.

    `count_tokens` gives the tokens of a text, special ones included; `template` writes a chat as text, opening the
    assistant's turn, and is needed where `conditions.chat_template` says so. Where the prompt and an option (but for
    the option's last token, which no model reads) are longer than `window_tokens`, shots are dropped from the front,
    one by one; `Prompt.shots` says how many are left. The question itself is never cut.

    Raises
    ------
    QuestionTooLong
        if it doesn't fit even without shots.
    BadExam
        if the exam has fewer dev questions than shots were asked for.
    BadInput
        for a prompt version that isn't made here, or a chat without a template.
    """
    if conditions.prompt_version != PROMPT_VERSION:
        raise BadInput(
            f"Prompt version {conditions.prompt_version!r} isn't made by this release, which makes {PROMPT_VERSION!r}.",
            "Use the release that the sweep was submitted with.",
        )
    if conditions.chat_template and template is None:
        raise BadInput("The model has no chat template.", "Leave --chat-template away, or take an instruct model.")
    scored = options(question, chat=conditions.chat_template)
    tokens = 0
    for dropped in range(conditions.shots + 1):
        text = _text(exam, question, conditions, dropped, template)
        tokens = count_tokens(text + scored[0]) - 1
        if tokens <= window_tokens:
            return Prompt(question, text, prompt_hash(text), conditions.shots - dropped, scored)
    raise QuestionTooLong(exam.benchmark, exam.subject, question.index, tokens, window_tokens)


def _text(
    exam: Exam,
    question: Question,
    conditions: Conditions,
    dropped: int,
    template: Callable[[Sequence[Message]], str] | None,
) -> str:
    if conditions.chat_template and template is not None:
        return template(messages(exam, question, conditions.shots, dropped=dropped))
    return render(exam, question, conditions.shots, dropped=dropped)


def _shown(exam: Exam, shots: int, dropped: int) -> tuple[Question, ...]:
    check_shots(exam, shots)
    return exam.dev[dropped:shots]


def _description(exam: Exam) -> str:
    return f"The following are multiple choice questions (with answers) about {exam.subject.replace('_', ' ')}.\n\n"


def _ask(question: Question) -> str:
    lettered = "".join(f"\n{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=False))
    return f"{question.text.strip()}{lettered}\nAnswer:"
