"""Each filter by itself, and chains of them: what is extracted, and what a fallback stands in for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.errors import BadExam, BadScores
from proctor.exams.judging.chains import FILTERS, Outcome, through
from proctor.exams.judging.filters import select
from proctor.exams.judging.number_words import PHRASE, value_of
from proctor.exams.judging.replies import ReadReply, Standing
from proctor.exams.tasks.form import Chain, Step
from proctor.nouns.exams import Question

ASKED = Question("0" * 16, 0, "Q: Sort them.\nList: pear fig apple\nOptions:\n(A) red wine\n(B) Red\nA:")
CHOSEN = Question("0" * 16, 0, "Which?", choices=("Guilty", "Guilty of Romance", "nothing"), answer=0)


def sent(*steps: Step | str, replies: tuple[str, ...], asked: Question = ASKED) -> Outcome:
    chain = Chain("one", tuple(Step(step) if isinstance(step, str) else step for step in steps))
    return through(chain, [ReadReply(reply) for reply in replies], asked)


def extracted(step: Step | str, reply: str, asked: Question = ASKED) -> str | None:
    return sent(step, replies=(reply,), asked=asked).extracted


def regex(pattern: str, **arguments: object) -> Step:
    return Step("regex", {"regex_pattern": pattern, **arguments})


@pytest.mark.parametrize(
    ("step", "reply", "answer"),
    [
        (Step("regex"), "so #### 1,234.", "1,234."),
        (Step("regex"), "#### $18", None),
        (Step("regex"), "#### 1 or #### 2", "1"),
        (regex("#### (.*)", group_select=-1), "#### 1\n####  2 ", "2"),
        (regex("(a)|(b)", group_select=-1), "ab", "b"),
        (regex("(a)?(b)?", group_select=0), "c", None),
        (regex("a", group_select=3), "aaa", None),
        (regex("a", group_select=-4), "aaa", None),
        (regex("x*"), "y", None),
        (regex(r"The answer is (\-?[0-9\.\,]+)."), "The answer is 18", "1"),
        (regex(r"The answer is (\-?[0-9\.\,]+)."), "The answer is 18.", "18"),
        (Step("remove_whitespace"), " \n18 ", "18"),
        (Step("lowercase"), "Yes", "yes"),
        (Step("uppercase"), "Yes", "YES"),
        (Step("map", {"mapping_dict": {"yes": "1"}}), "yes", "1"),
        (Step("map", {"mapping_dict": {"yes": "1"}, "default_value": "0"}), "no", None),
        (Step("number_or_words", {"regex_pattern": "([-0-9]+)"}), "It is -3", "-3"),
        (Step("number_or_words", {"regex_pattern": "([-0-9]+)"}), "Two hundred and forty one", "241"),
        (Step("number_or_words", {"regex_pattern": "([-0-9]+)"}), "It is seven", None),
        (Step("number_or_words", {"regex_pattern": "([-0-9]+)"}), "a million million", None),
        (Step("map_regex", {"regex_pattern_to_value": {"no": "No", "yes": "Yes"}}), "well, yes", "Yes"),
        (Step("map_regex", {"regex_pattern_to_value": {"no": "No"}}), "maybe", None),
        (Step("sorted_words"), "pear fig; so apple fig pear", "apple fig pear"),
        (Step("sorted_words"), "figs", None),
        (Step("options_in_text", {"regex_pattern": r"(\([A-Z]\))"}), "It is (B)", "(B)"),
        (Step("options_in_text", {"regex_pattern": r"(\([A-Z]\))", "ignore_case": True}), "RED WINE!", "(A)"),
        (Step("options_in_text", {"regex_pattern": r"(\([A-Z]\))"}), "answer: B", "(B)"),
        (Step("code_block"), "python\nx = 1\n```\nDone.", "x = 1"),
        (Step("code_behind_prompt_to_fence"), " pass\n```\nThat", ASKED.text + " pass\n"),
    ],
)  # fmt: skip
def test_what_a_filter_extracts(step: Step, reply: str, answer: str | None) -> None:
    assert extracted(step, reply) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("guilty OF romance, I say", "(B)"),
        ("Guilty!", "(A)"),
        ("Guilty… of “Romance”", "(B)"),
        ("(C) or Guilty", "(C)"),
        ("Answer: C", "(C)"),
        ("Answer: D", None),
    ],
)
def test_a_choice_is_known_by_the_pattern_then_its_wording_then_its_letter(reply: str, answer: str | None) -> None:
    arguments = {"regex_pattern": r"(\([A-Z]\))", "ignore_case": True, "ignore_punctuation": True}
    assert extracted(Step("multi_choice_regex", arguments), reply, CHOSEN) == answer


def test_without_choices_the_pattern_alone_finds_one() -> None:
    step = Step("multi_choice_regex", {"regex_pattern": r"(\([A-Z]\))"})
    assert [extracted(step, reply) for reply in ("(B)", ": B", "")] == ["(B)", None, None]


NUMBERS = {
    0: "zero",
    8: "eight",
    13: "thirteen",
    21: "twenty one",
    38: "thirty-eight",
    40: "forty",
    77: "seventy, seven",
    100: "hundred",
    119: "hundred nineteen",
    1_000: "thousand",
    2_515: "two thousand five hundred & fifteen",
    3_000_060: "three million and sixty",
    4_000_000_000: "four billion",
    12_000_000_000_000: "twelve trillion",
}


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_in_words_have_their_value(value: int) -> None:
    assert value_of(NUMBERS[value]) == value


UP_TO_TWENTY = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
"""


def test_each_number_word_stands_between_its_neighbours() -> None:
    assert [value_of(word) for word in UP_TO_TWENTY.split()] == list(range(21))
    tens = "ten twenty thirty forty fifty sixty seventy eighty ninety hundred"
    assert [value_of(word) for word in tens.split()] == list(range(10, 101, 10))


def test_without_a_list_in_the_question_no_words_are_sorted() -> None:
    assert extracted(Step("sorted_words"), "apple pear", CHOSEN) is None


@pytest.mark.parametrize("phrase", ["", "and", "million million", "two thousand thousand"])
def test_what_is_no_number_in_words_has_no_value(phrase: str) -> None:
    assert value_of(phrase) is None


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("it is two hundred, and forty one.", "two hundred, and forty one"),
        ("seventy-eight", "seventy"),
        ("someone", "one"),
        ("six", None),
        ("sixty six", "sixty"),
        ("two million", "two million"),
        ("eight", None),
        ("eighteen", "eighteen"),
    ],
)
def test_numbers_in_words_are_found_as_the_release_finds_them(text: str, phrase: str | None) -> None:
    assert select(PHRASE, text, 0) == phrase


def test_choices_stand_in_the_reference_where_the_question_has_none() -> None:
    asked = Question("0" * 16, 0, "Which?", reference='{"right": "(B)", "choices": ["red", "blue"]}')
    assert extracted(Step("multi_choice_regex"), "It is blue.", asked) == "(B)"


def test_the_next_filter_is_given_the_fallback_and_what_it_finds_there_is_not_found() -> None:
    outcome = sent(regex("x", fallback="B"), "lowercase", replies=("y",))
    assert (outcome.text, outcome.extracted, outcome.standing) == ("b", None, Standing.NOTHING)


def test_the_vote_goes_to_the_most_common_text_and_of_equals_to_the_first() -> None:
    assert sent("majority_vote", replies=("2", "1", "1", "2", "3")).text == "2"
    assert sent(Step("take_first_k", {"k": 3}), "majority_vote", replies=("2", "1", "1", "2", "2")).text == "1"


def test_the_first_of_several_replies_is_taken() -> None:
    assert sent("take_first", replies=("b", "a")).text == "b"


def test_fewer_replies_than_are_to_be_judged_are_an_error() -> None:
    with pytest.raises(BadScores, match="2 replies, and the first 3"):
        sent(Step("take_first_k", {"k": 3}), replies=("a", "b"))


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step("rejex"), "No filter is called 'rejex'"),
        (Step("regex", {"patern": "x"}), "knows no argument patern"),
        (regex("("), "a regular expression"),
        (Step("regex", {"group_select": "last"}), "a whole number"),
        (Step("regex", {"fallback": ["x"]}), "a text"),
        (Step("map", {"mapping_dict": "x"}), "a mapping"),
        (Step("multi_choice_regex", {"ignore_case": "yes"}), "true or false"),
        (Step("multi_choice_regex", {"regexes_to_ignore": [1]}), "a list of expressions"),
        (Step("map_regex", {"regex_pattern_to_value": {"(": "x"}}), "a regular expression"),
    ],
)
def test_a_chain_that_can_t_be_made_is_named(step: Step, problem: str) -> None:
    with pytest.raises(BadExam, match=problem):
        sent(step, replies=("x",))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "regex": {"regex_pattern": r"(\d+)|(x*)", "group_select": -2},
    "map_regex": {"regex_pattern_to_value": {"(x)|(y)?": "1", r"\d": "2"}, "ignore_case": True},
    "multi_choice_regex": {"regexes_to_ignore": ["x"], "ignore_punctuation": True, "group_select": 1},
    "options_in_text": {"ignore_punctuation": True},
    "map": {"mapping_dict": {"x": "y"}},
}


@settings(max_examples=60)
@given(st.lists(st.text() | st.text("(AB): \n#1one`x"), min_size=1, max_size=3), st.sampled_from(sorted(FILTERS)))
def test_no_filter_raises_on_any_text(replies: list[str], name: str) -> None:
    for asked in (ASKED, CHOSEN, Question("0" * 16, 0, "List: ( [ \\\n(A)(B)")):
        outcome = sent(Step(name, ARGUMENTS.get(name, {})), replies=tuple(replies), asked=asked)
        assert (outcome.extracted is None) == (outcome.standing is not Standing.EXTRACTED)
