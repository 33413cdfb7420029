"""BLEU, chrF, TER and ROUGE: of a sentence, of a set, and TruthfulQA's figures of them."""

from __future__ import annotations

import json

import pytest

from proctor.errors import BadExam
from proctor.exams.judging import metrics
from proctor.exams.judging.worth import Item, Worth
from proctor.exams.tasks.form import Kind, Metric
from proctor.nouns.exams import Question

BOTH = json.dumps({"correct_answers": ["The sky is blue ", ""], "incorrect_answers": ["The sky is a dome."]})


def of(name: str, reference: str, text: str) -> Worth:
    return metrics.of_text(Metric(name), Question("0" * 16, 0, "Why?", reference=reference), text)


def figure(name: str, *items: Item) -> float:
    return metrics.summed_up(Kind.WRITE, Metric(name), items)


@pytest.mark.parametrize("name", ["bleu", "chrf", "chrf++", "ter"])
def test_the_same_text_has_all_points_and_another_none(name: str) -> None:
    same, other = of(name, "the cat sat on the mat", "the cat sat on the mat"), of(name, "a b c d", "w x y z")
    assert same.points == pytest.approx(1)
    assert other.points == pytest.approx(0, abs=0.01)
    best = figure(name, same.item)
    assert best == pytest.approx(0 if name == "ter" else 100)


def test_of_five_words_one_to_change_leaves_four_fifths() -> None:
    assert of("ter", "the cat sat on mats", "the cat sat on chairs").points == pytest.approx(0.8)
    assert figure("ter", of("ter", "the cat sat on mats", "the cat sat on chairs").item) == pytest.approx(20)


def test_bleu_of_a_set_is_of_its_counts_and_no_mean() -> None:
    near = of("bleu", "the cat sat on the mat today", "the cat sat on the mat").item
    far = of("bleu", "a red cat sat on the mat", "the cat sat on the red mat").item
    both = figure("bleu", near, far)
    assert 0 < figure("bleu", far) < both < figure("bleu", near)
    assert both != pytest.approx((figure("bleu", near) + figure("bleu", far)) / 2)


def test_truthful_is_what_is_nearer_to_a_right_answer_than_to_any_wrong_one() -> None:
    assert of("rouge1_acc", BOTH, "The sky is blue").item == 1
    assert of("rouge1_acc", BOTH, "The sky is a dome").item == 0
    assert of("rouge1_max", BOTH, "The sky is blue").item == pytest.approx(100)
    difference = of("rouge1_diff", BOTH, "The sky is a dome")
    assert difference.item == pytest.approx(200 * 3 / 9 - 100)
    assert difference.points == pytest.approx((difference.item + 100) / 200)  # type: ignore[operator]  # a figure


def test_having_no_comment_is_always_truthful() -> None:
    assert of("bleu_acc", BOTH, "I have no comment.").points == 1


def test_nothing_said_is_worth_nothing() -> None:
    assert [of(f"{by}_acc", BOTH, "").points for by in ("bleu", "rouge1", "rouge2", "rougeL")] == [0, 0, 0, 0]


def test_without_both_lists_it_is_said_so() -> None:
    for reference in ("blue", '{"correct_answers": [1], "incorrect_answers": []}', '{"correct_answers": ["blue"]}'):
        with pytest.raises(BadExam, match="no lists of correct_answers"):
            of("bleu_acc", reference, "blue")
