"""What a comparison, a set of terms and a table say of themselves, each from a panel that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.data.phrases import listed
from analysis.data.tables import Column, Table, Value
from analysis.data.terms import UNKNOWN, Condition, Terms
from analysis.exchange.verify import Verification
from analysis.report.blocks import Text
from analysis.report.comparison import comparison_tables, summary
from analysis.report.leads import suspects_table
from analysis.report.markup import table_html
from analysis.report.mistakes import distribution_table
from analysis.report.noise import MEASURED, TIES, UNMEASURED, Floor, noise_section
from analysis.report.verification import differing_table, subjects_table
from analysis.stats.paired import Paired
from analysis.stats.verdict import judge
from analysis.terminal import objects
from analysis.verdicts.candidates import Candidate, Roll, pick
from analysis.verdicts.compare import Comparison, NotComparable, compare
from analysis.verdicts.same_prompts import why_apart
from analysis.verdicts.standings import stand
from analysis.verdicts.suspects import Suspect
from analysis.verdicts.unanswered import Silence
from analysis.verdicts.wording import chance_sentences, percent, standing_title, verdict_sentence
from proctor.contestants import Contestant
from proctor.errors import AmbiguousName, BadInput, UnknownName
from proctor.nouns.exams import Scoring
from tests.panels import TERMS, panel_of


def one(right: np.ndarray, name: str, *, silent: int = 0) -> Candidate:
    """A contestant with these (Q,) right, of whose wrong ones the last so many are no answer at all."""
    panel = panel_of(1, 1, right.size, names=(name,))
    picked = np.where(right, panel.key, (panel.key + 1) % 4).astype(np.int8)
    wrong = np.flatnonzero(~right)
    picked[wrong[len(wrong) - silent :]] = -1
    return Candidate(name, replace(panel, picked=picked[None], correct=right[None], logprob=None), f"of {name}")


def first_wrong(questions: int, wrong: int) -> np.ndarray:
    return np.arange(questions) >= wrong


def put(candidate: Candidate, terms: Terms) -> Candidate:
    """The same, asked under these terms."""
    return replace(candidate, panel=replace(candidate.panel, terms=terms))


def of_two(silent: int) -> Comparison:
    """`a` has 190 of 200 right, `b` 150; on so many of its last ones `b` gave no answer."""
    return compare(one(first_wrong(200, 10), "a"), one(first_wrong(200, 50), "b", silent=silent), 0.01)


def test_a_comparison_says_how_much_each_has_right() -> None:
    lines = summary(of_two(0))
    assert "a: 95.0 % (91.0 to 97.3) right; b: 75.0 % (68.6 to 80.5)" in lines
    assert "both right 150, lost 40, gained 0, both wrong 10" in lines
    assert not any("no single answer" in line or "verdict rests" in line for line in lines)


def test_a_verdict_that_rests_on_no_answers_says_on_how_many() -> None:
    found = of_two(40)
    assert "no single answer: a on 0, b on 40" in summary(found)
    (line,) = [line for line in summary(found) if line.startswith("the verdict rests on")]
    assert line == (
        "the verdict rests on 40 questions that one of them left without a single answer: without these it would be "
        "another"
    )


def test_lost_and_gained_questions_have_tables_of_their_own_where_there_are_any() -> None:
    def told(found: Comparison) -> dict[str, tuple[str, int]]:
        return {table.name: (table.caption, len(table.rows)) for table in comparison_tables(found)[1:]}

    lost = {"lost": ("Lost: questions that only a has right.", 40)}
    assert told(of_two(0)) == lost
    other = first_wrong(200, 10)[::-1].copy()
    both = compare(one(first_wrong(200, 10), "a"), one(other, "b"), 0.01)
    assert told(both) == {
        "lost": ("Lost: questions that only a has right.", 10),
        "gained": ("Gained: questions that only b has right.", 10),
    }


def test_the_same_answers_are_not_compared_with_themselves() -> None:
    mine = one(first_wrong(20, 2), "a")
    with pytest.raises(BadInput, match="are the same Answers of of a"):
        compare(mine, mine, 0.01)


def test_conditions_alone_can_be_compared_across_and_an_exam_apart_cannot() -> None:
    mine = one(first_wrong(20, 2), "a")
    theirs = put(one(first_wrong(20, 4), "b"), replace(TERMS, shots=0))
    with pytest.raises(NotComparable) as caught:
        compare(mine, theirs, 0.01)
    assert "--across shots" in caught.value.next_step
    for shots in (0, 5):
        with pytest.raises(NotComparable) as caught:
            compare(mine, put(theirs, replace(TERMS, benchmark="other", shots=shots)), 0.01)
        assert "--across" not in caught.value.next_step
    found = compare(mine, theirs, 0.01, (Condition.SHOTS,))
    assert found.terms == f"{TERMS}, against {theirs.panel.terms}"


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (Terms("mmlu", "mmlu-1.0", 5, chat_template=False), "mmlu, 5 shots, no chat template, prompt mmlu-1.0"),
        (
            Terms("mmlu", "mmlu-1.0", 0, True, Scoring.TEXT.value),
            "mmlu, 0 shots, chat template, prompt mmlu-1.0, scored by text",
        ),
        (Terms("x", UNKNOWN, None, None, UNKNOWN), "x, imported, not known: shots, chat template, scoring"),
    ],
)
def test_terms_say_all_that_is_known_and_what_is_not(terms: Terms, words: str) -> None:
    assert str(terms) == words
    assert terms.imported is (terms.prompt_version == UNKNOWN)


@pytest.mark.parametrize(("chat", "words"), [(True, "chat template"), (False, "no chat template")])
def test_a_condition_is_said_as_it_is(chat: bool, words: str) -> None:
    terms = Terms("mmlu", "mmlu-1.0", 1, chat, "text")
    said = [terms.said(each) for each in (Condition.SHOTS, Condition.TEMPLATE, Condition.SCORING, Condition.PROMPTS)]
    assert said == ["1 shot", words, "by text", "prompt mmlu-1.0"]


def test_imports_that_nothing_sets_apart_were_imported_apart() -> None:
    panel = replace(panel_of(1, 1, 8), terms=Terms("x", UNKNOWN, None, None, UNKNOWN))
    assert why_apart(panel, panel) == ["they were imported apart"]
    other = replace(panel, questions=panel.questions.assign(answer=(panel.key + 1) % 4))
    assert why_apart(panel, other) == ["another answer key for 8 of the 8 questions that are in both"]


def test_no_silence_carries_no_verdict() -> None:
    assert (Silence().lost, Silence().gained, Silence().questions) == (0, 0, 0)
    verdict = judge(Paired(100, 6, 0, 100), 0.01)
    assert not Silence().carries(verdict)
    assert Silence(lost=6).carries(verdict)


def test_a_twentieth_without_an_answer_is_told_and_less_is_not() -> None:
    def sentence(questions: int) -> str:
        right = np.arange(questions) % 4 == 0
        right[-1] = False
        (found,) = chance_sentences(panel := one(right, "a", silent=1).panel, stand(panel))
        return found

    assert "no single answer on 5 %; " in sentence(20)
    assert "of what it answered" in sentence(20)
    assert "no single answer" not in sentence(24)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, ""), (1, "a"), (2, "a and b"), (5, "a, b, c, d and e"), (6, "a, b, c, d and 2 others")],
)
def test_a_list_names_up_to_five(count: int, words: str) -> None:
    assert listed("abcdef"[:count]) == words


def test_fractions_are_said_in_percent_and_changes_in_points() -> None:
    assert [percent(0.865), percent(0.25, 0), percent(float("nan"))] == ["86.5 %", "25 %", "–"]
    worse = judge(Paired(150, 40, 0, 10), 0.01)
    assert verdict_sentence("a", "b", worse).startswith("b is worse than a by 20.0 points (")
    better = judge(Paired(150, 0, 40, 10), 0.01)
    assert verdict_sentence("a", "b", better).startswith("b is better than a by 20.0 points (")


def numeric(table: Table) -> list[str]:
    return [column.heading for column in table.columns if column.numeric]


def test_figures_of_tables_are_set_to_the_right() -> None:
    panel = panel_of(3, 2)
    assert numeric(distribution_table(panel)) == ["missed by", "questions", "if independent"]
    found = Verification("s", "m", 1e-3, (), (), frozenset(), 0, 0)
    assert numeric(subjects_table(found)) == [
        "in both", "missing", "largest difference", "mean difference", "other picks",
    ]  # fmt: skip
    assert numeric(differing_table(found)) == ["difference"]


def test_noise_that_was_measured_has_its_table_and_else_there_is_none() -> None:
    panel = panel_of(2, 1)
    floors = {panel.contestants[1]: Floor(20, 2, 0.5, 0.01)}
    measured, unmeasured = noise_section(panel, floors), noise_section(panel, {})
    assert [table.name for table in unmeasured.tables()] == ["ties"]
    assert (measured.blocks[0], unmeasured.blocks[0]) == (Text(f"{TIES} {MEASURED}"), Text(f"{TIES} {UNMEASURED}"))
    ties, noise = measured.tables()
    assert (ties.name, noise.name) == ("ties", "noise")
    assert [row[:4] for row in noise.rows] == [(panel.labels[1], 20, 2, 0.1)]


@pytest.mark.parametrize(("formats", "said"), [(("csv",), "long.csv has them all"), ((), "--format csv writes them")])
def test_a_table_that_is_cut_says_so_and_where_the_rest_is(formats: tuple[str, ...], said: str) -> None:
    def page(rows: int) -> str:
        table = Table("long", "All.", (Column("n", numeric=True),), [(row,) for row in range(rows)], most=10)
        return table_html(table, formats)

    assert said in page(11)
    assert "The first 10 of 11 rows" in page(11)
    assert page(11).count("<tr>") == 11
    assert "<caption>All.</caption>" in page(10)


def test_whoever_is_alone_in_a_sweep_may_be_named_by_it() -> None:
    alone = one(first_wrong(20, 2), "a")

    def roll(name: str | None) -> Roll:
        if name is None:
            return Roll("latest", (Contestant("org/z"),), ("z",), lambda _: one(first_wrong(20, 2), "z"))
        if name == "theirs":
            return Roll("theirs", alone.panel.contestants, ("a",), lambda _: alone)
        if name == "several":
            return Roll(name, (Contestant("org/p"), Contestant("org/q")), ("p", "q"), lambda _: alone)
        raise UnknownName("sweep", name, [])

    assert pick("theirs", Path("/"), roll) is alone
    assert pick("z", Path("/"), roll).label == "z"
    with pytest.raises(BadInput, match="several has 2 contestants: p and q"):
        pick("several", Path("/"), roll)
    with pytest.raises(BadInput) as caught:
        pick("nobody", Path("/"), roll)
    assert not isinstance(caught.value, AmbiguousName)


def test_a_near_tie_on_the_only_question_is_all_of_them() -> None:
    panel = panel_of(1, 1, 1)
    level = np.log(np.full((1, 1, 4), 0.25, dtype=np.float32))
    level[0, 0, 0] += np.float32(1e-4)
    (ties,) = noise_section(replace(panel, logprob=level), {}).tables()
    assert ties.rows == [(panel.labels[0], 0, 1, 1.0)]
    assert numeric(ties) == ["no single answer", "near ties", "share"]


def test_ahead_only_by_silence_names_two_and_counts_the_rest() -> None:
    right = np.ones((5, 200), dtype=bool)
    right[1:, :60] = False
    panel = panel_of(5, 1, 200, names=list("abcde"))
    picked = np.where(right, panel.key, -1).astype(np.int8)
    silent = replace(panel, picked=picked, correct=right, logprob=None)
    title = standing_title(silent, stand(silent))
    assert title.endswith("; of b, c and 2 others only by questions without a single answer")


def test_long_options_of_a_suspect_key_are_cut_at_120_letters() -> None:
    def cells(length: int) -> Sequence[Value]:
        suspect = Suspect(0, "law", "q1", 0, "Q" * 400, "k" * length, "r" * length, "1:3", 0.5, 0.25)
        return suspects_table([suspect]).rows[0]

    assert cells(120)[:4] == ("Q" * 299 + "…", "law", "k" * 120, "r" * 120)
    assert cells(121)[2:4] == ("k" * 119 + "…", "r" * 119 + "…")


def test_rows_as_json_name_their_set_where_there_are_several() -> None:
    table = Table("t", "T.", (Column("who"), Column("share", numeric=True)), [("a", 0.5), ("b", float("nan"))])
    assert objects(table) == [{"who": "a", "share": 0.5}, {"who": "b", "share": None}]
    assert objects(replace(table, of_set="Set 2")) == [
        {"who": "a", "share": 0.5, "set": "Set 2"}, {"who": "b", "share": None, "set": "Set 2"},
    ]  # fmt: skip
