"""Instructions on words: keywords, letters, counts, beginnings and ends."""

from __future__ import annotations

import re

from proctor.exams.judging.ifeval.given import Given
from proctor.exams.judging.ifeval.sentences import runs_of, sentences_of, words_of
from proctor.exams.judging.patterns import Pattern, pattern_of

ALLOWED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def keywords(reply: str, given: Given) -> bool:
    """`keywords:existence`: each of `keywords` occurs, in any case; within words too."""
    return all(sought(keyword).search(reply) for keyword in given.texts("keywords"))


def keyword_frequency(reply: str, given: Given) -> bool:
    """`keywords:frequency`: `keyword` occurs `relation` `frequency` times."""
    count = len(sought(given.text("keyword").strip()).findall(reply))
    return given.holds("relation", count, "frequency")


def forbidden_words(reply: str, given: Given) -> bool:
    """`keywords:forbidden_words`: none of `forbidden_words` occurs as a word."""
    return not any(sought(word, whole=True).search(reply) for word in given.texts("forbidden_words"))


def letter_frequency(reply: str, given: Given) -> bool:
    """`keywords:letter_frequency`: `letter`, in either case, occurs `let_relation` `let_frequency` times."""
    count = reply.lower().count(given.text("letter").strip().lower())
    return given.holds("let_relation", count, "let_frequency")


def number_words(reply: str, given: Given) -> bool:
    """`length_constraints:number_words`: `relation` `num_words` runs of letters, digits and underscores."""
    return given.holds("relation", len(runs_of(reply)), "num_words")


def number_sentences(reply: str, given: Given) -> bool:
    """`length_constraints:number_sentences`: `relation` `num_sentences` sentences."""
    return given.holds("relation", len(sentences_of(reply)), "num_sentences")


def capital_words(reply: str, given: Given) -> bool:
    """`change_case:capital_word_frequency`: `capital_relation` `capital_frequency` words in capitals."""
    count = sum(word.isupper() for word in words_of(reply))
    return given.holds("capital_relation", count, "capital_frequency")


def end(reply: str, given: Given) -> bool:
    """`startend:end_checker`: it ends with `end_phrase`, in any case; quotation marks around it don't count."""
    return reply.strip().strip('"').lower().endswith(given.text("end_phrase").strip().lower())


def quotation(reply: str, _: Given) -> bool:
    """`startend:quotation`: it stands in double quotation marks."""
    reply = reply.strip()
    return len(reply) > 1 and reply[0] == reply[-1] == '"'


def no_comma(reply: str, _: Given) -> bool:
    """`punctuation:no_comma`: there is no comma of ASCII."""
    return "," not in reply


def constrained(reply: str, _: Given) -> bool:
    """`detectable_format:constrained_response`: one of three sentences occurs."""
    return any(allowed in reply for allowed in ALLOWED)


def repeated_prompt(reply: str, given: Given) -> bool:
    """`combination:repeat_prompt`: it begins with `prompt_to_repeat`, in any case."""
    return reply.strip().lower().startswith(given.text("prompt_to_repeat").strip().lower())


def sought(word: str, whole: bool = False) -> Pattern:
    """A keyword as an expression in any case, as IFEval takes it; one that is no expression means itself."""
    edge = r"\b" if whole else ""
    try:
        return pattern_of(f"{edge}{word}{edge}", re.IGNORECASE)
    except re.error:
        return pattern_of(f"{edge}{re.escape(word)}{edge}", re.IGNORECASE)
