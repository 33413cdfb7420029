"""Equality of answers as the authors of the MATH data set judge it (Hendrycks et al. 2021)."""

from __future__ import annotations

import re

from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.maths.answers import EXTRACTED, in_dollars
from proctor.exams.judging.maths.references import answer_of
from proctor.exams.judging.worth import Worth, all_or_none
from proctor.nouns.exams import Question

_REPLACED = (
    ("\n", ""),
    ("\\!", ""),
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    ("\\left", ""),
    ("\\right", ""),
    ("^{\\circ}", ""),
    ("^\\circ", ""),
    ("\\$", ""),
)
_UNIT = "\\text{ "
_DECIMALS = (("\\%", ""), (" .", " 0."), ("{.", "{0."))
_ROOT = re.compile(r"\\sqrt(?!\{)(.)")


def hendrycks_math(question: Question, text: str, read: Reader) -> Worth:
    """`exact_match` of hendrycks_math: what stands between dollars is the answer, once both are written alike.

    With `extracted`, the text is the answer already.
    """
    given = text if read.flag(EXTRACTED) else in_dollars(text)
    return all_or_none(same(given, answer_of(question)))


def same(given: str, right: str) -> bool:
    """Whether two answers are the same without units, spaces, sizes of brackets and shorthand.

    Where the LaTeX of one breaks off they are compared as they are.
    """
    try:
        return _plain(given) == _plain(right)
    except _Broken:
        return given == right


class _Broken(ValueError):
    """LaTeX that ends where an argument is due, has two units, or a quotient of anything but whole numbers."""


def _plain(answer: str) -> str:
    for before, after in _REPLACED:
        answer = answer.replace(before, after)
    if answer.count(_UNIT) > 1:
        raise _Broken
    answer = answer.partition(_UNIT)[0]
    for before, after in _DECIMALS:
        answer = answer.replace(before, after)
    if answer.startswith("."):
        answer = f"0{answer}"
    sides = answer.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        answer = sides[1]
    if "\\sqrt\\sqrt" in answer or answer.endswith("\\sqrt"):
        raise _Broken
    answer = _fractions(_ROOT.sub(r"\\sqrt{\1}", answer).replace(" ", ""))
    if answer == "0.5":
        return "\\frac{1}{2}"
    return _quotient(answer)


def _quotient(answer: str) -> str:
    r"""`3/4` as `\frac{3}{4}`."""
    parts = answer.split("/")
    if len(parts) != 2:
        return answer
    try:
        above, below = int(parts[0]), int(parts[1])
    except ValueError as error:
        raise _Broken from error
    return f"\\frac{{{above}}}{{{below}}}" if answer == f"{above}/{below}" else answer


def _fractions(answer: str) -> str:
    r"""`\frac12` and `\frac1{72}` with braces around both; all as it is where one breaks off."""
    head, *parts = answer.split("\\frac")
    written = [head]
    for part in parts:
        if not part:
            raise _Broken
        if part.startswith("{"):
            written.append(part)
        elif len(part) < 2:
            return answer
        else:
            below = part[1:] if part[1] == "{" else f"{{{part[1]}}}{part[2:]}"
            written.append(f"{{{part[0]}}}{below}")
    return "\\frac".join(written)
