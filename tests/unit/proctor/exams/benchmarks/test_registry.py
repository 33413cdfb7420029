"""Benchmarks from files: every format, what is kept, dropped and noted, and what questions are known by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proctor.errors import SeveralFaults, UnknownName
from proctor.exams.benchmarks.base import ExamSet
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.reading.identity import content_hash, question_id
from proctor.nouns.exams import Exam
from tests.support import shared_data
from tests.unit.proctor.exams.exam_files import (
    ROWS,
    as_json_text,
    lettered,
    row,
    write_csv,
    write_jsonl,
    write_mmlu_csv,
    write_parquet,
)


def only(benchmark: ExamSet) -> Exam:
    (exam,) = benchmark.exams.values()
    return exam


def keys(exam: Exam) -> list[int]:
    return [question.key for question in exam.questions]


@pytest.fixture(
    params=["jsonl", "csv with columns A to D", "csv with JSON", "csv as MMLU's own", "csv with a BOM", "parquet"]
)
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same three questions in every format."""
    path = tmp_path / "toy.csv"
    match request.param:
        case "jsonl":
            return write_jsonl(tmp_path / "toy.jsonl", ROWS)
        case "csv with columns A to D":
            return write_csv(path, [lettered(item) for item in ROWS])
        case "csv with JSON":
            return write_csv(path, [as_json_text(item) for item in ROWS])
        case "csv as MMLU's own":
            return write_mmlu_csv(path, ROWS)
        case "csv with a BOM":
            return write_csv(path, [lettered(item) for item in ROWS], encoding="utf-8-sig")
        case _:
            return write_parquet(tmp_path / "toy.parquet", ROWS)


def test_the_same_questions_are_the_same_exam_in_every_format(toy: Path, tmp_path: Path) -> None:
    benchmark = load_benchmark(str(toy))
    exam = only(benchmark)

    assert benchmark.name == "toy"
    assert (exam.benchmark, exam.subject) == ("toy", "toy")
    assert [question.text for question in exam.questions] == [item["question"] for item in ROWS]
    assert {question.choices for question in exam.questions} == {("w", "x", "y", "z")}
    assert keys(exam) == [0, 1, 3]
    reference = only(load_benchmark(str(write_jsonl(tmp_path / "reference" / "toy.jsonl", ROWS))))
    assert exam.content_hash == reference.content_hash
    assert exam.questions == reference.questions


def test_a_subject_of_a_column_is_chosen_too(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "mine.jsonl", [row(subject="law"), row(subject="fine art")])
    assert list(load_benchmark(str(path), ["Fine_Art"]).exams) == ["fine art"]


def test_a_second_copy_within_a_subject_is_dropped_and_counted(tmp_path: Path) -> None:
    rows = [row("One?"), row("Two?", 0), row(" One? "), row("One?", 2), row("Three?")]
    benchmark = load_benchmark(str(write_jsonl(tmp_path / "law.jsonl", rows)))
    exam = only(benchmark)

    assert [(question.index, question.text) for question in exam.questions] == [(0, "One?"), (1, "Two?"), (4, "Three?")]
    assert keys(exam) == [1, 0, 1]
    assert exam.duplicates_dropped == 2
    assert benchmark.notes[:2] == (
        "Dropped copies with another answer than the one that was kept: 1 (law).",
        "Copies of an earlier question of their subject, dropped: 2 (law 2).",
    )


def test_the_same_question_in_two_subjects_is_kept_in_both(tmp_path: Path) -> None:
    benchmark = load_benchmark(str(write_jsonl(tmp_path / "x.jsonl", [row(subject="law"), row(subject="art")])))
    ids = {exam.questions[0].id for exam in benchmark.exams.values()}
    assert len(ids) == 2


def test_what_is_odd_is_noted_and_kept(tmp_path: Path) -> None:
    rows = [
        row("Same?", choices=["x", "x", "y", "z"]),
        row("Blank?", choices=["", "x", "y", "z"]),
        row("Five?", choices=["v", "w", "x", "y", "z"]),
        row("Shot?"),
    ]
    write_jsonl(tmp_path / "test" / "law.jsonl", rows)
    write_jsonl(tmp_path / "dev" / "law.jsonl", [row("Shot?")])

    benchmark = load_benchmark(str(tmp_path))

    assert len(only(benchmark).questions) == 4
    assert benchmark.notes == (
        "Test questions that stand in the dev split too (with shots, the model is told their answer): 1 (law).",
        "Questions with another number of options than most in their subject: 1 (law).",
        "Questions with two options that are the same: 1 (law).",
        "Questions with an empty option: 1 (law).",
    )


def test_columns_of_options_may_end_early(tmp_path: Path) -> None:
    path = tmp_path / "law.csv"
    path.write_text("Question,A,B,C,D,Answer\nTwo?,yes,no,,,B\nFour?,w,x,y,z,D\n\n,,,,,\n")
    exam = only(load_benchmark(str(path)))
    assert [question.choices for question in exam.questions] == [("yes", "no"), ("w", "x", "y", "z")]
    assert keys(exam) == [1, 3]


def test_numbers_as_options_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "sums.jsonl", [row("1 + 1?", 0, choices=[2, 2.5, "3", -1])])
    assert only(load_benchmark(str(path))).questions[0].choices == ("2", "2.5", "3", "-1")


def test_a_jsonl_line_is_ended_by_a_line_feed_alone(tmp_path: Path) -> None:
    text = "One\u2028two\u0085three?"
    path = tmp_path / "law.jsonl"
    path.write_text("\ufeff" + json.dumps(row(text), ensure_ascii=False) + "\r\n\n", encoding="utf-8")
    assert only(load_benchmark(str(path))).questions[0].text == text


def test_line_ends_within_a_csv_cell_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "law.csv"
    path.write_bytes(b'question,A,B,answer\r\n"One\r\ntwo?",x,y,A\r\n')
    assert only(load_benchmark(str(path))).questions[0].text == "One\r\ntwo?"


def test_shots_without_dev_questions_are_refused_for_all_subjects_at_once(tmp_path: Path) -> None:
    for subject in ("law", "art"):
        write_jsonl(tmp_path / f"{subject}.jsonl", ROWS)
    benchmark = load_benchmark(str(tmp_path))

    benchmark.check_shots(0)
    with pytest.raises(SeveralFaults) as caught:
        benchmark.check_shots(5)
    assert [fault.problem.split("'")[1] for fault in caught.value.faults] == ["art", "law"]


def test_an_unknown_benchmark_is_offered_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match=r"Unknown benchmark 'mlu'\. Did you mean mmlu"):
        load_benchmark("mlu")


@pytest.mark.parametrize("name", ["questions.csv", "exams/law", "task.yaml"])
def test_of_a_file_that_is_not_there_no_benchmarks_are_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName) as caught:
        load_benchmark(name)
    assert str(caught.value) == (
        f"Unknown file or folder of questions '{name}'. It is not there, seen from {tmp_path}."
    )


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000, "~nobody-of-this-name/x", "\ud800", "a\nb"])
def test_what_is_no_path_is_an_unknown_benchmark(name: str) -> None:
    with pytest.raises(UnknownName):
        load_benchmark(name)


def test_a_folder_called_like_a_benchmark_is_a_path_behind_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "demo" / "law.jsonl", ROWS)
    monkeypatch.chdir(tmp_path)
    assert list(load_benchmark("./demo").exams) == ["law"]
    assert "arithmetic" in load_benchmark("demo").exams


def test_the_traps_of_the_real_data_are_seen() -> None:
    benchmark = load_benchmark(str(shared_data("mmlu")))
    assert len(benchmark.exams) == 41
    assert benchmark.exams["college_physics"].duplicates_dropped == 10
    assert {len(exam.questions) for name, exam in benchmark.exams.items() if name != "college_physics"} == {95}
    assert any("stand in the dev split too" in note and "college_physics" in note for note in benchmark.notes)


def test_a_question_keeps_its_id_when_its_key_is_mended_and_the_exam_its_hash_not(tmp_path: Path) -> None:
    old = only(load_benchmark(str(write_jsonl(tmp_path / "old" / "law.jsonl", [row("One?", 0)]))))
    new = only(load_benchmark(str(write_jsonl(tmp_path / "new" / "law.jsonl", [row("One?", 1)]))))
    assert old.questions[0].id == new.questions[0].id == question_id("law", "One?", ["w", "x", "y", "z"])
    assert old.content_hash != new.content_hash


def test_ids_and_hashes_stay_what_they_are() -> None:
    """Recorded answers are joined on these: a change here is a break with every database there is."""
    exam = load_benchmark("demo", ["arithmetic"]).exams["arithmetic"]
    assert question_id("law", " Which? ", ["a b", "c"]) == "dc768e6de24432d1"
    assert question_id("law", "Which?", ["a", "b c"]) == "7f53415f78685dc8"
    assert (
        content_hash("law", exam.dev[:1], exam.dev[1:2])
        == "ec4408e40e59d1d223bd8f74772fb1a4e60313a8027b43e5f9881dc7907e4cd4"
    )
