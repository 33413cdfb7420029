"""Rows of a folder: which file is which split, and what is read of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from proctor.errors import BadExam
from proctor.exams.reading import hub
from proctor.exams.tasks.definition import Row, Rows
from proctor.exams.tasks.splits import of_folder, of_hub, read_rows

ROWS = Rows("own/sums", "small", training="train", validation="validation", pool="dev")


def put(path: Path, *rows: Row) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_split_is_the_file_of_its_name_else_the_usual_ones(tmp_path: Path) -> None:
    read = of_folder(tmp_path)
    put(tmp_path / "test.jsonl", {"a": "test"})
    put(tmp_path / "train.jsonl", {"a": "train"})
    assert (read(ROWS, "validation"), read(ROWS, "dev")) == ([{"a": "test"}], [{"a": "train"}])
    put(tmp_path / "validation.jsonl", {"a": "validation"})
    put(tmp_path / "dev.jsonl", {"a": "dev"})
    assert (read(ROWS, "validation"), read(ROWS, "dev")) == ([{"a": "validation"}], [{"a": "dev"}])


def test_a_configuration_has_its_own_folder_where_there_is_one(tmp_path: Path) -> None:
    put(tmp_path / "small" / "test.jsonl", {"a": 1})
    put(tmp_path / "test.jsonl", {"a": 2})
    assert of_folder(tmp_path)(ROWS, "validation") == [{"a": 1}]


def test_a_split_that_isnt_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(BadExam, match=r"no rows of the split 'dev'.*dev\.jsonl"):
        of_folder(tmp_path)(ROWS, "dev")


def test_columns_keep_their_order_and_types(tmp_path: Path) -> None:
    row = {"b": [{"c": [1]}], "a": "é\n", "n": 1.5}
    assert [list(one.items()) for one in read_rows(put(tmp_path / "x.jsonl", row))] == [list(row.items())]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "x.parquet")
    assert read_rows(tmp_path / "x.parquet") == [row]
    (tmp_path / "x.csv").write_text('b,a\n"1,2",x\n')
    assert read_rows(tmp_path / "x.csv") == [{"b": "1,2", "a": "x"}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", b"{", "line 1"),
        ("x.jsonl", b"{}\n[1]\n", "line 2"),
        ("x.jsonl", b"\n", "no rows"),
        ("x.jsonl", b"\xff\xfe", "UTF-8"),
        ("x.csv", b"a,b\n1\n", "another number of cells"),
        ("x.csv", b'a,b\n"1,2\n', "no CSV"),
        ("x.parquet", b"PAR1", "no Parquet"),
    ],
)
def test_a_file_that_cant_be_read_is_told_with_its_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadExam, match=said) as caught:
        read_rows(tmp_path / name)
    assert name in str(caught.value)


def test_rows_of_the_hub_are_asked_for_with_configuration_revision_and_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def table(repo: str, config: str, split: str, **more: object) -> Sequence[Row]:
        asked.extend([repo, config, split, more["revision"], more["arguments"]])
        return [{}]

    monkeypatch.setattr(hub, "table", table)
    of_hub(Rows("own/sums", "small", "abc", test="test", arguments={"data_dir": "d"}), "test")
    assert asked == ["own/sums", "small", "test", "abc", {"data_dir": "d"}]
