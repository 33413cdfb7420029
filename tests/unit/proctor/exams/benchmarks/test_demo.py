"""The project's own exam: its shape, its balance, and that nothing but knowledge gives an answer away."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from proctor.exams.benchmarks.own_files import DEMO_FOLDER
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.reading.subjects import DEMO
from proctor.nouns.exams import Exam, Question

BENCHMARK = load_benchmark("demo")
EXAMS = list(BENCHMARK.exams.values())
QUESTIONS = [question for exam in EXAMS for question in (*exam.dev, *exam.questions)]

each_exam = pytest.mark.parametrize("exam", EXAMS, ids=lambda exam: exam.subject)


def test_it_has_the_six_subjects_that_the_groups_name() -> None:
    assert set(BENCHMARK.exams) == {subject for subjects in DEMO.values() for subject in subjects}
    assert sorted(subject for group in DEMO.values() for subject in group) == sorted(BENCHMARK.exams)


def test_nothing_about_it_is_odd() -> None:
    assert BENCHMARK.notes == ()
    assert len(QUESTIONS) == 270


@each_exam
def test_a_subject_has_40_questions_and_5_shots_of_four_options(exam: Exam) -> None:
    assert (len(exam.questions), len(exam.dev)) == (40, 5)
    assert {len(question.choices) for question in (*exam.questions, *exam.dev)} == {4}
    BENCHMARK.check_shots(5)


@each_exam
def test_the_right_option_stands_at_each_place_ten_times(exam: Exam) -> None:
    assert Counter(question.key for question in exam.questions) == dict.fromkeys(range(4), 10)
    assert len({question.key for question in exam.dev}) == 4


@each_exam
def test_no_more_than_four_right_options_in_a_row_share_a_letter(exam: Exam) -> None:
    letters = "".join("ABCD"[question.key] for question in exam.questions)
    assert not any(letter * 4 in letters for letter in "ABCD")


@each_exam
def test_length_does_not_give_the_answer_away(exam: Exam) -> None:
    def stands_out(question: Question, sign: int) -> bool:
        lengths = [sign * len(choice) for choice in question.choices]
        return lengths[question.key] == max(lengths) and lengths.count(max(lengths)) == 1

    # A guess is right ten times in forty; three standard errors more would be 18.
    assert sum(stands_out(question, 1) for question in exam.questions) <= 14
    assert sum(stands_out(question, -1) for question in exam.questions) <= 14


def test_no_two_questions_are_alike() -> None:
    assert len({question.text.casefold() for question in QUESTIONS}) == 270
    assert len({question.id for question in QUESTIONS}) == 270


def test_no_two_options_of_a_question_are_alike() -> None:
    for question in QUESTIONS:
        assert len({choice.casefold() for choice in question.choices}) == 4, question.text


def test_texts_are_clean_and_short() -> None:
    for question in QUESTIONS:
        assert question.text == " ".join(question.text.split())
        assert question.text.endswith("?")
        assert len(question.text) <= 150
        assert all(choice == " ".join(choice.split()) and 0 < len(choice) <= 80 for choice in question.choices)


@pytest.mark.parametrize(
    "path", sorted(DEMO_FOLDER.glob("*/*.jsonl")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_files_are_in_mmlus_schema(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert list(row) == ["question", "subject", "choices", "answer"]
        assert row["subject"] == path.stem
        assert isinstance(row["answer"], int)
