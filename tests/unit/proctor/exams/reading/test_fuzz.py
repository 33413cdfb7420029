"""Whatever bytes a file holds, loading gives a benchmark or an error of our tree, fit for a terminal."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.errors import ProctorError
from proctor.exams.benchmarks.base import ExamSet
from proctor.exams.benchmarks.registry import load_benchmark

ROWS = [{"question": f"Question {n}?", "choices": ["w", "x", "y"], "answer": n % 3, "subject": "law"} for n in range(9)]
buffer = io.BytesIO()
pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), buffer)
PARQUET = buffer.getvalue()

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from("ABCD0123")
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3)
)
columns = st.sampled_from(["question", "Question", "choices", "answer", "subject", "A", "b", "c", "other"])
rows = st.lists(st.dictionaries(columns, values, max_size=6) | values, max_size=6)
cells = st.sampled_from(
    ['"', ",", "\n", "\r\n", "question", "answer", "A", "B", "choices", "\0", "é", '["x","y"]', " "]
)


def outcome(content: bytes, suffix: str) -> ExamSet | ProctorError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"law{suffix}"
        path.write_bytes(content)
        try:
            return load_benchmark(str(path))
        except ProctorError as error:
            return error


def load(content: bytes, suffix: str) -> None:
    found = outcome(content, suffix)
    if isinstance(found, ProctorError):
        assert found.problem.replace("\n", "").isprintable()
        assert len(found.problem) < 20_000
    else:
        assert found.exams
        assert all(exam.questions for exam in found.exams.values())


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@given(st.binary(max_size=400))
def test_any_bytes(suffix: str, content: bytes) -> None:
    load(content, suffix)


@given(rows)
def test_any_json(content: list[object]) -> None:
    load("\n".join(map(json.dumps, content)).encode(), ".jsonl")


@given(st.lists(cells | st.text(max_size=4), max_size=40).map("".join))
def test_any_csv(content: str) -> None:
    load(content.encode(errors="surrogatepass"), ".csv")


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(PARQUET) - 1), st.integers(0, 255)), max_size=4), st.integers(0, 60))
def test_a_damaged_parquet_file(changes: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(PARQUET[: len(PARQUET) - cut])
    for place, byte in changes:
        if place < len(content):
            content[place] = byte
    load(bytes(content), ".parquet")
