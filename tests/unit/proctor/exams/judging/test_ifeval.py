"""IFEval's instructions one by one, strictly and loosely."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.errors import BadExam
from proctor.exams.judging import metrics
from proctor.exams.judging.ifeval.following import INSTRUCTIONS, demanded, followed, loosely
from proctor.exams.judging.ifeval.language import detected
from proctor.exams.judging.ifeval.sentences import runs_of, sentences_of, words_of
from proctor.exams.tasks.form import Kind, Metric
from proctor.nouns.exams import Question

Instruction = tuple[str, dict[str, Any]]


def asked(*instructions: Instruction) -> Question:
    names, arguments = zip(*instructions, strict=True)
    reference = json.dumps({"instruction_id_list": names, "kwargs": arguments})
    return Question("0" * 16, 0, "Write.", reference=reference)


CASES: list[tuple[str, dict[str, Any], str, bool]] = [
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "A WELL-KNOWN man",
        True,
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "less than"},
        "A WELL-KNOWN man",
        False,
    ),
    ("change_case:english_capital", {}, "THIS IS WRITTEN IN ENGLISH.", True),
    ("change_case:english_capital", {}, "DAS IST AUF DEUTSCH GESCHRIEBEN.", False),
    ("change_case:english_capital", {}, "This is written in English.", False),
    ("change_case:english_lowercase", {}, "this is written in english, all of it.", True),
    ("change_case:english_lowercase", {}, "12345", False),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, " say IT. It.", True),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "It. Say it.", False),
    ("combination:two_responses", {}, "one\n******\ntwo", True),
    ("combination:two_responses", {}, "******one******two", True),
    ("combination:two_responses", {}, "one******one ", False),
    ("combination:two_responses", {}, "one************two", False),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [place]", True),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name\nof] place", False),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\np. s. More", True),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P.S. More", False),
    ("detectable_content:postscript", {"postscript_marker": "NB"}, "nb: more", True),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe.", True),
    ("detectable_format:constrained_response", {}, "maybe", False),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', True),
    ("detectable_format:json_format", {}, "{a: 1}", False),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1 a SECTION 2 b",
        True,
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "Section 1 a SECTION 2 b",
        False,
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n - b\n**c**", True),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b\n- c", False),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and *b*", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "**a** and * *", False),
    ("detectable_format:title", {}, "<<a title>>", True),
    ("detectable_format:title", {}, "<<>> <<\n>>", False),
    ("keywords:existence", {"keywords": ["art", "c++"]}, "Partly C++", True),
    ("keywords:existence", {"keywords": ["art", "tea"]}, "art", False),
    ("keywords:forbidden_words", {"forbidden_words": ["art"]}, "party", True),
    ("keywords:forbidden_words", {"forbidden_words": ["art"]}, "The Art!", False),
    ("keywords:frequency", {"keyword": "an ", "frequency": 2, "relation": "at least"}, "An ant", True),
    ("keywords:frequency", {"keyword": "an", "frequency": 2, "relation": "less than"}, "An ant", False),
    ("keywords:letter_frequency", {"letter": "A", "let_frequency": 2, "let_relation": "at least"}, "a B a", True),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "# a", False),
    ("language:response_language", {"language": "de"}, "Das ist auf Deutsch geschrieben.", True),
    ("language:response_language", {"language": "fr"}, "Das ist auf Deutsch geschrieben.", False),
    ("language:response_language", {"language": "fr"}, "12345", True),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        "a\n\n'then, b",
        True,
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
        "a\n\nthen\n\nc",
        False,
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "then"},
        "then",
        False,
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\na\n***\nb", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a *** *** b", False),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "less than"},
        "Dr. Li paid 3.5 crowns.",
        True,
    ),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "It rains. It pours.", True),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "It rains! Why?", False),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "well-known man", True),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "well-known man", False),
    ("punctuation:no_comma", {}, "a、b", True),
    ("punctuation:no_comma", {}, "a, b", False),
    ("startend:end_checker", {"end_phrase": "the end."}, '"This is THE END." ', True),
    ("startend:end_checker", {"end_phrase": "the end."}, "The end. Or not", False),
    ("startend:quotation", {}, ' "a" ', True),
    ("startend:quotation", {}, '"', False),
]


@pytest.mark.parametrize(("name", "arguments", "reply", "follows"), CASES)
def test_whether_a_reply_follows_an_instruction(
    name: str, arguments: dict[str, Any], reply: str, follows: bool
) -> None:
    assert followed(demanded(asked((name, arguments))), (reply,)) == (follows,)


def test_every_instruction_has_a_case_on_either_side() -> None:
    assert {(name, follows) for name, _, _, follows in CASES} == {
        (name, follows) for name in INSTRUCTIONS for follows in (True, False)
    }


NO_COMMA: Instruction = ("punctuation:no_comma", {"num_words": None})
QUOTED: Instruction = ("startend:quotation", {})


def of(name: str, question: Question, reply: str) -> object:
    return metrics.of_text(Metric(name), question, reply).item


def test_strict_and_loose_by_prompt_and_by_instruction() -> None:
    question, reply = asked(NO_COMMA, QUOTED), 'Sure, here it is:\n"a"\n'
    assert of("prompt_level_strict_acc", question, reply) == 0.0
    assert of("inst_level_strict_acc", question, reply) == (False, False)
    assert of("prompt_level_loose_acc", question, reply) == 1.0
    assert of("inst_level_loose_acc", question, reply) == (True, True)
    assert metrics.of_text(Metric("inst_level_strict_acc"), question, '"a, b"').points == 0.5


def test_instructions_are_counted_over_the_set_each_alike() -> None:
    items = [(True, True, False), (False,)]
    assert metrics.summed_up(Kind.WRITE, Metric("inst_level_strict_acc"), items) == 0.5


@pytest.mark.parametrize("reply", ["", " \n "])
def test_an_empty_reply_follows_nothing(reply: str) -> None:
    question = asked(NO_COMMA)
    assert of("inst_level_strict_acc", question, reply) == of("inst_level_loose_acc", question, reply) == (False,)


def test_the_language_is_told_the_same_every_time() -> None:
    assert len({detected("no die a la") for _ in range(20)}) == 1


def test_sentences_and_words_need_no_download() -> None:
    assert sentences_of("Mr. J. Smith of Acme Inc. left at 3.15 p.m. on foot. Why? Nobody... knows.") == [
        "Mr. J. Smith of Acme Inc. left at 3.15 p.m. on foot.",
        "Why?",
        "Nobody... knows.",
    ]
    assert words_of("I DON'T. It's WELL-KNOWN.") == ["I", "DO", "N'T", ".", "It", "'s", "WELL-KNOWN", "."]
    assert len(runs_of("नमस्ते दुनिया")) == 2


@pytest.mark.parametrize(
    ("instruction", "problem"),
    [
        (("keywords:rhyme", {}), "isn't known: 'keywords:rhyme'"),
        (("keywords:existence", {"keywords": "art"}), "a list of texts"),
        (("keywords:letter_frequency", {"let_frequency": 3}), "letter = None"),
        (("length_constraints:number_words", {"num_words": "three"}), "a number"),
        (("length_constraints:number_words", {"relation": "about"}), "`less than` or `at least`"),
    ],
)
def test_an_instruction_that_can_t_be_checked_is_named(instruction: Instruction, problem: str) -> None:
    with pytest.raises(BadExam, match=problem):
        of("prompt_level_strict_acc", asked(instruction), "reply")


def test_a_reference_without_instructions_is_named() -> None:
    with pytest.raises(BadExam, match="no instruction_id_list"):
        of("prompt_level_strict_acc", Question("0" * 16, 0, "Write.", reference="0"), "reply")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80) | st.text('*-\n "<>[]{}#.P S1', max_size=60), st.sampled_from(CASES))
def test_no_check_raises_on_any_text_and_loosely_is_never_stricter(
    reply: str, case: tuple[str, dict[str, Any], str, bool]
) -> None:
    demands = demanded(asked((case[0], case[1])))
    strict, loose = followed(demands, (reply,)), followed(demands, loosely(reply))
    assert strict <= loose
