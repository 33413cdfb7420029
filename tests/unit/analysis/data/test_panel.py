"""Contestants, panels, common ground, standings and the words for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.data.panel import Panel, level
from analysis.data.panel_rows import gather
from analysis.data.phrases import listed
from analysis.data.results import answers_frame
from analysis.data.shots import by_shots
from analysis.data.tables import (
    PERCENT,
    Column,
    Table,
    harmless,
    p_value,
    to_csv,
    to_markdown,
    to_text,
    told_apart,
    unharmed,
)  # fmt: skip
from analysis.exchange.wide_csv import read_wide_csv
from analysis.graphs.overlap import distribution_title
from analysis.stats.intervals import AgainstChance
from analysis.stats.overlap import error_kappa
from analysis.stats.paired import Paired
from analysis.stats.verdict import judge
from analysis.verdicts.standings import Standings, stand
from analysis.verdicts.wording import chance_sentences, standing_title, verdict_sentence
from proctor.errors import BadInput
from tests.panels import QUANTS, TERMS, panel_of
from tests.support import shared_data


def without(panel: Panel, place: int, questions: slice) -> Panel:
    """The panel in which a contestant was not asked some questions."""
    asked = panel.asked.copy()
    asked[place, questions] = False
    return replace(panel, asked=asked)


def wide_panel(path: Path) -> Panel:
    """The one panel of a CSV with a column a model."""
    (only,) = gather(read_wide_csv(path)).sets
    return only.panel


def always(panel: Panel, right: float) -> Panel:
    """The panel of one contestant with that share right."""
    correct = np.zeros((1, len(panel.questions)), dtype=bool)
    correct[0, : round(right * correct.size)] = True
    return replace(panel, correct=correct)


def test_common_ground_is_what_all_were_asked() -> None:
    ground = level(without(panel_of(3, 4), 1, slice(0, 20)))
    assert ground.questions_left_out == 20
    assert ground.panel.asked.all()
    assert ground.set_aside == ()


def test_one_with_too_few_answers_is_set_aside_and_named() -> None:
    panel = without(panel_of(3, 4), 1, slice(10, None))
    ground = level(panel)
    assert ground.set_aside == (panel.labels[1],)
    assert len(ground.panel.questions) == 80


def test_two_that_share_no_question_are_not_compared() -> None:
    panel = without(without(panel_of(2, 2), 0, slice(0, 20)), 1, slice(20, None))
    ground = level(panel)
    assert len(ground.set_aside) == 1
    assert len(ground.panel.contestants) == 1


def test_a_gap_of_exactly_half_of_all_questions_sets_nobody_aside() -> None:
    ground = level(without(panel_of(2, 2), 0, slice(0, 20)))
    assert (ground.set_aside, len(ground.panel.questions)) == ((), 20)
    assert level(without(panel_of(2, 2), 0, slice(0, 21))).set_aside != ()


def shown(panel: Panel, *shots: int) -> Panel:
    """The panel in which each contestant was shown so many shots before the first ten questions, else 5."""
    each = np.full(panel.asked.shape, 5, dtype=np.int8)
    each[:, :10] = np.array(shots)[:, None]
    return replace(panel, shots=each)


def test_common_ground_is_what_all_were_asked_after_as_many_shots() -> None:
    ground = level(shown(panel_of(3, 4), 5, 3, 5))
    assert (len(ground.panel.questions), ground.other_shots, ground.set_aside) == (70, 10, ())
    alike = level(shown(panel_of(2, 4), 3, 3))
    assert (len(alike.panel.questions), alike.other_shots) == (80, 0)


@pytest.mark.parametrize("shots", [(5, 5), (5, 3), (3, 3)])
def test_up_to_half_of_the_questions_after_fewer_shots_keeps_everyone_in_one_set(shots: tuple[int, int]) -> None:
    panel = shown(panel_of(2, 1, 20), *shots)  # the first ten of twenty questions
    assert [one.labels for one in by_shots(panel)] == [panel.labels]


def test_more_than_half_after_fewer_shots_is_a_set_of_its_own_unless_it_is_everyone() -> None:
    panel = shown(panel_of(3, 1, 19), 5, 3, 5)
    assert [one.labels for one in by_shots(panel)] == [(panel.labels[0], panel.labels[2]), (panel.labels[1],)]
    everyone = shown(panel_of(3, 1, 19), 3, 3, 2)
    assert [one.labels for one in by_shots(everyone)] == [everyone.labels]


def test_a_pair_is_made_of_what_both_were_asked_after_as_many_shots() -> None:
    panel = shown(panel_of(2, 4), 5, 3)
    assert panel.pair(0, 1) == panel.on(np.arange(80) >= 10).pair(0, 1)
    assert panel.pair(0, 1).asked == 70


def test_of_three_the_one_that_was_shown_other_shots_than_most_is_set_aside() -> None:
    panel = shown(panel_of(3, 1, 16), 5, 2, 5)
    assert level(panel).set_aside == (panel.labels[1],)
    most_short = shown(panel_of(3, 1, 16), 2, 5, 2)
    assert level(most_short).set_aside == (panel.labels[1],)


def test_groups_are_the_longest_runs_of_ranks_in_which_no_pair_differs() -> None:
    p = np.array([
        [1.00, 0.30, 0.04, 0.01],
        [0.30, 1.00, 0.05, 0.06],
        [0.04, 0.05, 1.00, 0.20],
        [0.01, 0.06, 0.20, 1.00],
    ])  # fmt: skip
    none = np.zeros((4, 4), dtype=np.int64)
    at_chance, silent = (AgainstChance.AT,) * 4, np.zeros((4, 4), dtype=bool)
    assert Standings((0, 1, 2, 3), (0,), none, p, at_chance, silent).groups() == [(0, 1), (1, 3)]
    assert Standings((0, 2, 1, 3), (0,), none, p, at_chance, silent).groups() == [(1, 3)]
    assert Standings((0, 1, 2, 3), (0,), none, np.eye(4), at_chance, silent).groups() == []


def test_a_tie_per_character_picks_nothing() -> None:
    panel = panel_of(1, 1, 3)
    choices = pd.Series([("aa", "bbbb", "c", "dd")] * 3, dtype=object)
    logprob = np.array([[[-1.0, -2.0, -9, -9], [-1.0, -1.9, -9, -9], [-1.2, -2.0, -0.4, -9]]], dtype=np.float32)
    by_text = replace(
        panel, terms=replace(TERMS, scoring="text"), questions=panel.questions.assign(choices=choices), logprob=logprob
    )
    assert by_text.picked_norm is not None
    assert by_text.picked_norm.tolist() == [[-1, 1, 2]]


def test_a_model_below_chance_is_not_said_to_be_at_it() -> None:
    one, two = always(panel_of(1, 2, 100), 0.1), always(panel_of(2, 2, 100), 0.1)
    assert standing_title(one, stand(one)).endswith("is below blind guessing (25 %)")
    assert standing_title(two, stand(two)) == "None of the 2 is above blind guessing (25 %)"


def test_a_model_at_chance_is_said_to_be() -> None:
    panel = always(panel_of(1, 2, 100), 0.25)
    assert "cannot be told from blind guessing (25 %)" in standing_title(panel, stand(panel))
    (sentence,) = chance_sentences(panel, stand(panel))
    assert "at chance" in sentence
    assert "19.5 to 31.4 %" in sentence


def test_a_model_below_chance_is_said_to_be() -> None:
    panel = always(panel_of(1, 2, 100), 0.1)
    (sentence,) = chance_sentences(panel, stand(panel))
    assert "below chance" in sentence


def test_verdicts_are_sentences() -> None:
    cannot = verdict_sentence("A", "B", judge(Paired(60, 2, 1, 37)))
    assert "cannot be told" in cannot
    assert "3 questions" in cannot
    assert verdict_sentence("A", "B", judge(Paired(5000, 300, 100, 600))).startswith("B is worse than A by 3.3 points")


def test_lists_are_read_aloud() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefg")) == "a, b, c, d and 3 others"


def test_terms_name_their_differences() -> None:
    other = replace(TERMS, shots=0, chat_template=True)
    assert TERMS.differences(other) == ["shots 5 against 0", "chat template False against True"]


def test_the_answers_frame_has_a_row_an_answer() -> None:
    panel = without(panel_of(3, 2, quants=QUANTS), 0, slice(0, 5))
    frame = answers_frame(panel)
    assert len(frame) == 3 * 40 - 5
    assert frame.groupby("contestant", observed=True)["correct"].sum().tolist() == [
        int((panel.correct & panel.asked)[place].sum()) for place in range(3)
    ]


def test_the_helm_results_are_those_that_were_found_before() -> None:
    panel = wide_panel(shared_data("predictions/helm_mmlu.csv"))
    assert panel.correct.shape == (14, 4066)
    standings = stand(panel)
    assert (standings.pairs, standings.told_apart) == (91, 52)
    kappa = error_kappa(panel.wrong)
    first, second = np.triu_indices(14, 1)
    top = np.argsort(-kappa[first, second])[:2]
    found = [
        ({panel.labels[first[p]], panel.labels[second[p]]}, round(float(kappa[first[p], second[p]]), 2)) for p in top
    ]
    assert found == [
        ({"meta_llama-3.2-90b-vision-instruct-turbo", "meta_llama-3.1-70b-instruct-turbo"}, 0.92),
        ({"writer_palmyra-x-004", "mistralai_mistral-large-2407"}, 0.79),
    ]
    best = panel.accuracies[standings.order[0]]
    assert (round(best.low, 4), round(best.estimate, 4), round(best.high, 4)) == (0.8544, 0.8652, 0.8754)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,question,A,B,answer\ns,q,1,2,A\n", "no column of a model"),
        ("subject,question,A,answer,m\ns,q,1,A,A\n", "lacks the columns"),
        ("subject,question,A,B,answer,m\ns,q,1,2,A,E\n", "'E'"),
        ("subject,question,A,B,answer,m\ns,q,1,2,,A\n", "has no answer"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        read_wide_csv(path)


def test_no_answer_is_its_own_count_and_duplicates_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("subject,question,A,B,answer,m,n\ns,q,1,2,A,A,\ns,q,1,2,A,A,\ns,r,1,2,B,a,b\nt,q,1,2,A,B,A\n")
    panel = wide_panel(path)
    assert len(panel.questions) == 3
    assert panel.unanswered.tolist() == [0, 1]
    assert panel.correct.sum(axis=1).tolist() == [1, 2]


@given(st.text(alphabet="'=+-@\t\rx", max_size=6))
def test_what_is_made_harmless_comes_back_as_it_was_and_no_spreadsheet_runs_it(text: str) -> None:
    assert unharmed(str(harmless(text))) == text
    assert unharmed(str(told_apart(text))) == text
    assert str(harmless(text))[:1] not in ("=", "+", "-", "@", "\t", "\r")


def test_a_value_that_is_not_known_is_a_dash_and_a_formula_is_harmless() -> None:
    table = Table(
        "t",
        "A table.",
        (Column("who"), Column("right", PERCENT, numeric=True), Column("p", p_value, numeric=True)),
        [("=1+1", float("nan"), 0.0004), ("a|b\x1b[31m", 0.5, 0.0312)],
    )
    assert table.shown()[0] == ["=1+1", "–", "< .001"]
    assert "'=1+1" in to_csv(table)
    assert "a\\|b" in to_markdown(table)
    assert "\x1b" not in to_markdown(table) + to_text(table)
    assert to_text(table).splitlines()[2].endswith(".031")


def test_a_question_missed_by_nobody_together_is_said_so() -> None:
    assert distribution_title(np.array([3, 4, 0]), np.array([3.0, 3.0, 1.0])) == "No question is missed by both"
    assert "Both miss 5 of 12" in distribution_title(np.array([3, 4, 5]), np.array([3.0, 3.0, 1.0]))


def test_equal_numbers_are_level_and_no_lead() -> None:
    panel = panel_of(3, 2, 100)
    right = np.zeros((3, 200), dtype=bool)
    right[0, :100], right[1, 20:120], right[2, 60:155] = True, True, True
    level = replace(panel, correct=right)
    first, second, third = panel.labels
    assert standing_title(level, stand(level)) == "No two of the 3 can be told apart: 47.5 % to 50.0 % right"
    right[2] = False
    ahead = replace(panel, correct=right)
    assert (
        standing_title(ahead, stand(ahead))
        == f"{first} and {second} are level at the top with 50.0 %, ahead of all others"
    )
    right[1, 20] = False
    one = replace(panel, correct=right)
    assert standing_title(one, stand(one)) == f"{first} leads with 50.0 %, not told apart from {second}"
    assert stand(one).level == (0,)
    assert third not in standing_title(one, stand(one))
