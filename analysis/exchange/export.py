"""Answers for other people's tools: a row an Answer as JSONL, CSV or Parquet, or a JSON file a Run."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from math import fsum, isfinite
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from analysis.data.files import exists, new_file
from analysis.data.groups import names_of
from analysis.data.panel import QUESTION_COLUMNS
from analysis.data.panel_rows import Imported
from analysis.data.tables import harmless, told_apart
from proctor.errors import BadInput
from proctor.exams.benchmarks.mmlu_prompts import characters
from proctor.exams.judging.metrics import of_scored, summed_up
from proctor.exams.marking.choice import best_of, per_character
from proctor.exams.tasks.form import Kind, Metric, read_form
from proctor.nouns.exams import LETTERS, Question, Scored, Scoring
from proctor.store.database.session import Store
from proctor.store.reads.export import ExportRow, export_rows, in_forms, tells_of_points
from proctor.store.reads.records import RunRecord, runs
from proctor.store.runs.copies import RUN_COLUMNS, pack_object, run_columns

COLUMNS = (
    "benchmark", "subject", "question_id", "question_index", "question", "choices", "answer", "prompt_hash", "model",
    "revision", "quant", "dtype", "shots", "options_logprob", "picked", "correct", "sweep_id", "run_id", "attempt",
    "scoring", "picked_norm", "correct_norm", "pack", *RUN_COLUMNS,
)  # fmt: skip
ONCE = ("measures", "provenance", "run")  # in a Run's first row only
# Behind them, where an Answer was written or is worth a part of a point; those of replies are lists, an entry a turn.
WRITTEN = ("reference", "turns", "replies", "reply_ends", "reply_tokens", "reply_think_ends", "extracted", "points")
# Behind those, where an exam is in a form: what more its questions have; the form itself stands in `run`.
IN_FORM = ("further", "contexts", "opening", "examples")
Cells = dict[str, Any]  # a row by `COLUMNS`, as JSON takes it
ROWS_AT_A_TIME = 10_000  # in a Parquet file's row group: what is in memory at once


def rows_of(store: Store, sweep_ids: Sequence[int]) -> Iterator[Cells]:
    """A row an Answer of these sweeps. What is long and the same in all rows of a Run stands in its first row.

    With the columns of `WRITTEN` where any of the Answers has something to tell there, and those of `IN_FORM` too where
    any exam is in a form.
    """
    formed = bool(in_forms(store, sweep_ids))
    written = formed or tells_of_points(store, sweep_ids)
    columns = (*COLUMNS, *(WRITTEN if written else ()), *(IN_FORM if formed else ()))
    for run, rows in groupby(export_rows(store, sweep_ids), key=attrgetter("run")):
        of_run = run_columns(run)
        for row in rows:
            yield as_object(row, of_run, columns)
            of_run |= dict.fromkeys(ONCE)


def write_stream(rows: Iterable[Cells], kind: str, stream: IO[str], *, raw: bool = False) -> int:
    """Write rows to an open text stream as `jsonl` or `csv`; returns how many there were.

    In a CSV, text that a spreadsheet would run as a formula gets an apostrophe in front, unless `raw` is set.
    """
    return _write_csv(rows, stream, raw=raw) if kind == "csv" else _write_jsonl(rows, stream)


def export_to_file(
    store: Store, sweep_ids: Sequence[int], kind: str, path: Path, *, force: bool = False, raw: bool = False
) -> int:
    """Write every Answer of these sweeps to a file; as `write_file`."""
    return write_file(rows_of(store, sweep_ids), kind, path, force=force, raw=raw)


def write_file(rows: Iterable[Cells], kind: str, path: Path, *, force: bool = False, raw: bool = False) -> int:
    """Write rows to a file of kind `jsonl`, `csv` or `parquet`, whole or not at all; returns how many.

    `raw` is as in `write_stream`.

    Raises
    ------
    BadInput
        where the file exists and `force` isn't set, or it can't be written.
    """
    with new_file(path, force=force) as beside:
        if kind == "parquet":
            return _write_parquet(rows, beside)
        with beside.open("w", encoding="utf-8", newline="") as stream:
            return write_stream(rows, kind, stream, raw=raw)


def export_questions(store: Store, sweep_ids: Sequence[int], folder: Path, *, force: bool = False) -> list[Path]:
    """Write a `…_questions.json` for each answered Run: model, accuracy, and its questions one by one.

    Raises
    ------
    BadInput
        where one of the files exists and `force` isn't set (nothing is written then), or one can't be written.
    """
    everything = runs(store, sweep_ids)
    names = names_of(everything)
    records = {record.run_id: record for record in everything if record.answered}
    paths = {run_id: folder / _file_name(record, names[run_id]) for run_id, record in records.items()}
    existing = [path for path in paths.values() if path.exists()]
    if existing and not force:
        raise exists(existing[0])
    written = []
    for run_id, rows in groupby(export_rows(store, sweep_ids), key=lambda row: row.run_id):
        record = records.get(run_id)
        if record is None:  # its first Answers came after the list of Runs was read
            continue
        with new_file(paths[run_id], force=force) as beside:
            told = _questions(record, list(rows), names)
            beside.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")
        written.append(paths[run_id])
    return written


def as_object(row: ExportRow, of_run: Mapping[str, Any], columns: Sequence[str] = COLUMNS) -> dict[str, Any]:
    """A row in the order of `columns`, as JSON takes it; `of_run` is what `run_columns` says of its Run."""
    norm = picked_norm(row)
    derived = {
        "picked_norm": norm,
        "correct_norm": norm in row.right if row.choices and row.options_logprob else None,
        "pack": pack_object(row.pack),
        "replies": [one.text for one in row.written],
        "reply_ends": [one.finish.value for one in row.written],
        "reply_tokens": [list(one.token_ids) for one in row.written],
        "reply_think_ends": [one.think_end for one in row.written],
        **of_run,
    }
    values = {name: derived[name] if name in derived else getattr(row, name) for name in columns}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def imported_rows(sets: Iterable[Imported]) -> Iterator[Cells]:
    """A row an Answer of imported results, in the columns of our own: None for what isn't known of them."""
    for one in sets:
        panel = one.panel
        if panel.points is not None or panel.answered is not None or (panel.key < 0).any():
            raise BadInput(
                f"Imported answers to {panel.terms.benchmark} are told by points alone and can't be exported.",
                "Pass on the files that they were imported from.",
            )
        questions = panel.questions.to_dict("records")
        for seat, who in enumerate(panel.contestants):
            for place in panel.asked[seat].nonzero()[0].tolist():
                question = questions[place]
                yield _imported_row(one, seat, place) | {
                    "benchmark": panel.terms.benchmark,
                    **{str(name): question[name] for name in QUESTION_COLUMNS},
                    "choices": list(question["choices"]),
                    "model": who.model, "revision": who.revision or None, "quant": who.quant,
                    "dtype": who.dtype or None, "shots": panel.terms.shots, "scoring": panel.terms.scoring,
                    "device": who.device or None, "conditions": {"chat_template": panel.terms.chat_template},
                }  # fmt: skip


def _imported_row(one: Imported, seat: int, place: int) -> Cells:
    panel = one.panel
    picked, scores, norm = int(panel.picked[seat, place]), None, None
    if panel.logprob is not None:
        known = panel.logprob[seat, place, : panel.choices[place]].tolist()
        scores = [score if isfinite(score) else None for score in known]
    if panel.picked_norm is not None:
        norm = int(panel.picked_norm[seat, place])
    found: Cells = dict.fromkeys(COLUMNS)
    return found | {
        "prompt_hash": one.prompt_hashes[seat, place] or None,
        "options_logprob": scores,
        "picked": None if picked < 0 else picked,
        "correct": bool(panel.correct[seat, place]),
        "picked_norm": None if norm is None or norm < 0 else norm,
        "correct_norm": None if norm is None else norm == int(panel.key[place]),
    }


def picked_norm(row: ExportRow) -> int | None:
    """The option with the highest log-probability per character; None for a tie, or where no option was scored."""
    if not row.choices or not row.options_logprob:
        return None
    return best_of(per_character(row.options_logprob, characters(row.choices, row.scoring)))


def _write_jsonl(rows: Iterable[Cells], stream: IO[str]) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 -- the last count is the result
        stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    return count


def _write_csv(rows: Iterable[Cells], stream: IO[str], *, raw: bool) -> int:
    """Lists and objects as JSON in their cell; an empty cell where no option was picked."""
    writer = csv.writer(stream, lineterminator="\n")
    columns, rows = _with_columns(rows)
    writer.writerow(columns)
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 -- the last count is the result
        cells = (json.dumps(v, ensure_ascii=False) if isinstance(v, list | dict) else v for v in row.values())
        writer.writerow(map(told_apart if raw else harmless, cells))
    return count


def _write_parquet(rows: Iterable[Cells], path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, whole = pa.string(), pa.int64()
    types: dict[str, Any] = dict.fromkeys(COLUMNS, text) | {
        "question_index": whole, "choices": pa.list_(text), "answer": pa.int8(), "shots": pa.int16(),
        "options_logprob": pa.list_(pa.float64()), "picked": pa.int8(), "correct": pa.bool_(),
        "picked_norm": pa.int8(), "correct_norm": pa.bool_(),
        "sweep_id": whole, "run_id": whole, "attempt": whole, "turns": pa.list_(text), "replies": pa.list_(text),
        "reply_ends": pa.list_(text), "reply_tokens": pa.list_(pa.list_(whole)), "points": pa.float64(),
        "reply_think_ends": pa.list_(text),
        "further": pa.list_(whole), "contexts": pa.list_(text), "examples": pa.list_(whole),
    }  # fmt: skip
    columns, rows = _with_columns(rows)
    schema = pa.schema([(name, types.get(name, text)) for name in columns])
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for some in _in_batches(rows):
            writer.write_table(pa.Table.from_pylist([_with_text(row) for row in some], schema=schema))
            count += len(some)
    return count


def _with_text(row: Cells) -> Cells:
    """A row whose objects are JSON."""
    return {name: json.dumps(v, ensure_ascii=False) if isinstance(v, dict) else v for name, v in row.items()}


def _with_columns(rows: Iterable[Cells]) -> tuple[Sequence[str], Iterator[Cells]]:
    """The columns that all rows have, and the rows; `COLUMNS` without any row."""
    running = iter(rows)
    first = next(running, None)
    return (COLUMNS, running) if first is None else (tuple(first), chain([first], running))


def _in_batches(rows: Iterable[Cells]) -> Iterator[list[Cells]]:
    running = iter(rows)
    while some := list(islice(running, ROWS_AT_A_TIME)):
        yield some


def _questions(record: RunRecord, rows: Sequence[ExportRow], names: Mapping[int, str]) -> dict[str, Any]:
    spec = record.spec
    right = sum(row.correct for row in rows)
    return {
        "model": spec.model.name,
        "revision": spec.model.revision,
        "quant": spec.quant.value,
        "device": spec.device.value,
        "dtype": rows[0].dtype,
        "benchmark": spec.benchmark,
        "subject": spec.subject,
        "status": record.status.value,
        "scoring": rows[0].scoring.value,
        **({"judges": [spec_label(one, names) for one in record.judged]} if record.judged else {}),
        "correct": right,
        "total": len(rows),
        "accuracy": _accuracy(record, rows),
        **_by_option(rows),
        "questions": [_question(row) for row in rows],
    }


def spec_label(record: RunRecord, names: Mapping[int, str]) -> str:
    """What a Run's contestant is called; by its lane where it isn't among those that are exported."""
    return names.get(record.run_id) or str(record.spec.lane)


def _accuracy(record: RunRecord, rows: Sequence[ExportRow]) -> float | None:
    """The mean of the points; of a judge's of those that it gave, and none where a judge alone can tell."""
    if record.spec.conditions.scoring is Scoring.OPEN:
        return None
    told = [row.points for row in rows if not record.judged or row.extracted is not None]
    return fsum(told) / len(told) if told else None


def _by_option(rows: Sequence[ExportRow]) -> dict[str, Any]:
    """What is told of a Run by its options, or of one without any by what was extracted."""
    if rows[0].scoring in (Scoring.ONE_TEXT, Scoring.PAGES):
        return _perplexity(rows)
    if not rows[0].options_logprob:
        return {"unanswered": sum(row.picked is None and row.extracted is None for row in rows)}
    return {
        "accuracy_norm": sum(picked_norm(row) in row.right for row in rows) / len(rows),
        "tied": sum(row.picked is None for row in rows),
    }


def _perplexity(rows: Sequence[ExportRow]) -> dict[str, Any]:
    """The perplexity of one text a question, by its name: pages have one per word."""
    form = read_form(rows[0].run.form)
    name = "word_perplexity" if form.kind is Kind.ROLLING else "perplexity"
    metric = Metric(name)
    scored = [(Question("", 0, row.question, reference=row.reference), Scored(row.options_logprob)) for row in rows]
    value = summed_up(form.kind, metric, [of_scored(form.kind, metric, *one).item for one in scored])
    return {name: value if isfinite(value) else None}


def _question(row: ExportRow) -> dict[str, Any]:
    found: dict[str, Any] = {
        "question_id": row.question_id,
        "question": row.question,
        "choices": list(row.choices),
        "correct_answer": row.reference if row.answer is None else LETTERS[row.answer],
        "predicted_answer": LETTERS[row.picked] if row.choices and row.picked is not None else row.extracted,
        "is_correct": row.correct,
        "options_logprob": list(row.options_logprob),
        **({"correct_answers": [LETTERS[place] for place in row.right]} if row.further else {}),
        **({"contexts": list(row.contexts)} if row.contexts else {}),
        **({"answer_begins": row.opening} if row.opening else {}),
        **({"points": row.points} if 0 < row.points < 1 else {}),
    }
    if not row.written:
        return found
    return found | {"points": row.points, "replies": [one.text for one in row.written]}


def _file_name(record: RunRecord, contestant: str) -> str:
    """A distinct and harmless name: contestant, subject, and the Run's number."""
    return f"{_harmless(f'{contestant}_{record.spec.subject}')}_{record.run_id}_questions.json"


def _harmless(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip(".-")[:150] or "run"
