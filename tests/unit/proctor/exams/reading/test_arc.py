"""ARC's own form: options with labels of their own, letters in most rows and numbers in some, and a key among them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from proctor.errors import BadRow, SeveralFaults
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.nouns.exams import Exam
from tests.support import shared_data
from tests.unit.proctor.exams.exam_files import Row, write_csv, write_jsonl, write_parquet


def arc(text: str, key: object, labels: str = "ABCD") -> dict[str, object]:
    options = [f"option {n}" for n in range(len(labels))]
    return {"id": "x", "question": text, "choices": {"text": options, "label": list(labels)}, "answerKey": key}


ROWS = [arc("Four?", "C"), arc("Numbers?", "2", "1234"), arc("Three?", "C", "ABC"), arc("Five?", "5", "12345")]
ANSWERS = [2, 1, 2, 4]


def pairs(item: Row) -> Row:
    choices = item["choices"]
    assert isinstance(choices, dict)
    both = zip(choices["text"], choices["label"], strict=True)
    return {**item, "choices": [{"text": text, "label": label} for text, label in both]}


def as_json(item: Row) -> Row:
    return {**item, "choices": json.dumps(item["choices"])}


def exam_of(path: Path) -> Exam:
    (exam,) = load_benchmark(str(path)).exams.values()
    return exam


@pytest.fixture(params=["jsonl", "jsonl of pairs", "parquet", "parquet of pairs", "csv with JSON"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same rows in every form."""
    match request.param:
        case "jsonl":
            return write_jsonl(tmp_path / "arc.jsonl", ROWS)
        case "jsonl of pairs":
            return write_jsonl(tmp_path / "arc.jsonl", [pairs(row) for row in ROWS])
        case "parquet":
            return write_parquet(tmp_path / "arc.parquet", ROWS)
        case "parquet of pairs":
            return write_parquet(tmp_path / "arc.parquet", [pairs(row) for row in ROWS])
        case _:
            return write_csv(tmp_path / "arc.csv", [as_json(row) for row in ROWS])


def test_arcs_own_form_is_read_as_it_is(path: Path, tmp_path: Path) -> None:
    exam = exam_of(path)
    assert [question.key for question in exam.questions] == ANSWERS
    assert [len(question.choices) for question in exam.questions] == [4, 4, 3, 5]
    assert exam.questions[0].choices == ("option 0", "option 1", "option 2", "option 3")
    plain = [
        {"question": row["question"], "choices": [f"option {n}" for n in range(count)], "answer": answer}
        for row, count, answer in zip(ROWS, (4, 4, 3, 5), ANSWERS, strict=True)
    ]
    assert exam.content_hash == exam_of(write_jsonl(tmp_path / "plain" / "arc.jsonl", plain)).content_hash


@pytest.mark.parametrize(("name", "numbered"), [("arc_easy", 14), ("arc_challenge", 4)])
def test_real_rows_mean_what_their_labels_say(name: str, numbered: int, tmp_path: Path) -> None:
    path = shared_data(f"benchmarks/{name}/test.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(row["choices"]["label"][0] == "1" for row in rows) == numbered
    right = {
        row["question"].strip(): row["choices"]["text"][row["choices"]["label"].index(row["answerKey"])] for row in rows
    }
    exam = exam_of(path)
    assert len(exam.questions) == len(rows)
    assert {question.text.strip(): question.choices[question.key] for question in exam.questions} == right
    sizes = Counter(len(question.choices) for question in exam.questions)
    assert sizes.keys() <= {3, 4, 5}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    packed = exam_of(tmp_path / f"{name}.parquet")
    assert [question.key for question in packed.questions] == [question.key for question in exam.questions]


@pytest.mark.parametrize(
    ("change", "column", "cause"),
    [
        ({"answerKey": "E"}, "answer", "'E' is not one of the labels 'A', 'B', 'C', 'D'"),
        ({"answerKey": ""}, "answer", "'' is not one of the labels"),
        ({"answerKey": 0}, "answer", "0 is not one of the labels"),
        ({"choices": {"text": ["x", "y"], "label": ["A"]}}, "choices", "1 labels for 2 options"),
        ({"choices": {"text": ["x", "y"], "label": "AB"}}, "choices", "'AB' as labels for 2 options"),
        ({"choices": {"text": ["x", "y"], "label": ["A", "A"]}}, "choices", "are no 2 different ones"),
        ({"choices": {"text": ["x", "y"], "label": ["A", None]}}, "choices", "are no 2 different ones"),
        ({"choices": {"text": "x", "label": ["A"]}}, "choices", "'x' is no list"),
        ({"choices": [{"text": "x", "label": "A"}, {"text": "y"}]}, "choices", "the option a dict is no text"),
        ({"choices": [{"text": "x", "label": "A"}, "y"]}, "choices", "the option a dict is no text"),
    ],
)
def test_a_row_whose_labels_tell_nothing_is_named(
    tmp_path: Path, change: dict[str, object], column: str, cause: str
) -> None:
    with pytest.raises(BadRow) as caught:
        load_benchmark(str(write_jsonl(tmp_path / "arc.jsonl", [ROWS[0], {**arc("Other?", "A"), **change}])))
    assert (caught.value.row, caught.value.column) == ("line 2", column)
    assert cause in caught.value.cause


def test_an_answer_is_looked_for_in_answer_before_answer_key(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "arc.jsonl", [{**arc("Which?", "B"), "answer": "A"}])
    assert exam_of(path).questions[0].answer == 0


def test_letters_with_numbers_among_them_are_refused_row_by_row() -> None:
    with pytest.raises(SeveralFaults) as caught:
        load_benchmark(str(shared_data("faults/arc_mixed_keys.jsonl")))
    assert [fault.problem for fault in caught.value.faults] == [
        "arc_mixed_keys.jsonl, line 4, column answer: '1' can be read as index from 0 (B) and number from 1 (A).",
        "arc_mixed_keys.jsonl, line 5, column answer: '2' can be read as index from 0 (C) and number from 1 (B).",
    ]


def test_numbers_that_also_are_an_options_text_are_refused_in_every_format(tmp_path: Path) -> None:
    path = shared_data("faults/int_value_key.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for file in (
        path,
        write_parquet(tmp_path / "v.parquet", rows),
        write_csv(tmp_path / "v.csv", [as_json(row) for row in rows]),
    ):
        with pytest.raises(SeveralFaults, match=r"2'? can be read as index from 0 \(C\) and option's text \(B\)"):
            load_benchmark(str(file))


def test_that_keys_count_from_one_is_said_with_the_row_that_shows_it(tmp_path: Path) -> None:
    rows = [{"question": f"{key}?", "choices": ["w", "x", "y"], "answer": key} for key in (1, 3, 2)]
    benchmark = load_benchmark(str(write_jsonl(tmp_path / "law.jsonl", rows)))
    assert [question.key for question in benchmark.exams["law"].questions] == [0, 2, 1]
    assert benchmark.notes[0] == (
        "Keys of law.jsonl that are numbers are read as counting from 1, since the key 3 of line 2 is the number of "
        "its last option (C)."
    )
