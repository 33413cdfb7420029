"""Rows of a CSV, JSONL or Parquet file, whatever way its columns are written; nothing here judges what they say."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from proctor.errors import BadExam, BadRow
from proctor.exams.reading.problems import Faults, shown
from proctor.lfs import FETCH, HEAD_BYTES, is_pointer
from proctor.nouns.exams import LETTERS

MAX_FILE_BYTES = 256 * 1024**2  # also of what a Parquet file unfolds to
MAX_ROWS = 250_000  # blank lines and a header included; MMLU has 14,000 in all
MAX_CELL = 16 * 1024**2  # bytes of a line of JSONL, characters of a cell of CSV
_BATCH = 1000  # rows of Parquet that are unfolded at once
ARC_KEY = "answerkey"  # ARC calls its column so, in camel case; where there is an `answer` too, that is read
COLUMNS = "A file needs the columns question, choices (or A, B, C, D …) and answer (or answerKey)."


_SPLIT = "Split it into a file a subject."


@dataclass(frozen=True)
class RawRow:
    """One row as its file has it, unchecked. `subject` is None where the file has no such column."""

    place: str  # "line 3" or "row 3", from 1
    question: object
    choices: object  # a list, ARC's {"text": [...], "label": [...]}, either as JSON text, or the cells of A, B, C …
    answer: object
    subject: object = None


Reader = Callable[[Path, str, Faults], Iterator[RawRow]]


def read(path: Path, label: str, faults: Faults) -> Generator[RawRow, None, None]:
    """The rows of `path`, one by one; what can't be read is added to `faults` under the name `label`.

    A row that can't be read is left out and reading goes on; where the file itself is at fault it ends.
    """
    reader = READERS[path.suffix.casefold()]
    try:
        size = path.stat().st_size
        if size == 0:
            faults.add(BadExam(f"{label} is empty.", COLUMNS))
        elif size > MAX_FILE_BYTES:
            faults.add(
                BadExam(
                    f"{label} has {size / 1e9:.1f} GB; more than {MAX_FILE_BYTES / 1e9:.1f} GB is not read as an exam.",
                    "Split it into a file a subject, or leave out what is not asked.",
                )
            )
        else:
            before, empty = len(faults), True
            for row in _readable(path, label, faults, reader):
                empty = False
                yield row
            if empty and len(faults) == before:
                faults.add(BadExam(f"{label} has no rows.", COLUMNS))
    except UnicodeDecodeError as error:
        faults.add(_not_utf8(path, label, error))
    except OSError as error:
        cause = error.strerror or shown(str(error), 120)
        faults.add(BadExam(f"{label} can't be read: {cause}.", "Check the file and its permissions."))


def _readable(path: Path, label: str, faults: Faults, reader: Reader) -> Iterator[RawRow]:
    with path.open("rb") as file:
        if is_pointer(file.read(HEAD_BYTES)):
            faults.add(BadExam(f"{label} is a pointer of Git LFS, not the questions.", FETCH))
            return
    yield from reader(path, label, faults)


def _too_many(label: str) -> BadExam:
    return BadExam(
        f"{label} has more than {MAX_ROWS:,} rows, which is not read as an exam.",
        "Split it into a file a subject, or leave out what is not asked.",
    )


def _read_csv(path: Path, label: str, faults: Faults) -> Iterator[RawRow]:
    csv.field_size_limit(MAX_CELL)  # csv's own is 131,072 characters, and passages are longer
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(_lines(file), strict=True)
        header: list[str] | None = None
        line = 1
        try:
            for number, cells in enumerate(reader, start=1):
                if number > MAX_ROWS:
                    faults.add(_too_many(label))
                    return
                place, line = f"line {line}", reader.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                if header is None:
                    header, is_row = _header(cells)
                    if fault := missing(header):
                        faults.add(BadRow(label, place, "", fault, COLUMNS))
                        return
                    if not is_row:
                        continue
                if len(cells) != len(header):
                    cause = f"{len(cells)} cells where the first line has {len(header)}"
                    faults.add(BadRow(label, place, "", cause, "Put cells that hold commas or quotes in quotes."))
                    continue
                yield from _row(dict(zip(header, cells, strict=True)), label, place, faults)
        except csv.Error as error:
            cause = f"a cell of more than {MAX_CELL:,} characters" if "field limit" in str(error) else str(error)
            faults.add(BadRow(label, f"line {line}", "", f"no CSV ({cause})", "Look for a quote that isn't closed."))


def _lines(file: TextIO) -> Iterator[str]:
    """The lines of a file, as csv wants them; raises its error for one that would fill the memory."""
    for line in iter(lambda: file.readline(MAX_CELL + 1), ""):
        if len(line) > MAX_CELL:
            raise csv.Error(f"a line of more than {MAX_CELL:,} characters")
        yield line


def _header(cells: list[str]) -> tuple[list[str], bool]:
    """The columns' names, and whether this first line is a row itself: MMLU's own files have no header."""
    names = [cell.strip().casefold() for cell in cells]
    options = len(cells) - 2
    if "question" not in names and 2 <= options <= len(LETTERS) and cells[-1].strip() in tuple(LETTERS[:options]):
        return ["question", *LETTERS[:options].casefold(), "answer"], True
    return names, False


def _read_jsonl(path: Path, label: str, faults: Faults) -> Iterator[RawRow]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_CELL + 1), b""), start=1):
            if number > MAX_ROWS:
                faults.add(_too_many(label))
                return
            if len(line) > MAX_CELL:
                cause = f"a line of more than {MAX_CELL:,} bytes"
                faults.add(BadRow(label, f"line {number}", "", cause, "Write one JSON object a line."))
                return
            place = f"line {number}"
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if not text:
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                cause = f"no JSON ({error}): {shown(text)}"
                faults.add(BadRow(label, place, "", cause, "Write one JSON object a line."))
                continue
            if not isinstance(value, dict):
                cause = f"a {type(value).__name__} where an object should be: {shown(text)}"
                faults.add(BadRow(label, place, "", cause, "Write one JSON object a line."))
                continue
            yield from _row({str(k).strip().casefold(): v for k, v in value.items()}, label, place, faults)


def _read_parquet(path: Path, label: str, faults: Faults) -> Iterator[RawRow]:
    # Imported here: it takes 0.2 s, and only Parquet needs it.
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
            if (size := sum(group.total_byte_size for group in groups)) > MAX_FILE_BYTES:
                faults.add(BadExam(f"{label} unpacks to {size / 1e9:.1f} GB.", _SPLIT))
                return
            names = {name: name.strip().casefold() for name in file.schema_arrow.names}
            if fault := missing(list(names.values())):
                faults.add(BadExam(f"{label}: {fault}.", COLUMNS))
                return
            if file.metadata.num_rows > MAX_ROWS:
                faults.add(_too_many(label))
                return
            wanted = [name for name, key in names.items() if _is_ours(key)]
            rows: list[dict[str, object]] = []
            unfolded = 0
            for batch in file.iter_batches(_BATCH, columns=wanted, use_threads=False):
                unfolded += batch.nbytes
                if unfolded > MAX_FILE_BYTES:
                    faults.add(BadExam(f"{label} unfolds to more than {MAX_FILE_BYTES / 1e9:.1f} GB.", _SPLIT))
                    return
                rows += batch.to_pylist()
    # The last two: values that Arrow holds and Python can't, such as the year 20000 or text that is no UTF-8.
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        cause = shown(str(error).partition("\n")[0], 120)
        faults.add(BadExam(f"{label} is no Parquet file that can be read: {cause}.", "Write it anew."))
        return
    for number, row in enumerate(rows, start=1):
        yield from _row({names[name]: value for name, value in row.items()}, label, f"row {number}", faults)


READERS: Mapping[str, Reader] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


def missing(names: Sequence[str]) -> str:
    """What lacks among these columns (in small letters) and which were found, in words; "" if nothing lacks."""
    wanted = ("question",) if ARC_KEY in names else ("question", "answer")
    lacking = [name for name in wanted if name not in names]
    if "choices" not in names and not {"a", "b"} <= set(names):
        lacking.insert(1, "choices")
    found = ", ".join(shown(name, 30) for name in names[:12]) or "none"
    twice = [name for name in names if _is_ours(name) and names.count(name) > 1]
    if not lacking and twice:
        return f"the column {twice[0]} stands there {names.count(twice[0])} times"
    return f"no column {', '.join(lacking)}; found {found}{' …' if len(names) > 12 else ''}" if lacking else ""


def _is_ours(name: str) -> bool:
    return name in {"question", "choices", "answer", ARC_KEY, "subject"} or name.upper() in tuple(LETTERS)


def _row(cells: Mapping[str, object], label: str, place: str, faults: Faults) -> Iterator[RawRow]:
    if fault := missing(list(cells)):
        faults.add(BadRow(label, place, "", fault, COLUMNS))
        return
    choices = cells["choices"] if "choices" in cells else _lettered(cells)
    yield RawRow(
        place, cells["question"], choices, cells["answer" if "answer" in cells else ARC_KEY], cells.get("subject")
    )


def _lettered(cells: Mapping[str, object]) -> list[object]:
    """The cells of the columns A, B, C …; the last ones may be empty, where a question has fewer options."""
    options: list[object] = []
    for letter in LETTERS.casefold():
        if letter not in cells:
            break
        options.append(cells[letter])
    while options and options[-1] in ("", None):
        options.pop()
    return options


def _not_utf8(path: Path, label: str, error: UnicodeDecodeError) -> BadExam:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return BadExam(f"{label} is UTF-16.", "Save it as UTF-8.")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as whole:
        error = whole
    line = data.count(b"\n", 0, error.start) + 1
    return BadRow(label, f"line {line}", "", f"the byte {data[error.start]:#04x} is no UTF-8", "Save it as UTF-8.")
