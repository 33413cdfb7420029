"""Equality of answers in the manner of Minerva (Lewkowycz et al. 2022, appendix D), and by math-verify."""

from __future__ import annotations

import re

from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.maths.answers import EXTRACTED, NO_ANSWER, finally_said
from proctor.exams.judging.maths.equivalence import equal
from proctor.exams.judging.maths.references import answer_of, solution_of
from proctor.exams.judging.worth import Worth, all_or_none
from proctor.nouns.exams import Question

# Appendix D's lists, in its order.
_REPLACED = (
    ("an ", ""),
    ("a ", ""),
    (".$", "$"),
    ("\\$", ""),
    ("\\ ", ""),
    (" ", ""),
    ("mbox", "text"),
    (",\\text{and}", ","),
    ("\\text{and}", ","),
    ("\\text{m}", "\\text{}"),
)
_UNITS = (
    "square ways integers dollars mph inches ft hours km units \\ldots sue points feet minutes digits cents degrees cm "
    "gm pounds meters meals edges students childrentickets multiples"
)
_MARKS = (
    "\\text{s}",
    "\\text{.}",
    "\\text{\ns}",
    "\\text{}^2",
    "\\text{}^3",
    "\\text{\n}",
    "\\text{}",
    "\\mathrm{th}",
    "^\\circ",
    "^{\\circ}",
    "\\;",
    ",\\!",
    "{,}",
    '"',
    "\\dots",
)
_REMOVED = (*_UNITS.split(), *_MARKS)
_COMMAND = re.compile(r"(\\[a-zA-Z]+)")
_BETWEEN_DOLLARS = re.compile(r"(.*?)(\$)(.*?)(\$)(.*)")
_WRITTEN = (
    (re.compile(r"(\\text\{)(.*?)(\})"), r"\2"),
    (re.compile(r"(\\textbf\{)(.*?)(\})"), r"\2"),
    (re.compile(r"(\\overline\{)(.*?)(\})"), r"\2"),
    (re.compile(r"(\\boxed\{)(.*)(\})"), r"\2"),
    (re.compile(r"(frac)([^{])(.)"), r"frac{\2}{\3}"),
    (re.compile(r"(sqrt)(\[[^\]]*\])(\w)"), r"\1\2{\3}"),
    (re.compile(r"(sqrt)(?!\[)([^{])"), r"sqrt{\2}"),
)
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+")


def minerva_math(question: Question, text: str, read: Reader) -> Worth:
    """`exact_match` of minerva_math 3.1: what is said finally is the same text once normalized, or the difference is 0.

    With `extracted`, the text is the answer already.
    """
    answer = text if read.flag(EXTRACTED) else finally_said(text) or NO_ANSWER
    given, right = normalized(answer), normalized(answer_of(question))
    return all_or_none(bool(given) and (given == right or equal("difference", given, right)))


def math_verify(question: Question, text: str, _: Reader) -> Worth:
    """`math_verify`: what the library math-verify reads out of the reply equals what it reads out of the solution."""
    return all_or_none(equal("verify", text, solution_of(question)))


def normalized(answer: str) -> str:
    """An answer without units, words around it and shorthand, as appendix D of the paper has it."""
    answer = answer.rpartition("=")[2]
    for word in _REMOVED:
        if word.isalpha():  # while white space still says where words end
            answer = re.sub(rf"(?<!\\)\b{word}\b", "", answer)
    for before, after in _REPLACED:
        answer = answer.replace(before, after)
    for word in _REMOVED:
        answer = _outside_commands(answer, word) if word.isalpha() else answer.replace(word, "")
    if "$" in answer:  # for without one the search takes time as the square of the length
        answer = _BETWEEN_DOLLARS.sub(r"$\3$", answer)
    for pattern, written in _WRITTEN:
        answer = pattern.sub(written, answer)
    answer = answer.replace("$", "")
    return answer.replace(",", "") if _THOUSANDS.fullmatch(answer) else answer


def _outside_commands(answer: str, word: str) -> str:
    r"""Without the word, but where it is part of a command, as `ft` is of `\left`."""
    parts = _COMMAND.split(answer)
    parts[::2] = [part.replace(word, "") for part in parts[::2]]
    return "".join(parts)
