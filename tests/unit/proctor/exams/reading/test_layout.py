"""Folders of questions: what names and places say of split and subject, and which files are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.errors import BadExam, UnknownName
from proctor.exams.benchmarks.registry import load_benchmark
from tests.unit.proctor.exams.exam_files import ROWS, row, write_jsonl, write_parquet


@pytest.mark.parametrize(
    "layout",
    [
        ["test/history.jsonl", "dev/history.jsonl"],
        ["test/history_test.jsonl", "dev/history_dev.jsonl"],
        ["history_test.jsonl", "history_dev.jsonl"],
        ["history/test.jsonl", "history/dev.jsonl"],
        ["history/test-00000-of-00001.jsonl", "history/dev-00000-of-00001.jsonl"],
        ["history.jsonl", "dev/history.jsonl"],
    ],
    ids=lambda layout: layout[0],
)
def test_split_and_subject_are_told_by_where_a_file_lies(tmp_path: Path, layout: list[str]) -> None:
    test, dev = layout
    write_jsonl(tmp_path / test, ROWS)
    write_jsonl(tmp_path / dev, [row("Shot?")])

    exam = load_benchmark(str(tmp_path)).exams["history"]

    assert exam.subject == "history"
    assert [question.text for question in exam.dev] == ["Shot?"]
    assert len(exam.questions) == 3


def test_files_that_hold_several_subjects_tell_them_in_a_column(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "test.jsonl", [row("1?", subject="law"), row("2?", subject="art"), row("3?", subject="law")])
    write_jsonl(tmp_path / "dev.jsonl", [row("4?", subject="art")])

    benchmark = load_benchmark(str(tmp_path))

    assert {name: len(exam.questions) for name, exam in benchmark.exams.items()} == {"law": 2, "art": 1}
    assert [question.index for question in benchmark.exams["law"].questions] == [0, 1]
    assert benchmark.notes == ("Subjects without dev questions, to be asked with --shots 0: 1 (law).",)


def test_the_shards_of_one_subject_are_read_in_order(tmp_path: Path) -> None:
    for shard in (1, 0):
        write_jsonl(tmp_path / "law" / f"test-0000{shard}-of-00002.jsonl", [row(f"Shard {shard}?")])
    exam = load_benchmark(str(tmp_path)).exams["law"]
    assert [question.text for question in exam.questions] == ["Shard 0?", "Shard 1?"]


def test_the_hubs_folder_of_everything_is_not_read_twice(tmp_path: Path) -> None:
    for folder in ("law", "all"):
        write_parquet(tmp_path / folder / "test-00000-of-00001.parquet", [row(subject="law")])
    assert load_benchmark(str(tmp_path)).exams["law"].duplicates_dropped == 0


def test_the_hubs_folder_of_everything_is_read_where_it_lies_alone(tmp_path: Path) -> None:
    for path in ("all/test.parquet", "all/dev.parquet", "auxiliary_train/train.parquet"):
        write_parquet(tmp_path / path, [row(subject="law")])
    benchmark = load_benchmark(str(tmp_path))
    assert list(benchmark.exams) == ["law"]
    assert len(benchmark.exams["law"].dev) == 1


def test_a_subject_may_end_like_a_split(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "test" / "psychology_dev.jsonl", ROWS)
    assert list(load_benchmark(str(tmp_path)).exams) == ["psychology_dev"]


def test_validation_stands_in_for_a_test_split_only_where_there_is_none(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "val" / "law.jsonl", [row("Val?")])
    write_jsonl(tmp_path / "auxiliary_train" / "law.jsonl", [row("Train?")])

    alone = load_benchmark(str(tmp_path))
    assert [question.text for question in alone.exams["law"].questions] == ["Val?"]
    assert "those of the validation split" in alone.notes[0]

    write_jsonl(tmp_path / "test" / "law.jsonl", [row("Test?")])
    assert [question.text for question in load_benchmark(str(tmp_path)).exams["law"].questions] == ["Test?"]


def test_subjects_that_are_not_asked_are_not_read(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "test" / "law.jsonl", ROWS)
    (tmp_path / "test" / "art.jsonl").write_text("not read, so no fault")

    assert list(load_benchmark(str(tmp_path), ["law"]).exams) == ["law"]
    with pytest.raises(BadExam, match=r"art\.jsonl, line 1: no JSON"):
        load_benchmark(str(tmp_path))


def test_groups_choose_among_a_folders_subjects(tmp_path: Path) -> None:
    for subject in ("virology", "astronomy", "anatomy"):
        write_jsonl(tmp_path / f"{subject}.jsonl", ROWS)
    assert list(load_benchmark(str(tmp_path), ["stem"]).exams) == ["anatomy", "astronomy"]
    with pytest.raises(UnknownName, match="Did you mean anatomy"):
        load_benchmark(str(tmp_path), ["anatomi"])
