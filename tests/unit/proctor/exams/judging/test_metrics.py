"""What each metric says of one question, and how a set is summed up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.errors import BadExam, BadScores
from proctor.exams.judging import metrics, sets
from proctor.exams.judging.worth import Worth
from proctor.exams.tasks.form import Kind, Metric
from proctor.nouns.exams import Question, Scored


def choice(*choices: str, answer: int = 0, further: tuple[int, ...] = ()) -> Question:
    return Question("0" * 16, 0, "Which?", choices=choices, answer=answer, further=further)


def of_choice(name: str, question: Question, *scores: float, greedy: tuple[bool, ...] = ()) -> Worth:
    return metrics.of_scored(Kind.CHOOSE, Metric(name), question, Scored(scores, greedy))


def of_text(reference: str, text: str, name: str, **arguments: object) -> float:
    question = Question("0" * 16, 0, "How many?", reference=reference)
    return metrics.of_text(Metric(name, arguments), question, text).points


def test_a_choice_is_compared_by_its_sum_by_character_and_by_byte() -> None:
    question = choice("ab", "abcd", "ää", answer=1)
    assert of_choice("acc", question, -2, -2.5, -5).points == 0
    assert of_choice("acc_norm", question, -2, -2.5, -5).points == 1
    assert of_choice("acc_bytes", question, -4, -3, -2.9).points == 0
    assert of_choice("acc_norm", question, -4, -3, -1.2).picked == 2


def test_a_tie_picks_nothing() -> None:
    assert of_choice("acc", choice("a", "b"), -1, -1) == Worth(0.0, 0.0, None)


def test_any_of_several_right_choices_is_right() -> None:
    question = choice("a", "b", "c", further=(2,))
    assert [of_choice("acc", question, *scores).points for scores in ((0, -1, -2), (-1, 0, -2), (-1, -2, 0))] == [
        1,
        0,
        1,
    ]


def test_exact_match_of_a_choice_is_that_a_right_one_is_greedy() -> None:
    question = choice("a", "b", "c", further=(2,))
    assert of_choice("exact_match", question, -1, -2, -3, greedy=(False, False, True)).points == 1
    assert of_choice("exact_match", question, -1, -2, -3, greedy=(False, True, False)).points == 0
    with pytest.raises(BadScores, match="whether its options are greedy"):
        of_choice("exact_match", question, -1, -2, -3)


def test_mc2_is_the_right_choices_share_of_the_probability() -> None:
    question = choice("a", "b", "c", further=(2,))
    scores = [math.log(share) for share in (0.1, 0.3, 0.2)]
    assert of_choice("mc2", question, *scores).points == pytest.approx(0.5)
    far = [score - 5000 for score in scores]
    assert of_choice("mc2", question, *far).points == pytest.approx(0.5)


def test_a_figure_can_be_computed_under_another_s_name() -> None:
    metric = Metric("acc", {"function": "mc2"})
    assert metrics.of_scored(Kind.CHOOSE, metric, choice("a", "b"), Scored((-1, -1))).points == 0.5


def test_a_text_s_accuracy_is_that_it_is_greedy_and_its_perplexity_that_of_the_mean() -> None:
    question = Question("0" * 16, 0, "He opened the", reference=" door")

    def of(name: str, logprob: float, greedy: bool = True) -> Worth:
        return metrics.of_scored(Kind.LOGLIKELIHOOD, Metric(name), question, Scored((logprob,), (greedy,)))

    assert (of("acc", -1).points, of("acc", -1, greedy=False).points) == (1, 0)
    items = [of("perplexity", logprob).item for logprob in (-1, -3)]
    assert metrics.summed_up(Kind.LOGLIKELIHOOD, Metric("perplexity"), items) == pytest.approx(math.exp(2))
    assert of("perplexity", -1).points == pytest.approx(math.exp(-1))


def test_a_page_s_perplexities_are_per_word_and_per_byte_over_the_set() -> None:
    pages = [Question("0" * 16, 0, "ä b "), Question("1" * 16, 1, "x", reference='{"words": 5, "bytes": 10}')]

    def figure(name: str) -> float:
        metric = Metric(name)
        items = [metrics.of_scored(Kind.ROLLING, metric, page, Scored((-6.0,))).item for page in pages]
        return metrics.summed_up(Kind.ROLLING, metric, items)

    assert figure("word_perplexity") == pytest.approx(math.exp(12 / (3 + 5)))
    assert figure("byte_perplexity") == pytest.approx(math.exp(12 / (5 + 10)))
    assert figure("bits_per_byte") == pytest.approx(12 / 15 / math.log(2))


@pytest.mark.parametrize(
    ("reference", "text", "arguments", "points"),
    [
        ("1,200", "1200", {"regexes_to_ignore": [","]}, 1),
        ("1,200", "1200", {"ignore_punctuation": True}, 1),
        ("1,200", "1200", {}, 0),
        ("so 9 × 2\n#### 18", "$18.", {"regexes_to_ignore": [r"\$", "(?s).*#### ", r"\.$"]}, 1),
        ("18", "18.0", {"regexes_to_ignore": [r"\.$"]}, 0),
        ("Yes", "yes", {"ignore_case": True}, 1),
        ("Yes", "yes", {}, 0),
        ("Yes", " Yes", {}, 0),
        ("Room", "Room 12", {"ignore_numbers": True}, 0),
        ("Room ", "Room 12", {"ignore_numbers": True}, 1),
        ("»x«", "x", {"ignore_punctuation": True}, 0),
        ('["red", "The Red"]', "red", {"regexes_to_ignore": r"\b(?:The |the )"}, 1),
        ('["Red", "blue"]', "blue", {}, 1),
        ('["Red", "blue"]', "green", {}, 0),
        ("[2,5)", "[2,5)", {}, 1),
        ("[1, 2]", "[1, 2]", {}, 1),
        ('{"right": "red", "choices": ["blue", "red"]}', "red", {}, 1),
        ('{"right": ["red", "pink"]}', "pink", {}, 1),
        ("{1, 2}", "{1, 2}", {}, 1),
    ],
)
def test_a_text_matches_once_what_is_to_be_ignored_is_off_both(
    reference: str, text: str, arguments: dict[str, object], points: float
) -> None:
    assert of_text(reference, text, "exact_match", **arguments) == points


def test_the_text_of_the_right_choice_is_the_answer_where_there_is_no_reference() -> None:
    question = choice(" no", " yes", answer=1)
    assert metrics.of_text(Metric("exact_match"), question, " yes").points == 1


@pytest.mark.parametrize(
    ("reference", "text", "points"),
    [
        ("18", "It is 18.0.", 1),
        ("1,200", "1200", 1),
        ("18", "18 of 20", 0),
        ("18", "none", 0),
        ("-3", "x = -3", 1),
        (".5", "0.50", 1),
    ],
)
def test_numbers_are_equal_by_value(reference: str, text: str, points: float) -> None:
    assert of_text(reference, text, "number") == points


def test_a_text_can_contain_an_answer() -> None:
    assert of_text('["the Seine", "Seine"]', "the river seine, I think", "contains", ignore_case=True) == 1
    assert of_text("Seine", "the river seine", "contains") == 0


def test_without_reference_and_choices_nothing_but_nothing_matches() -> None:
    assert [of_text("", text, "exact_match") for text in ("", "x")] == [1, 0]


def test_unknown_metrics_arguments_and_aggregations_are_named() -> None:
    with pytest.raises(BadExam, match="No metric is called 'acc'"):
        of_text("x", "x", "acc")
    with pytest.raises(BadExam, match="knows no argument ignore_caps"):
        of_text("x", "x", "exact_match", ignore_caps=True)
    with pytest.raises(BadExam, match="'mode', which isn't known"):
        metrics.summary_of(Kind.WRITE, Metric("exact_match", aggregation="mode"))
    with pytest.raises(BadExam, match="exact_match of no questions"):
        metrics.summed_up(Kind.WRITE, Metric("exact_match"), [])


def test_an_aggregation_that_a_task_names_is_used() -> None:
    assert metrics.summed_up(Kind.WRITE, Metric("exact_match", aggregation="median"), [0.0, 1.0, 1.0]) == 1.0


LABELS = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=30)


@given(LABELS)
def test_f1_and_matthews_are_what_the_table_of_counts_gives(pairs: list[tuple[float, float]]) -> None:
    tp, fp = pairs.count((1, 1)), pairs.count((0, 1))
    fn, tn = pairs.count((1, 0)), pairs.count((0, 0))
    assert sets.f1(pairs) == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0)
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert sets.mcc(pairs) == pytest.approx((tp * tn - fp * fn) / root if root else 0)


def test_f1_of_many_labels_is_weighted_by_how_often_each_is_right() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("c", "[invalid]")]
    assert sets.weighted_f1(pairs) == pytest.approx((2 * (2 / 3) + 1 * (2 / 3) + 0) / 4)
    assert sets.macro_f1(pairs) == pytest.approx((2 / 3 + 2 / 3 + 0 + 0) / 4)
    assert sets.micro_f1(pairs) == 0.5
    assert sets.mcc([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]) == 1
    assert sets.mcc([(0.0, -1.0), (1.0, -1.0)]) == 0
