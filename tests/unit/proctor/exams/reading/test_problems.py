"""What can't be read as questions: the place, the value, the cause and the next step, all at once."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from proctor.errors import BadExam, BadInput, BadRow, SeveralFaults, UnknownName
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.reading import files

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
GOOD = {"question": "Which?", "choices": ["w", "x"], "answer": 0}


def fault_of(path: Path) -> BadExam:
    with pytest.raises(BadExam) as caught:
        load_benchmark(str(path))
    return caught.value


def jsonl(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "law.jsonl"
    path.write_text("".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in rows))
    return path


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("change", "column", "cause"),
    [
        ({"answer": 2}, "answer", "2 is not an index from 0 to 1, a letter from A to B, or the text of one option"),
        ({"answer": -1}, "answer", "-1 is not an index"),
        ({"answer": True}, "answer", "True is not an index"),
        ({"answer": 0.5}, "answer", "0.5 is not an index"),
        ({"answer": "C"}, "answer", "'C' is not an index"),
        ({"answer": None}, "answer", "None is not an index"),
        ({"answer": [0]}, "answer", "a list is not an index"),
        ({"answer": 10**400}, "answer", "…"),
        ({"answer": float("nan")}, "answer", "nan is not an index"),
        ({"question": " \n"}, "question", "it is blank"),
        ({"question": 7}, "question", "7 is no text"),
        ({"question": "a\0b"}, "question", r"'a\x00b' holds the character NUL"),
        ({"question": "\ud800"}, "question", "half a surrogate pair"),
        ({"choices": ["one"]}, "choices", "1 of them where 2 to 26 can be asked"),
        ({"choices": []}, "choices", "0 of them"),
        ({"choices": list(map(str, range(27)))}, "choices", "27 of them"),
        ({"choices": "x, y"}, "choices", "'x, y' is no list"),
        ({"choices": {"x": 1}}, "choices", "a dict is no list"),
        ({"choices": ["x", None]}, "choices", "the option None is no text"),
        ({"choices": ["x", False]}, "choices", "the option False is no text"),
        ({"choices": ["x", float("inf")]}, "choices", "the option inf is no text"),
        ({"choices": ["x", "\udfff"]}, "choices", "half a surrogate pair"),
        ({"subject": ""}, "subject", "'' is no name of a subject"),
        ({"subject": 3}, "subject", "3 is no text"),
        ({"subject": "../law"}, "subject", "'../law' is no name"),
        ({"subject": "a\x1b[2Jb"}, "subject", r"'a\x1b[2Jb' is no name"),
        ({"subject": "x" * 101}, "subject", "is no name"),
    ],
)
def test_a_row_that_is_no_question_is_named_with_place_and_cause(
    tmp_path: Path, change: dict[str, object], column: str, cause: str
) -> None:
    fault = fault_of(jsonl(tmp_path, GOOD, {**GOOD, "question": "Other?", **change}))
    assert isinstance(fault, BadRow)
    assert (fault.file, fault.row, fault.column) == ("law.jsonl", "line 2", column)
    assert fault.problem.startswith(f"law.jsonl, line 2, column {column}: ")
    assert cause in fault.cause


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "a list where an object should be"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ('{"question": "Which?", "choices": ["w", "x"]}', "no column answer; found 'question', 'choices'"),
        ('{"answer": ' + "9" * 5000 + "}", "no JSON"),
        ("{}", "no column question, choices, answer; found none"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, cause: str) -> None:
    fault = fault_of(jsonl(tmp_path, GOOD, line))
    assert cause in fault.problem
    assert fault.problem.startswith("law.jsonl, line 2: ")
    assert len(fault.problem) < 300
    assert fault.problem.isprintable()
    assert fault.next_step


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("law.csv", b"", "law.csv is empty."),
        ("law.jsonl", b"\n\n", "law.jsonl has no rows."),
        ("law.csv", b"question,A,B,answer\n", "law.csv has no rows."),
        ("law.csv", b"frage;a;b\n", "law.csv, line 1: no column question, choices, answer; found 'frage;a;b'."),
        (
            "law.csv",
            b"question,a,answer\nx,y,A\n",
            "law.csv, line 1: no column choices; found 'question', 'a', 'answer'.",
        ),
        ("law.csv", b"question,a,b,answer,A\n", "law.csv, line 1: the column a stands there 2 times."),
        ("law.csv", b"question,a,b,answer\nx,y\n", "law.csv, line 2: 2 cells where the first line has 4."),
        ("law.csv", b'question,a,b,answer\n"1\n?",x,y,A\n"open,x,y,A\n', "line 4: no CSV (unexpected end of data)."),
        ("law.csv", b"question,a,b,answer\nx,y,\xff,A\n", "law.csv, line 2: the byte 0xff is no UTF-8."),
        ("law.jsonl", json.dumps(GOOD).encode() + b"\n\xe9\n", "law.jsonl, line 2: the byte 0xe9 is no UTF-8."),
        ("law.csv", "question".encode("utf-16"), "law.csv is UTF-16."),
        ("law.csv", b"\x7fELF\x02\x01\x01\0\0\0", r"found '\x7felf\x02\x01\x01\x00"),
        ("law.csv", b'"' + b"x" * 200_000, "law.csv, line 1: no CSV (unexpected end of data)."),
        ("law.csv", LFS, "law.csv is a pointer of Git LFS, not the questions."),
        ("law.jsonl", LFS, "law.jsonl is a pointer of Git LFS, not the questions."),
        ("law.parquet", LFS, "law.parquet is a pointer of Git LFS, not the questions."),
        ("law.parquet", b"PAR1 nonsense PAR1", "law.parquet is no Parquet file that can be read"),
        ("law.xlsx", b"PK", "law.xlsx is none of .csv, .jsonl, .parquet."),
    ],
)
def test_a_file_that_holds_no_questions_says_why(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    fault = fault_of(write(tmp_path / name, content))
    assert problem in fault.problem
    assert fault.problem.isprintable()
    assert fault.next_step


def test_parquet_faults_name_columns_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "law.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"question": ["x"], "answer": [0]}), path)
    assert fault_of(path).problem == "law.parquet: no column choices; found 'question', 'answer'."
    pyarrow.parquet.write_table(
        pyarrow.table({"question": ["x", "y"], "choices": [["1", "2"]] * 2, "answer": [0, 5]}), path
    )
    assert fault_of(path).problem.startswith("law.parquet, row 2, column answer: 5 is not an index")


def faults_of(path: Path) -> list[str]:
    with pytest.raises(BadInput) as caught:
        load_benchmark(str(path))
    return [str(fault) for fault in getattr(caught.value, "faults", [caught.value])]


def test_rows_that_are_all_wrong_in_one_way_are_one_sentence(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "choices": ["w", "x"]} for n in range(20)]
    assert faults_of(jsonl(tmp_path, *rows))[0].startswith(
        "law.jsonl, all 20 rows (line 1, line 2, line 3, …): no column answer; found 'question', 'choices'."
    )
    assert len(faults_of(jsonl(tmp_path, *rows))) == 1


def test_rows_wrong_in_one_way_are_counted_beside_those_that_are_right(tmp_path: Path) -> None:
    path = jsonl(tmp_path, *[{**GOOD, "answer": 9}] * 25, GOOD)
    (only,) = faults_of(path)
    assert only.startswith("law.jsonl, 25 rows (line 1, line 2, line 3, …), column answer: 9 is not an index from 0")


def test_of_rows_wrong_in_one_way_with_other_values_the_first_is_shown(tmp_path: Path) -> None:
    (only,) = faults_of(jsonl(tmp_path, *[{**GOOD, "answer": key} for key in ["it's", "E", 9, None, "left"]]))
    assert ', all 5 rows (line 1, line 2, line 3, …), column answer: in the first, "it\'s" is not an index' in only


def test_up_to_three_faults_of_a_kind_are_told_of_one_by_one(tmp_path: Path) -> None:
    rows = [{**GOOD, "answer": 9}] * 3 + [{**GOOD, "question": " "}] * 4
    places = [fault.split(", column")[0] for fault in faults_of(jsonl(tmp_path, *rows))]
    assert places == [
        "law.jsonl, 4 rows (line 4, line 5, line 6, …)",
        "law.jsonl, line 1",
        "law.jsonl, line 2",
        "law.jsonl, line 3",
    ]


def test_faults_of_more_than_twenty_kinds_are_counted(tmp_path: Path) -> None:
    for n in range(25):
        write(tmp_path / f"subject{n:02}.csv", b"question,a,b,answer\nx,y,z,E\n")
    assert len(faults_of(tmp_path)) == 21
    assert faults_of(tmp_path)[-1] == "… and 5 more."


def test_the_faults_of_several_files_come_together(tmp_path: Path) -> None:
    write(tmp_path / "art.csv", b"")
    write(tmp_path / "law.csv", b"question,a,b,answer\nx,y,z,E\n")
    with pytest.raises(SeveralFaults) as caught:
        load_benchmark(str(tmp_path))
    assert [fault.problem[:8] for fault in caught.value.faults] == ["art.csv ", "law.csv,"]


def test_a_row_of_another_subject_than_its_file_is_at_fault(tmp_path: Path) -> None:
    jsonl(tmp_path, {**GOOD, "subject": "law"}, {**GOOD, "subject": "art"})
    assert "'art' in the file of 'law'" in fault_of(tmp_path).problem


def test_a_file_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    assert "is not read as an exam" in fault_of(jsonl(tmp_path, GOOD)).problem


def test_a_parquet_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "law.parquet"
    rows = [{"question": str(number) + "x" * 3000, "choices": ["w", "x"], "answer": 0} for number in range(100)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, compression="zstd")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100_000)
    assert path.stat().st_size < 100_000
    assert "unpacks to" in fault_of(path).problem


def test_a_folder_without_questions_says_so(tmp_path: Path) -> None:
    assert "is no file of .csv, .jsonl, .parquet" in fault_of(tmp_path).problem
    (tmp_path / "train").mkdir()
    jsonl(tmp_path / "train", GOOD)
    assert "holds training questions only" in fault_of(tmp_path).problem
    (tmp_path / "dev").mkdir()
    jsonl(tmp_path / "dev", GOOD)
    assert "holds no test questions" in fault_of(tmp_path).problem


def test_what_is_neither_file_nor_folder_is_refused_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "law.csv")
    assert "neither a file nor a folder" in fault_of(tmp_path / "law.csv").problem
    assert "no file of" in fault_of(tmp_path).problem


def test_a_files_name_reaches_no_terminal_raw(tmp_path: Path) -> None:
    fault = fault_of(write(tmp_path / "\x1b[2J.csv", b""))
    assert fault.problem == r"'\x1b[2J.csv' is empty."
    with pytest.raises(UnknownName) as caught:
        load_benchmark("\x1b[2J")
    assert caught.value.problem.isprintable()


def test_a_cell_longer_than_csvs_own_limit_is_read(tmp_path: Path) -> None:
    passage = "word " * 40_000
    path = write(tmp_path / "law.csv", f'question,A,B,answer\n"{passage}?",x,y,B\n'.encode())
    (question,) = load_benchmark(str(path)).exams["law"].questions
    assert question.text == f"{passage}?"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("law.csv", b'question,A,B,answer\n"' + b"x" * 2000, "line 2: no CSV (a line of more than 1,000 characters)."),
        ("law.csv", b"," * 2000, "line 1: no CSV (a line of more than 1,000 characters)."),
        ("law.csv", b'question,A,B,answer\n"' + b"x\n" * 600, "line 2: no CSV (a cell of more than 1,000 characters)."),
        ("law.jsonl", b"[" * 2000, "line 1: a line of more than 1,000 bytes."),
    ],
)
def test_a_line_or_cell_that_would_fill_the_memory_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, problem: str
) -> None:
    monkeypatch.setattr(files, "MAX_CELL", 1000)
    assert problem in fault_of(write(tmp_path / name, content)).problem
    csv.field_size_limit(131_072)


def test_more_rows_than_an_exam_has_end_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ROWS", 3)
    blank = "\n" * 10
    for path in (
        jsonl(tmp_path, *(GOOD for _ in range(4))),
        write(tmp_path / "bad.jsonl", b"no JSON\n" * 3 + b"\n"),
        write(tmp_path / "law.csv", b"question,A,B,answer\n" + b"x,y,z,A\n" * 3),
        write(tmp_path / "blank.csv", f"question,A,B,answer{blank}".encode()),
    ):
        with pytest.raises(BadInput, match="has more than 3 rows, which is not read as an exam"):
            load_benchmark(str(path))


def test_a_small_parquet_file_of_millions_of_rows_is_refused_unread(tmp_path: Path) -> None:
    table = pyarrow.table(
        {"question": ["x"] * 3_000_000, "a": ["y"] * 3_000_000, "b": ["z"] * 3_000_000, "answer": ["A"] * 3_000_000}
    )
    path = tmp_path / "law.parquet"
    pyarrow.parquet.write_table(table, path)
    assert path.stat().st_size < 1_000_000
    assert fault_of(path).problem == "law.parquet has more than 250,000 rows, which is not read as an exam."


def test_a_small_parquet_file_that_unfolds_to_gigabytes_is_given_up(tmp_path: Path) -> None:
    long = "word " * 20_000
    path = tmp_path / "law.parquet"
    names = ["question", "a", "b", "answer"]
    pyarrow.parquet.write_table(
        pyarrow.table([[long] * 5000, ["y"] * 5000, ["z"] * 5000, ["A"] * 5000], names=names), path
    )
    assert path.stat().st_size < 1_000_000
    assert fault_of(path).problem == "law.parquet unfolds to more than 0.3 GB."
