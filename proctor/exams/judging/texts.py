"""Metrics that hold an extracted text against the right answers."""

from __future__ import annotations

import re
import string
from decimal import Decimal, InvalidOperation

from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.references import right_texts
from proctor.exams.judging.worth import Worth, all_or_none
from proctor.nouns.exams import Question

IGNORED = ("regexes_to_ignore", "ignore_case", "ignore_punctuation", "ignore_numbers")  # arguments of `exact_match`
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_DIGITS = str.maketrans("", "", string.digits)
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")


def exact_match(question: Question, text: str, read: Reader) -> Worth:
    """`exact_match`: equal to a right answer, once what is to be ignored is off both.

    Off go, in this order and as flagged, `regexes_to_ignore`, case, ASCII punctuation, ASCII digits. White space stays,
    but NUL at an end, which the arrays of lm-evaluation-harness lose. They also cut a text whose lower case is longer
    (`İ`) to its length before; here it stays whole.
    """
    regexes, case = read.patterns("regexes_to_ignore"), read.flag("ignore_case")
    punctuation, digits = read.flag("ignore_punctuation"), read.flag("ignore_numbers")

    def plain(one: str) -> str:
        for regex in regexes:
            one = regex.sub("", one)
        if case:
            one = one.lower()
        if punctuation:
            one = one.translate(_NO_PUNCTUATION)
        if digits:
            one = one.translate(_NO_DIGITS)
        return one.rstrip("\0")

    given = plain(text)
    return all_or_none(any(plain(right) == given for right in right_texts(question)))


def contains(question: Question, text: str, read: Reader) -> Worth:
    """`contains`: a right answer stands somewhere in the text; with `ignore_case`, in either case."""
    ignore_case = read.flag("ignore_case")

    def plain(one: str) -> str:
        return one.casefold() if ignore_case else one

    return all_or_none(any(plain(right) in plain(text) for right in right_texts(question) if right))


def number(question: Question, text: str, _: Reader) -> Worth:
    """`number`: the last number of the text has the value of a right answer's last; thousands commas don't count."""
    given = last_number(text)
    return all_or_none(given is not None and any(last_number(right) == given for right in right_texts(question)))


def last_number(text: str) -> Decimal | None:
    """The value of the last number that is written in digits; None where there is none."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    try:
        return Decimal(found[-1].replace(",", ""))
    except InvalidOperation:  # digits of a script that isn't read as a number
        return None


def pair(question: Question, text: str, _: Reader) -> Worth:
    """`f1`, `mcc`, `weighted_f1` of a text: (right, given) for the set, alone whether they are equal."""
    right = right_texts(question)
    return Worth(float(text in right), (right[0], text))
