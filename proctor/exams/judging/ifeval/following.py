"""Which instructions a reply follows, strictly and loosely, and what that is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proctor.errors import BadExam
from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.ifeval import language, layout, wording
from proctor.exams.judging.ifeval.given import Given
from proctor.exams.judging.references import parts_of
from proctor.exams.judging.worth import Worth
from proctor.nouns.exams import Question

INSTRUCTIONS: Mapping[str, Callable[[str, Given], bool]] = {
    "change_case:capital_word_frequency": wording.capital_words,
    "change_case:english_capital": language.english_capitals,
    "change_case:english_lowercase": language.english_lowercase,
    "combination:repeat_prompt": wording.repeated_prompt,
    "combination:two_responses": layout.two_responses,
    "detectable_content:number_placeholders": layout.placeholders,
    "detectable_content:postscript": layout.postscript,
    "detectable_format:constrained_response": wording.constrained,
    "detectable_format:json_format": layout.json_format,
    "detectable_format:multiple_sections": layout.sections,
    "detectable_format:number_bullet_lists": layout.bullets,
    "detectable_format:number_highlighted_sections": layout.highlights,
    "detectable_format:title": layout.title,
    "keywords:existence": wording.keywords,
    "keywords:forbidden_words": wording.forbidden_words,
    "keywords:frequency": wording.keyword_frequency,
    "keywords:letter_frequency": wording.letter_frequency,
    "language:response_language": language.language,
    "length_constraints:nth_paragraph_first_word": layout.first_word,
    "length_constraints:number_paragraphs": layout.paragraphs,
    "length_constraints:number_sentences": wording.number_sentences,
    "length_constraints:number_words": wording.number_words,
    "punctuation:no_comma": wording.no_comma,
    "startend:end_checker": wording.end,
    "startend:quotation": wording.quotation,
}


def followed(instructions: Sequence[tuple[str, Given]], variants: Sequence[str]) -> tuple[bool, ...]:
    """Of each instruction, whether one of the variants follows it; an empty one follows none."""
    spoken = [one for one in variants if one.strip()]
    return tuple(any(INSTRUCTIONS[name](one, given) for one in spoken) for name, given in instructions)


def loosely(reply: str) -> tuple[str, ...]:
    """The reply and seven more: without its first line, its last, both; and all of these without asterisks."""
    lines = reply.split("\n")
    shorter = ("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))
    whole = (reply, *shorter)
    return (*whole, *(one.replace("*", "") for one in whole))


def of_prompt(loose: bool) -> Callable[[Question, str, Reader], Worth]:
    """`prompt_level_strict_acc`, `_loose_acc`: whether all instructions are followed."""

    def worth(question: Question, text: str, _: Reader) -> Worth:
        every = all(followed(demanded(question), loosely(text) if loose else (text,)))
        return Worth(float(every), float(every))

    return worth


def of_instructions(loose: bool) -> Callable[[Question, str, Reader], Worth]:
    """`inst_level_strict_acc`, `_loose_acc`: of each instruction whether it is followed; alone their share."""

    def worth(question: Question, text: str, _: Reader) -> Worth:
        flags = followed(demanded(question), loosely(text) if loose else (text,))
        return Worth(sum(flags) / len(flags), flags)

    return worth


def demanded(question: Question) -> tuple[tuple[str, Given], ...]:
    """A question's instructions: `instruction_id_list` and `kwargs` of its reference.

    Raises `BadExam` where there are none, or one isn't known.
    """
    parts = parts_of(question)
    names, arguments = parts.get("instruction_id_list"), parts.get("kwargs")
    if not isinstance(names, list) or not isinstance(arguments, list) or not 0 < len(names) == len(arguments):
        raise BadExam(f"Question {question.index} has no instruction_id_list and kwargs, one each, in its reference.")
    if unknown := [name for name in names if name not in INSTRUCTIONS]:
        raise BadExam(f"Question {question.index} has an instruction that isn't known: {unknown[0]!r}.")
    return tuple(zip(names, (Given(one or {}) for one in arguments), strict=True))
