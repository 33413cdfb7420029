"""Samples files of lm-evaluation-harness: those that are read, and those that are refused with file, line and cause."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from analysis.exchange.lm_eval_samples import Sample, read_samples
from proctor.errors import BadInput

SCORES = [["-1.5", "False"], ["-2.5", "False"]]
NAME = "samples_mmlu_ways_2026-01-31T12-00-00.000000.jsonl"


def line(answer: object = 1, scores: object = SCORES, question: str = "Up?") -> str:
    doc = {"question": question, "choices": ["yes", "no"], "answer": answer}
    return json.dumps({"doc_id": 0, "doc": doc, "filtered_resps": scores, "prompt_hash": "a" * 64}, ensure_ascii=False)


def samples_of(path: Path) -> list[Sample]:
    return [sample for file in read_samples([path]).files for sample in file.samples]


def read(path: Path, content: str) -> list[Sample]:
    path.write_text(content, encoding="utf-8")
    return samples_of(path)


@pytest.mark.parametrize(("answer", "key"), [(1, 1), ("1", 1), ("B", 1), (" b ", 1), (1.0, 1), (0, 0), ("A", 0)])
def test_an_answer_is_an_index_or_a_letter(tmp_path: Path, answer: object, key: int) -> None:
    (sample,) = read(tmp_path / NAME, line(answer))
    assert (sample.row.answer, sample.row.subject) == (key, "ways")


@pytest.mark.parametrize("answer", ["", "AB", "C", 2, -1, 0.5, None, [0]])
def test_an_answer_that_is_none_of_the_choices_is_refused(tmp_path: Path, answer: object) -> None:
    with pytest.raises(BadInput, match=r"line 1 is no multiple-choice sample: .* is none of 2 choices"):
        read(tmp_path / NAME, line(answer))


@pytest.mark.parametrize("score", ["nan", "inf"])
def test_a_score_that_is_no_log_probability_is_refused(tmp_path: Path, score: str) -> None:
    with pytest.raises(BadInput, match=f"{score} is no log-probability"):
        read(tmp_path / NAME, line(scores=[[score, "False"], ["-1", "False"]]))


@pytest.mark.parametrize("content", ["no json", "[1, 2]", '"x"', "3", "{}", '{"doc": []}', line()[:90], "[" * 100_000])
def test_a_line_that_is_no_sample_is_refused_with_its_number(tmp_path: Path, content: str) -> None:
    with pytest.raises(BadInput, match=r"samples_mmlu_ways.*, line 3 is no multiple-choice sample"):
        read(tmp_path / NAME, f"{line()}\n\n{content}\n")


def test_a_question_may_hold_other_ends_of_lines_and_a_file_a_byte_order_mark(tmp_path: Path) -> None:
    (sample,) = read(tmp_path / NAME, "\ufeff" + line(question="Up\u2028or\x85down?") + "\n")
    assert sample.row.question == "Up\u2028or\x85down?"


def test_packed_files_are_read_and_found_in_folders(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(line().encode()))
    assert [sample.row.subject for sample in samples_of(tmp_path)] == ["ways"]
    assert samples_of(tmp_path) == samples_of(tmp_path / f"{NAME}.gz")


@pytest.mark.parametrize(
    ("name", "content"), [("s.jsonl.gz", b"no gzip"), ("s.jsonl.gz", b"\x1f\x8b\x08"), ("s.jsonl", b"\xff")]
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=rf"{name} can't be read: .*gzip with the ending \.gz"):
        samples_of(tmp_path / name)
