"""Where a task's rows come from: the hub, or a folder with a file a split, in the data set's own columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from proctor.errors import BadExam, BadRow
from proctor.exams.reading import hub
from proctor.exams.reading.files import MAX_CELL, MAX_FILE_BYTES, MAX_ROWS
from proctor.exams.reading.problems import shown
from proctor.exams.tasks.definition import Row, Rows

Splits = Callable[[Rows, str], Sequence[Row]]  # the rows of a split by its name

ASKED = ("test", "validation")  # files that stand for the split that is asked, where none has its name
SHOWN = ("train", "dev", "validation")  # and for the pool of examples


def of_hub(rows: Rows, split: str) -> Sequence[Row]:
    """The rows of a split from the hub or its cache. Raises `BadExam`."""
    return hub.table(
        rows.data,
        rows.config,
        split,
        revision=rows.revision,
        arguments=rows.arguments,
        next_step="Without a network, give a folder with its rows: test.jsonl and, for examples, train.jsonl.",
    )


def last_kept(splits: Splits) -> Splits:
    """The same, the last split kept for the next task of its data set: its rows, or that they can't be had."""
    kept: dict[object, Sequence[Row] | BadExam] = {}

    def read(rows: Rows, split: str) -> Sequence[Row]:
        key = rows.data, rows.config, rows.revision, split
        if key not in kept:
            kept.clear()
            try:
                kept[key] = splits(rows, split)
            except BadExam as fault:
                kept[key] = fault
        found = kept[key]
        if isinstance(found, BadExam):
            raise found
        return found

    return read


def of_path(path: Path) -> Splits:
    """Rows from a folder, or from one file, which has those that are asked and no others."""
    return of_folder(path) if path.is_dir() else partial(_of_file, path)


def _of_file(path: Path, rows: Rows, split: str) -> Sequence[Row]:
    if split != rows.asked:
        raise BadExam(
            f"{path.name} is one file, whose questions are all asked: it has no examples to show.",
            "Say --shots 0, or give a folder with test.jsonl and dev.jsonl.",
        )
    return read_rows(path)


def of_folder(folder: Path) -> Splits:
    """Rows from `folder`, or from the folder in it that is called as the data set's configuration.

    The split that is asked is the file of its name, else `test`, else `validation`; the pool of examples is the file of
    its name, else `train`, `dev` or `validation`. JSONL, CSV (with a header, all cells texts) and Parquet are read.
    """

    def read(rows: Rows, split: str) -> Sequence[Row]:
        within = folder / rows.config if rows.config and (folder / rows.config).is_dir() else folder
        others = ASKED if split == rows.asked else SHOWN
        found = [
            path for name in (split, *others) for suffix in _READERS if (path := within / f"{name}{suffix}").is_file()
        ]
        if not found:
            raise BadExam(
                f"{within} has no rows of the split {split!r}.",
                f"Put them there as {' or '.join(f'{name}.jsonl' for name in dict.fromkeys((split, *others[:1])))}.",
            )
        return read_rows(found[0])

    return read


def read_rows(path: Path) -> list[dict[str, object]]:
    """The rows of a JSONL, CSV or Parquet file, columns in their order.

    Raises
    ------
    BadExam
        for a file that can't be read, is too large, or holds no rows.
    """
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise BadExam(f"{path.name} has {size / 1e9:.1f} GB; {MAX_FILE_BYTES / 1e9:.1f} GB are read at most.")
        reader = _READERS.get(path.suffix.casefold())
        if reader is None:
            raise BadExam(f"{path.name} is no file of rows.", f"There are {', '.join(_READERS)}.")
        rows = list(reader(path))
    except UnicodeDecodeError as error:
        raise BadExam(f"{path.name} is not UTF-8: {error.reason}.", "Save it as UTF-8.") from error
    except OSError as error:
        raise BadExam(f"{path.name} can't be read: {error.strerror}.", "Check the file and its permissions.") from error
    if not rows:
        raise BadExam(f"{path.name} has no rows.")
    if len(rows) > MAX_ROWS:
        raise BadExam(f"{path.name} has more than {MAX_ROWS:,} rows.", "Leave out what is not asked.")
    return rows


def _jsonl(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadRow(
                    path.name, f"line {number}", "", f"no JSON ({error})", "Write one object a line."
                ) from error
            if not isinstance(row, dict):
                raise BadRow(path.name, f"line {number}", "", f"{shown(row)} is no object", "Write one object a line.")
            yield row


def _csv(path: Path) -> Iterator[dict[str, object]]:
    csv.field_size_limit(MAX_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    cause = "another number of cells than the first line"
                    raise BadRow(path.name, f"line {reader.line_num}", "", cause, "Put cells with commas in quotes.")
                yield dict(row)
        except csv.Error as error:
            raise BadRow(
                path.name, f"line {reader.line_num}", "", f"no CSV ({error})", "Look for an open quote."
            ) from error


def _parquet(path: Path) -> Iterator[dict[str, object]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, use_threads=False)
        if table.nbytes > MAX_FILE_BYTES:
            raise BadExam(f"{path.name} unfolds to {table.nbytes / 1e9:.1f} GB.", "Leave out what is not asked.")
        yield from table.to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:
        cause = shown(str(error).partition("\n")[0], 120)
        raise BadExam(f"{path.name} is no Parquet file that can be read: {cause}.", "Write it anew.") from error


_READERS: dict[str, Callable[[Path], Iterator[dict[str, object]]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
