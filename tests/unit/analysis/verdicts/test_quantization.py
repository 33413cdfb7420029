"""What quantizations cost, suspect keys as a list, and rows that become panels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.data.panel import Panel
from analysis.data.panel_rows import Copies, Row, Sheet, gather
from analysis.data.terms import Condition
from analysis.stats.options import mean_divergence
from analysis.stats.verdict import Finding
from analysis.verdicts.candidates import Candidate
from analysis.verdicts.compare import NotComparable, compare, side_by_side
from analysis.verdicts.quantization import quantization_changes
from analysis.verdicts.suspects import scored_keys, suspects
from proctor.contestants import Contestant
from tests.panels import QUANTS, TERMS, panel_of


def test_each_quantization_is_compared_with_its_own_model_unquantized() -> None:
    panel = panel_of(6, 4, 50, quants=QUANTS)
    changes = quantization_changes(panel, 0.01)
    assert [(change.base, change.changed) for change in changes] == [(0, 1), (0, 2), (3, 4), (3, 5)]
    for change in changes:
        pair = change.verdict.pair
        assert pair == panel.pair(change.base, change.changed)
        assert change.other_picks is not None
        assert change.other_picks >= pair.discordant
        assert change.verdict.p >= pair.p
        assert panel.logprob is not None
        expected = mean_divergence(panel.logprob[change.base], panel.logprob[change.changed])
        assert change.divergence == pytest.approx(expected)


def test_a_quantization_on_another_device_has_nothing_to_be_compared_with() -> None:
    panel = panel_of(2, 2, quants=("none", "4bit"))
    base, changed = panel.contestants
    elsewhere = replace(panel, contestants=(replace(base, device="gpu"), replace(changed, device="cpu")))
    assert quantization_changes(elsewhere, 0.01) == []


def test_the_same_answers_are_within_any_margin_given_enough_questions() -> None:
    panel = panel_of(2, 10, 100, quants=("none", "4bit"))
    same = replace(panel, correct=panel.correct[[0, 0]], picked=panel.picked[[0, 0]])
    (change,) = quantization_changes(same, 0.01)
    assert change.verdict.finding is Finding.WITHIN
    assert change.verdict.few_discordant


def test_a_key_against_all_models_is_the_first_suspect() -> None:
    panel = panel_of(5, 3, 30)
    key = panel.key.copy()
    picked = np.tile(key, (5, 1))
    picked[:, 17] = (key[17] + 1) % 4
    wrong = replace(panel, picked=picked, correct=picked == key)
    (first,) = suspects(wrong)
    assert first.question == 17
    assert first.votes.split(", ")[1].endswith(" 5")


def test_quantizations_of_one_model_do_not_outvote_a_key() -> None:
    assert suspects(panel_of(6, 3, quants=QUANTS)) == []  # two models


def row(index: int, picked: int | None, who: str = "m", text: str = "") -> Row:
    return Row(Contestant(who), "law", index, text or f"Question {index}?", ("a", "b"), 0, picked)


def test_rows_become_a_panel_and_a_second_copy_is_dropped() -> None:
    rows = [row(0, 0), row(1, 1), row(2, None), row(3, 1, text="Question 0?")]
    other = row(1, 0, "n")
    sheets = (
        Sheet(rows[0].contestant, TERMS, "m.jsonl", tuple(rows)),
        Sheet(other.contestant, TERMS, "n.jsonl", (other,)),
    )
    gathered = gather(sheets)
    (panel,) = (one.panel for one in gathered.sets)
    assert gathered.copies == (Copies("m.jsonl", 1, other_picks=1, other_keys=0, other_prompts=0),)
    assert panel.asked.tolist() == [[True, True, True], [False, True, False]]
    assert panel.correct.tolist() == [[True, False, False], [False, True, False]]
    assert panel.unanswered.tolist() == [1, 0]
    assert panel.logprob is None


def voted(letters: list[str], key: str, believed: float = 0.5) -> Panel:
    """A panel of one question a letter of `key` besides 20 that all models have right; a row of picks a model."""
    panel = panel_of(len(letters), 1, 20 + len(key))
    keys = np.concatenate([np.zeros(20, dtype=np.int8), ["ABCD".index(letter) for letter in key]]).astype(np.int8)
    picked = np.array([[0] * 20 + ["ABCD-".index(letter) for letter in row] for row in letters], dtype=np.int8)
    picked[picked == 4] = -1
    chance = np.full((*picked.shape, 4), (1 - believed) / 3)
    np.put_along_axis(chance, np.broadcast_to(keys[:, None], (*picked.shape, 1)), believed, axis=2)
    questions = panel.questions.assign(answer=keys)
    logprob = np.log(chance).astype(np.float32)
    return replace(panel, questions=questions, picked=picked, correct=picked == keys, logprob=logprob)


def test_a_question_on_which_key_and_rival_are_level_is_no_suspect() -> None:
    panel = voted(["AB", "AB", "BA", "BA"], "AA")
    assert suspects(panel) == []
    assert [one.margin for one in scored_keys(panel) if one.question >= 20] == [0.0, 0.0]


def test_a_question_that_nobody_answered_has_no_rival() -> None:
    (last,) = [one for one in scored_keys(voted(["-", "-", "-"], "A")) if one.question == 20]
    assert (last.rival, last.votes, last.margin) == ("", "A 0", 0.0)


def test_options_that_are_level_against_the_key_are_named_together() -> None:
    (found,) = suspects(voted(["B", "B", "C", "C"], "A"))
    assert found.rival == "B: b, or C: c"
    assert found.votes == "A 0, B 2, C 2"


def test_of_two_equal_suspects_the_less_believed_key_is_first() -> None:
    panel = voted(["BB", "BB", "BB"], "AA", believed=0.2)
    assert panel.logprob is not None
    logprob = panel.logprob.copy()
    for less, more in ((21, 20), (20, 21)):
        logprob[:, [less, more]] = panel.logprob[:, [less, more]]
        logprob[:, less, 0] = -4.0
        first, second = suspects(replace(panel, logprob=logprob))
        assert first.score == second.score
        assert (first.question, second.question) == (less, more)


def test_every_question_is_scored_and_only_the_outvoted_are_suspects() -> None:
    panel = voted(["BA", "BA", "BB"], "AA")
    scored = scored_keys(panel)
    assert sorted(one.question for one in scored) == list(range(22))
    assert [one.score for one in scored] == sorted((one.score for one in scored), reverse=True)
    assert [one.question for one in suspects(panel)] == [20]
    assert scored_keys(panel.of([0, 1])) == []


def candidate(panel: Panel, place: int, exams: dict[str, str] | None = None) -> Candidate:
    return Candidate(panel.labels[place], replace(panel.of([place]), exams=exams or {}), "trial")


def test_a_comparison_matches_questions_one_to_one_whatever_their_order() -> None:
    panel = panel_of(2, 3)
    order = np.random.default_rng(1).permutation(len(panel.questions))
    second = panel.of([1])
    shuffled = replace(
        second,
        questions=second.questions.iloc[order].reset_index(drop=True),
        asked=second.asked[:, order],
        correct=second.correct[:, order],
        picked=second.picked[:, order],
        logprob=None,
    )
    found = compare(candidate(panel, 0), Candidate("other", shuffled, "trial"), 0.01)
    assert found.verdict.pair == panel.pair(0, 1)
    assert len(found.lost) == found.verdict.pair.lost
    assert sum(lead.pair.asked for lead in found.leads) == len(panel.questions)


def test_leads_come_with_the_smallest_p_first_and_then_the_largest_change() -> None:
    panel = panel_of(2, 4, 50)
    correct = np.ones((2, 200), dtype=bool)
    for subject, lost in enumerate((1, 12, 0, 3)):
        correct[1, 50 * subject : 50 * subject + lost] = False
    found = compare(candidate(replace(panel, correct=correct), 0), candidate(replace(panel, correct=correct), 1), 0.01)
    assert [lead.subject[-2:] for lead in found.leads] == ["01", "03", "00", "02"]
    assert [lead.pair.lost for lead in found.leads] == [12, 3, 1, 0]
    own = [lead.pair.p for lead in found.leads]
    assert found.leads[0].p == pytest.approx(4 * own[0])
    assert found.leads[1].p == pytest.approx(2 * own[1])
    assert [lead.p for lead in found.leads[2:]] == pytest.approx([4 / 3 * own[2], 1.0])


def test_dropped_shots_are_compared_only_where_shots_are_what_may_differ() -> None:
    panel = panel_of(2, 1, 20)
    shots = np.full((2, 20), 5, dtype=np.int8)
    shots[0, :8] = 3
    plain, chat = (candidate(replace(panel, shots=shots), place) for place in (0, 1))
    chat = replace(chat, panel=replace(chat.panel, terms=replace(TERMS, chat_template=True)))
    asked = {
        across: compare(plain, chat, 0.01, across).verdict.pair.asked
        for across in ((Condition.TEMPLATE,), (Condition.TEMPLATE, Condition.SHOTS))
    }
    assert list(asked.values()) == [12, 20]


def test_a_changed_exam_is_refused_by_its_subject() -> None:
    panel = panel_of(2, 1)
    with pytest.raises(NotComparable, match="another exam content in law"):
        side_by_side(candidate(panel, 0, {"law": "1"}), candidate(panel, 1, {"law": "2"}))


def test_a_mended_key_is_refused() -> None:
    panel = panel_of(2, 1)
    mended = panel.of([1])
    questions = mended.questions.assign(answer=(mended.questions["answer"] + 1) % 4)
    with pytest.raises(NotComparable, match="another answer key"):
        side_by_side(candidate(panel, 0), Candidate("other", replace(mended, questions=questions), "trial"))
