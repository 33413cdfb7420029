"""Metrics on the log-probability of one text: LAMBADA's, and perplexities of whole pages."""

from __future__ import annotations

import math
import re

from proctor.errors import BadExam
from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.choices import greedy_of
from proctor.exams.judging.references import parts_of
from proctor.exams.judging.worth import Worth, all_or_none
from proctor.nouns.exams import Question, Scored

ONLY = 0  # the place of the one text that is scored


def acc(question: Question, reply: Scored, _: Reader) -> Worth:
    """`acc` of a text: all its tokens are the likeliest at their place."""
    return all_or_none(greedy_of(question, reply)[ONLY], ONLY)


def perplexity(_: Question, reply: Scored, __: Reader) -> Worth:
    """`perplexity` of a text: its log-probability for the set, alone its probability."""
    logprob = reply.options_logprob[ONLY]
    return Worth(math.exp(min(0.0, logprob)), logprob, ONLY)


def per_word(question: Question, reply: Scored, _: Reader) -> Worth:
    """`word_perplexity`: (log-probability, words) for the set, alone the probability per word.

    Words are counted in the page as it was before it was prepared, `words` of the reference, else in the text; what
    white space separates is one, an empty end too.
    """
    return _per(reply, words_of(question))


def words_of(question: Question) -> int:
    """The words of a page, as `per_word` counts them."""
    return _count(question, "words", len(re.split(r"\s+", question.text)))


def per_byte(question: Question, reply: Scored, _: Reader) -> Worth:
    """`byte_perplexity`, `bits_per_byte`: (log-probability, bytes in UTF-8); see `per_word`."""
    return _per(reply, _count(question, "bytes", len(question.text.encode())))


def _per(reply: Scored, count: int) -> Worth:
    logprob = reply.options_logprob[ONLY]
    return Worth(math.exp(min(0.0, logprob / count)) if count else 0.0, (logprob, float(count)), ONLY)


def _count(question: Question, what: str, otherwise: int) -> int:
    count = parts_of(question).get(what, otherwise)
    if not isinstance(count, int) or count < 0:
        raise BadExam(f"Question {question.index} has {what} = {count!r}: a number is needed.")
    return count
