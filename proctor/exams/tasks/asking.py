"""How a question of an exam in a form is put: parts joined into a prompt, plain or as a chat. Pure.

Plain: DESCRIPTION, TEXT SHOT_DELIMITER ANSWER FEWSHOT_DELIMITER …, TEXT; the description has no delimiter behind it.
In a chat the description is the system's message and no delimiter appears, unless `Conditions.shots_as_turns` is false:
then examples and question are one message of the user's, with the delimiters in it. An answer that begins in a given
way (`Question.opening`) is joined to it by one delimiter, unless white space stands at the seam; in a chat it stands
behind what the template opens the assistant's turn with. All as in lm-evaluation-harness 0.4.13, to the byte; there, an
opening is a last message that the template leaves open, which is the same where it writes messages as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from proctor.errors import BadInput, QuestionTooLong
from proctor.exams.benchmarks.base import Examinee, check_conditions
from proctor.exams.chat_prompts import Message
from proctor.exams.judging.replies import read
from proctor.exams.tasks.form import Form, Kind, read_form
from proctor.nouns.conversations import Sampling
from proctor.nouns.exams import Ask, Choose, Conditions, Exam, Exchange, Question, Roll, Write, Written

FORM_VERSION = "form-1.0"  # of the joining and the judging: `Conditions.prompt_version` of Runs on exams in a form


@dataclass(frozen=True)
class Part:
    """A message, and what stands behind it in a plain prompt."""

    role: str
    text: str
    delimiter: str = ""


def ask(
    exam: Exam, question: Question, conditions: Conditions, examinee: Examinee, so_far: Sequence[Exchange]
) -> Ask | None:
    """One ask a question, or as many as the form wants replies (`repeats`), each with a seed of its own; see `Asking`.

    A question with turns is a conversation: each is asked behind the replies to those before it, without what the model
    thought. It fits where all of it does, each reply as long as it may be. Where it is no chat, a turn that is over
    stands before the next one as an example does.

    Of a page the text alone is asked for, whatever its length: the engine cuts it into windows (`Roll`).

    Where a prompt and what is to come behind it are longer than the window, examples are dropped from the front, one by
    one; `shots` of the ask says how many are left. The question itself is never cut.

    Raises
    ------
    QuestionTooLong
        if it doesn't fit even without examples.
    BadInput
        for a prompt version that isn't made here, a chat without a template, or a page that is to be one.
    """
    check_conditions(FORM_VERSION, conditions, examinee)
    form = read_form(exam.form)
    wanted = 1 + len(question.turns) if question.turns else form.repeats
    if len(so_far) >= (wanted if form.kind is Kind.WRITE else 1):
        return None
    if so_far and question.turns:
        return _further_turn(form, exam, question, conditions, examinee, so_far)
    if form.kind is Kind.ROLLING:
        return _page(question, conditions)
    tokens = 0
    for dropped in range(len(question.shots) + 1):
        shots = [exam.dev[place] for place in question.shots[dropped:]]
        made = _made(form, shots, question, conditions, examinee, len(so_far))
        tokens = _tokens(made, examinee.count_tokens) + _of_turns(form, question, examinee)
        if tokens <= examinee.window_tokens:
            return made
    raise QuestionTooLong(exam.benchmark, exam.subject, question.index, tokens, examinee.window_tokens)


def parts(form: Form, shots: Sequence[Question], question: Question, text: str, delimiter: str) -> list[Part]:
    """The messages of a prompt, description first; an opening is joined to the question's `text` by `delimiter`."""
    made = [Part("system", form.description)] if form.description else []
    for shot in shots:
        made += _example(form, shot)
    made.append(Part("user", text, delimiter if _parted(text, question.opening) else ""))
    return made


def as_chat(made: Sequence[Part], *, turns: bool) -> list[Message]:
    """The messages as a chat; without `turns` all but the system's are one of the user's."""
    if turns:
        return [Message(part.role, part.text) for part in made]
    system = [part for part in made[:1] if part.role == "system"]
    said = made[len(system) :]
    text = "".join(part.text + part.delimiter for part in said[:-1]) + said[-1].text
    return [Message(part.role, part.text) for part in (*system, Part("user", text))]


def answer_of(shot: Question) -> str:
    """What an example shows as its answer; "" for none."""
    return shot.choices[shot.key] if shot.choices else shot.reference


def joined(before: str, behind: str, delimiter: str = " ") -> str:
    """Two texts with the delimiter between them, unless one is empty or white space stands at the seam."""
    return before + (delimiter if before and behind and _parted(before, behind) else "") + behind


def _parted(before: str, behind: str) -> bool:
    """Whether neither side of a seam has white space at it."""
    return bool(before and behind) and not before[-1].isspace() and not behind[0].isspace()


def _example(form: Form, shot: Question) -> list[Part]:
    answer = answer_of(shot)
    if not answer:
        seam = form.shot_delimiter if _parted(shot.text, shot.opening) else ""
        opening = [Part("assistant", shot.opening)] if shot.opening else []
        return [Part("user", shot.text, seam), *opening]
    seam = form.shot_delimiter if not shot.opening or _parted(shot.text, shot.opening) else ""
    return [
        Part("user", shot.text, seam),
        Part("assistant", joined(shot.opening, answer), form.fewshot_delimiter),
    ]


def _made(
    form: Form,
    shots: Sequence[Question],
    question: Question,
    conditions: Conditions,
    examinee: Examinee,
    seed: int,
    behind: Sequence[Part] = (),
) -> Choose | Write:
    def prompt(text: str, delimiter: str) -> str:
        made = [*parts(form, shots, question, text, delimiter), *behind]
        if behind:
            made = _conversation(made, len(behind) + 1, form)
        if conditions.chat_template and examinee.template is not None:
            return examinee.template(as_chat(made, turns=conditions.shots_as_turns)) + question.opening
        return "".join(part.text + part.delimiter for part in made) + question.opening

    if form.kind is Kind.WRITE:
        return Write(prompt(question.text, form.target_delimiter), sampling_of(form, seed), len(shots))
    if form.kind is Kind.LOGLIKELIHOOD:
        return Choose(prompt(question.text, form.target_delimiter), (question.reference,), (), len(shots), greedy=True)
    delimiter = form.chat_delimiter if conditions.chat_template else form.target_delimiter
    characters = tuple(len(choice) for choice in question.choices)
    greedy = any(metric.name == "exact_match" for metric in form.metrics)
    if not question.contexts:
        options = tuple(delimiter + choice for choice in question.choices)
        return Choose(prompt(question.text, form.target_delimiter), options, characters, len(shots), greedy=greedy)
    contexts = tuple(prompt(context, "") for context in question.contexts)
    options = (delimiter + question.text,) * len(contexts)
    return Choose(contexts[0], options, characters, len(shots), contexts, greedy)


def _further_turn(
    form: Form,
    exam: Exam,
    question: Question,
    conditions: Conditions,
    examinee: Examinee,
    so_far: Sequence[Exchange],
) -> Choose | Write:
    """The ask of the next turn, behind as many examples as the first one showed."""
    asked, behind = so_far[0].ask.shots, []
    for one, turn in zip(so_far, question.turns, strict=False):
        said = read(one.reply, form.until, form.think_end).text.strip() if isinstance(one.reply, Written) else ""
        behind += [Part("assistant", said), Part("user", turn)]
    shots = [exam.dev[place] for place in question.shots[len(question.shots) - asked :]]
    return _made(form, shots, question, conditions, examinee, len(so_far), behind)


def _conversation(made: Sequence[Part], turns: int, form: Form) -> list[Part]:
    """The same with what stands between its last parts where it is no chat: as around the answer of an example."""
    first = len(made) - turns
    joined_up = list(made)
    for place in range(first, len(made) - 1):
        one, other = made[place], made[place + 1]
        between = form.target_delimiter if one.role == "user" else form.fewshot_delimiter
        joined_up[place] = replace(
            one, delimiter=between if _parted(one.text, other.text) or one.role != "user" else ""
        )
    return joined_up


def _of_turns(form: Form, question: Question, examinee: Examinee) -> int:
    """Tokens that the turns behind the first take at most, their replies as long as they may be."""
    return sum(examinee.count_tokens(turn) + form.max_tokens for turn in question.turns)


def _page(question: Question, conditions: Conditions) -> Roll:
    if conditions.chat_template:
        raise BadInput("A whole page is scored as it is, and is no chat.", "Leave --chat-template away.")
    return Roll(question.text)


def sampling_of(form: Form, seed: int) -> Sampling:
    """How a reply to an exam in this form is written; a greedy one has no seed.

    Where a model thinks first, stop strings are for what it says behind that: judging cuts there, and nothing ends it.
    """
    drawn = seed if form.temperature else None
    stops = () if form.think_end else form.until
    return Sampling(form.temperature, form.top_p, form.top_k, 1.0, stops, drawn, form.max_tokens)


def _tokens(made: Choose | Write, count: Callable[[str], int]) -> int:
    """Tokens that the model must hold: prompt and longest reply, or prompt and option but for its last token."""
    if isinstance(made, Write):
        return count(made.text) + (made.sampling.max_tokens or 0)
    contexts = made.contexts or (made.text,) * len(made.options)
    return max(count(context + option) for context, option in zip(contexts, made.options, strict=True)) - 1
