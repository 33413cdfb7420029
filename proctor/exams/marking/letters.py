"""Letters that a model writes, where nobody tells how likely it finds each: the letter is read out of its reply. Pure.

By the first of three rules that finds one: the reply begins with a letter that stands by itself (`B`, `(B)`, `B. No`);
it says which (`The answer is B`); of the letters in it only one stands alone. An `A` before another word is an article.
A reply without a letter is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from proctor.errors import BadScores
from proctor.exams.benchmarks.base import Benchmark, Examinee
from proctor.nouns.conversations import Sampling
from proctor.nouns.exams import (
    LETTERS,
    Ask,
    Choose,
    Conditions,
    Exam,
    Exchange,
    Mark,
    Prompt,
    Question,
    Scoring,
    Write,
    Written,
)

SAMPLING = Sampling(temperature=0.0, max_tokens=64, stop=("\n\n",))  # behind an empty line base models ask on
NOTE = (
    "letters were generated, not scored, as its server gives no log-probabilities of given texts: they are no measure "
    "beside Runs whose letters were scored"
)
_BEGINS = r"^\W*([{letters}])(?=\W*$|[.):\]*]|\s*\n)"
_SAYS = r"(?i:\b(?:answer|choice|option)\b(?:\s+(?:is|would be))?)[\s:*(\[]*([{letters}])\b(?!['’])"
_ALONE = r"(?<![\w'’])([{letters}])(?![\w'’])(?!(?<=A)\s+[a-z])"


def can_be_written(exam: Exam, conditions: Conditions, prompts: Sequence[Prompt]) -> bool:
    """Whether an exam that is to be scored can be asked for its letters instead."""
    by_letters = conditions.scoring is Scoring.LETTERS and not exam.form
    return by_letters and all(isinstance(prompt.ask, Choose) for prompt in prompts)


def written(prompt: Prompt) -> Prompt:
    """The same prompt, behind which the model writes."""
    return replace(prompt, ask=Write(prompt.text, SAMPLING, prompt.shots))


def in_writing(benchmark: Benchmark) -> Benchmark:
    """The benchmark with its letters written and read out of the replies."""
    return replace(benchmark, asks=Write, ask=_nothing_more, mark=mark)


def mark(_exam: Exam, question: Question, exchanges: Sequence[Exchange]) -> Mark:
    """1 point where the letter that was read out of the last reply is the key's. Raises `BadScores` for scores."""
    reply = exchanges[-1].reply
    if not isinstance(reply, Written):
        raise BadScores(f"Question {question.index} has scores where its letter was to be written.")
    text = reply.text.rpartition(reply.think_end)[2] if reply.think_end else reply.text
    letter = letter_of(text, len(question.choices))
    if letter is None:
        return Mark(0.0)
    picked = LETTERS.index(letter)
    return Mark(float(picked == question.key), picked, letter, correct_norm=picked == question.key)


def letter_of(text: str, choices: int) -> str | None:
    """The letter that a reply names, of so many; None where it names none, or several."""
    letters = LETTERS[:choices]
    for rule in (_BEGINS, _SAYS):
        found = re.search(rule.format(letters=letters), text)
        if found is not None:
            return found[1]
    alone = set(re.findall(_ALONE.format(letters=letters), text))
    return alone.pop() if len(alone) == 1 else None


def _nothing_more(
    _exam: Exam, _question: Question, _conditions: Conditions, _examinee: Examinee, _so_far: Sequence[Exchange], /
) -> Ask | None:
    return None
