"""Filters that single benchmarks of lm-evaluation-harness bring along as code: BIG-Bench Hard, HumanEval, MBPP."""

from __future__ import annotations

import re
from collections.abc import Sequence

from proctor.exams.judging import number_words
from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.filters import GSM8K_ANSWER, INVALID, Filter, choice_by, each, plainer, select
from proctor.exams.judging.references import parts_of
from proctor.nouns.exams import Question

_OPTION = re.compile(r"\([A-Z]\)([^\n^(]*)")
_FENCED = re.compile(r"```(?:\w+)?\n?(.*?)\n?```", re.DOTALL)


def number_or_words(read: Reader) -> Filter:
    """bbh's numbers: a match of `regex_pattern`, else a number in English words, in digits."""
    pattern = read.pattern("regex_pattern", GSM8K_ANSWER)
    place, fallback = read.number("group_select", 0), read.text("fallback", INVALID)

    def extract(text: str, _: Question) -> str | None:
        if match := select(pattern, text, place):
            return match
        phrase = select(number_words.PHRASE, text.lower(), place)
        value = number_words.value_of(phrase) if phrase else None
        return None if value is None else str(value)

    return each(extract, fallback)


def map_regex(read: Reader) -> Filter:
    """bbh's words: the value of that expression of `regex_pattern_to_value` which the match at `group_select` fits."""
    name = "regex_pattern_to_value"
    values = read.mapping(name)
    expressions = [(read.compiled(name, one), value) for one, value in values.items()]
    any_of = read.compiled(name, "|".join(values))
    place, fallback, plain = read.number("group_select", 0), read.text("fallback", INVALID), plainer(read)

    def extract(text: str, _: Question) -> str | None:
        match = select(any_of, plain(text), place)
        if not match:
            return None
        match = plain(match)
        return next((value for one, value in expressions if select(one, match, place)), None)

    return each(extract, fallback)


def options_in_text(read: Reader) -> Filter:
    """bbh's options: as `multi_choice_regex`, the choices being what stands behind `(A)`, `(B)`, … in the question."""
    return choice_by(_options, read)


def _options(question: Question) -> Sequence[str]:
    return _OPTION.findall(question.text)


def sorted_words(_: Reader) -> Filter:
    """bbh's word_sorting: the words of the question's list in the order in which the reply has each last."""

    def extract(text: str, question: Question) -> str | None:
        listed = question.text.partition("List:")[2].partition("\n")[0].split()
        if not listed:
            return None
        pattern = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in listed))
        last_first = dict.fromkeys(reversed(pattern.findall(text)))
        return " ".join(reversed(last_first))

    return each(extract)


def code_behind_prompt(_: Reader) -> Filter:
    """HumanEval: the function's head from the question, and the reply as its body."""
    return each(lambda text, question: _head(question) + text)


def code_behind_prompt_to_fence(_: Reader) -> Filter:
    """HumanEval for chats: as before, the reply up to the first fence of three backticks."""
    return each(lambda text, question: _head(question) + text.partition("```")[0])


def code_block(_: Reader) -> Filter:
    """MBPP for chats: the first fenced block, the fence before the reply being open already."""

    def extract(text: str, _: Question) -> str | None:
        found = _FENCED.findall("```" + text) or _FENCED.findall(text.replace("```python", "```"))
        return found[0] if found else None

    return each(extract, "")


def _head(question: Question) -> str:
    return str(parts_of(question).get("prompt", question.text))
