"""Prompts, to the byte those of lm-evaluation-harness (tasks `mmlu` and `mmlu_continuation`, version 1.0).

Scored by letters (`mmlu`, the default template):

    The following are multiple choice questions (with answers) about SUBJECT WITH SPACES.⏎⏎
    QUESTION⏎A. CHOICE⏎B. CHOICE⏎C. CHOICE⏎D. CHOICE⏎Answer: LETTER⏎⏎
    QUESTION⏎A. CHOICE⏎B. CHOICE⏎C. CHOICE⏎D. CHOICE⏎Answer:

The second line stands once a shot, for the first k dev questions in order; what is scored is " A", " B", " C", " D".

Scored by text (`mmlu_continuation`), where no option is shown:

    The following are questions (with answers) about SUBJECT WITH SPACES.⏎⏎
    Question: QUESTION⏎Answer: CHOICE⏎⏎
    Question: QUESTION⏎Answer:

The second line stands once a shot, with its right choice; what is scored is each choice, with a space before it.

Only the question is stripped of white space, not the choices. With a chat template the description is the system's
message, each shot a user's and an assistant's, and the option is scored without its space: what lm-evaluation-harness
does with `--apply_chat_template --fewshot_as_multiturn`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proctor.errors import QuestionTooLong
from proctor.exams.benchmarks.base import Examinee, check_conditions, check_shots, put
from proctor.exams.chat_prompts import Message
from proctor.nouns.exams import LETTERS, Choose, Conditions, Exam, Prompt, Question, Scoring

PROMPT_VERSION = "mmlu-1.0"


def options(question: Question, scoring: Scoring = Scoring.LETTERS, *, chat: bool = False) -> tuple[str, ...]:
    """What is scored behind the prompt: `" A"`, `" B"`, … or each choice after a space; in a chat without the space."""
    space = "" if chat else " "
    return tuple(space + named for named in _named(question, scoring))


def characters(choices: Sequence[str], scoring: Scoring) -> tuple[int, ...]:
    """Characters of each option as it is scored, the space before it left out: what `acc_norm` divides by."""
    return tuple(len(choice) if scoring is Scoring.TEXT else 1 for choice in choices)


def render(exam: Exam, question: Question, shots: int, *, dropped: int = 0, scoring: Scoring = Scoring.LETTERS) -> str:
    """The prompt as plain text, up to and including `Answer:`.

    It shows the first `shots` dev questions, without the first `dropped` of those.

    Raises
    ------
    BadExam
        if the exam has fewer than `shots` dev questions.
    """
    shown = _shown(exam, shots, dropped)
    examples = (f"{_ask(shot, scoring)} {_named(shot, scoring)[shot.key]}\n\n" for shot in shown)
    return _description(exam, scoring) + "".join(examples) + _ask(question, scoring)


def messages(
    exam: Exam, question: Question, shots: int, *, dropped: int = 0, scoring: Scoring = Scoring.LETTERS
) -> tuple[Message, ...]:
    """The prompt as a chat, for a model's own template; arguments and errors as in `render`."""
    chat = [Message("system", _description(exam, scoring))]
    for shot in _shown(exam, shots, dropped):
        chat += [Message("user", _ask(shot, scoring)), Message("assistant", _named(shot, scoring)[shot.key])]
    return (*chat, Message("user", _ask(question, scoring)))


def fit(
    exam: Exam,
    question: Question,
    conditions: Conditions,
    count_tokens: Callable[[str], int],
    window_tokens: int,
    template: Callable[[Sequence[Message]], str] | None = None,
) -> Prompt:
    """The prompt of `question` that fits into a model's window; arguments as of `Examinee`, errors as of `choose`."""
    return put(question, choose(exam, question, conditions, Examinee(count_tokens, window_tokens, template)))


def choose(exam: Exam, question: Question, conditions: Conditions, examinee: Examinee) -> Choose:
    """The prompt and options of `question` that fit into a model's window.

    Where the prompt and an option (but for the option's last token, which no model reads) are longer than the window,
    shots are dropped from the front, one by one; `Choose.shots` says how many are left. The question itself is never
    cut.

    Raises
    ------
    QuestionTooLong
        if it doesn't fit even without shots.
    BadExam
        if the exam has fewer dev questions than shots were asked for.
    BadInput
        for a prompt version that isn't made here, or a chat without a template.
    """
    check_conditions(PROMPT_VERSION, conditions, examinee)
    scoring = conditions.scoring
    scored = options(question, scoring, chat=conditions.chat_template)
    tokens = 0
    for dropped in range(conditions.shots + 1):
        text = _text(exam, question, conditions, dropped, examinee.template)
        tokens = max(examinee.count_tokens(text + option) for option in _distinct(scored, scoring)) - 1
        if tokens <= examinee.window_tokens:
            return Choose(text, scored, characters(question.choices, scoring), conditions.shots - dropped)
    raise QuestionTooLong(exam.benchmark, exam.subject, question.index, tokens, examinee.window_tokens)


def _text(
    exam: Exam,
    question: Question,
    conditions: Conditions,
    dropped: int,
    template: Callable[[Sequence[Message]], str] | None,
) -> str:
    if conditions.chat_template and template is not None:
        return template(messages(exam, question, conditions.shots, dropped=dropped, scoring=conditions.scoring))
    return render(exam, question, conditions.shots, dropped=dropped, scoring=conditions.scoring)


def _shown(exam: Exam, shots: int, dropped: int) -> tuple[Question, ...]:
    check_shots(exam, shots)
    return exam.dev[dropped:shots]


def _description(exam: Exam, scoring: Scoring) -> str:
    kind = "multiple choice questions" if scoring is Scoring.LETTERS else "questions"
    return f"The following are {kind} (with answers) about {exam.subject.replace('_', ' ')}.\n\n"


def _ask(question: Question, scoring: Scoring) -> str:
    if scoring is Scoring.TEXT:
        return f"Question: {question.text.strip()}\nAnswer:"
    lettered = "".join(f"\n{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=False))
    return f"{question.text.strip()}{lettered}\nAnswer:"


def _named(question: Question, scoring: Scoring) -> Sequence[str]:
    """The options as a model is to name them."""
    return question.choices if scoring is Scoring.TEXT else LETTERS[: len(question.choices)]


def _distinct(scored: Sequence[str], scoring: Scoring) -> Sequence[str]:
    """Those whose tokens must be counted to know the longest: letters are all alike."""
    return scored if scoring is Scoring.TEXT else scored[:1]
