"""Files of questions as tests need them, in every format that is read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

Row = Mapping[str, object]


def row(text: str = "Which?", answer: object = 1, **more: object) -> dict[str, object]:
    return {"question": text, "choices": ["w", "x", "y", "z"], "answer": answer, **more}


ROWS = [row("One?", 0), row("Two, or “more”?\nSay!", 1), row(" Drei? ", 3)]


def write_jsonl(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[Row], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_mmlu_csv(path: Path, rows: Sequence[Row]) -> Path:
    """As in the archive of MMLU's authors: no header; question, A, B, C, D, letter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        for item in rows:
            choices, answer = item["choices"], item["answer"]
            assert isinstance(choices, list)
            assert isinstance(answer, int)
            csv.writer(file).writerow([item["question"], *choices, "ABCD"[answer]])
    return path


def write_parquet(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def lettered(item: Row) -> dict[str, object]:
    choices, answer = item["choices"], item["answer"]
    assert isinstance(choices, list)
    assert isinstance(answer, int)
    return {"question": item["question"], **dict(zip("ABCD", choices, strict=True)), "answer": "ABCD"[answer]}


def as_json_text(item: Row) -> dict[str, object]:
    return {**item, "choices": json.dumps(item["choices"])}
