"""Runs in the files of lm-evaluation-harness: `DIR/MODEL/results_DATE.json`, `samples_TASK_DATE.jsonl` beside it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from analysis.data.files import exists, new_file
from analysis.data.groups import contestant_of
from analysis.exchange.lm_eval_format import Json, Task, results, samples, sanitized
from analysis.exchange.lm_eval_forms import FormTask, judgeable, left_out_of, results_of
from analysis.exchange.lm_eval_forms import samples as of_form
from proctor.contestants import Contestant
from proctor.errors import BadInput
from proctor.exams.tasks.form import Kind, read_form
from proctor.nouns.models import Quant
from proctor.store.database.session import Store
from proctor.store.reads.export import export_rows, forms_of, tells_of_points
from proctor.store.reads.records import RunRecord, runs
from proctor.store.runs.exams import load_exam

OF_TASKS = (
    "results",
    "group_subtasks",
    "configs",
    "versions",
    "n-shot",
    "higher_is_better",
    "n-samples",
    "task_hashes",
)


@dataclass(frozen=True)
class Batch:
    """What one results file is about: the Runs of one contestant in one sweep."""

    sweep_id: int
    model: str  # the folder's name
    date: datetime
    records: tuple[RunRecord, ...]

    def path(self, folder: Path, name: str, ending: str) -> Path:
        stamp = self.date.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")
        return folder / self.model / f"{name}_{stamp}{ending}"


def export_lm_eval(store: Store, sweep_ids: Sequence[int], folder: Path, *, force: bool = False) -> list[Path]:
    """Write results and samples of every Run of these sweeps that has Answers; returns the files.

    Raises
    ------
    BadInput
        where a results file exists and `force` isn't set, or answers were written to an exam without a form (nothing is
        written then), or one can't be written.
    BadExam
        for a Run whose figures can't be had from what is stored, such as programs that would have to run.
    """
    batches = _batches(runs(store, sweep_ids))
    if tells_of_points(store, sweep_ids, outside_forms=True):
        raise BadInput(
            "Written answers to exams without a form can't be given as samples of lm-evaluation-harness.",
            "Take --format jsonl, which has the replies in full.",
        )
    for batch in batches:
        _check(store, batch)
    standing = [path for batch in batches if (path := batch.path(folder, "results", ".json")).exists()]
    if standing and not force:
        raise exists(standing[0])
    return [path for batch in batches for path in _write(store, batch, folder)]


def lm_eval_notes(store: Store, sweep_ids: Sequence[int]) -> tuple[str, ...]:
    """What the harness's own samples would have had and these don't, in words; nothing where nothing lacks."""
    forms = {name: read_form(text) for name, text in sorted(forms_of(store, sweep_ids).items())}
    options = [name for name, form in forms.items() if form.kind is Kind.CHOOSE]
    left_out = [
        f"{one.name} of {name} is left out"
        for name, form in forms.items()
        for one in form.metrics
        if one.name in left_out_of(form)
    ]
    unknown = [f"whether an option is the likeliest isn't stored, and stands as None: {', '.join(options)}"]
    return (*(unknown if options else ()), *left_out)


def _write(store: Store, batch: Batch, folder: Path) -> list[Path]:
    tasks = _tasks(store, batch)
    mmlu = [task for task in tasks if isinstance(task, Task)]
    in_forms = [task for task in tasks if isinstance(task, FormTask)]
    files = {batch.path(folder, f"samples_{task.name}", ".jsonl"): _lines(samples(task)) for task in mmlu}
    files |= {batch.path(folder, f"samples_{task.name}", ".jsonl"): _lines(of_form(task)) for task in in_forms}
    date_s = batch.date.timestamp()
    content = results_of(in_forms, batch.model, date_s) if in_forms else {}
    if mmlu:
        group = re.sub(r"\W+", "_", mmlu[0].exam.benchmark).strip("_")
        content = _merged(results(mmlu, group, batch.model, date_s), content)
    files[batch.path(folder, "results", ".json")] = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    for path, text in files.items():
        with new_file(path, force=True) as beside:
            beside.write_text(text, encoding="utf-8")
    return list(files)


def _lines(found: Iterable[Json]) -> str:
    return "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in found)


def _merged(first: Json, second: Json) -> Json:
    """Two contents of one results file, of tasks that are apart; what both say of the run is the first's."""
    of_tasks = {name: first[name] | second[name] for name in first if name in OF_TASKS and name in second}
    return second | first | of_tasks


def _check(store: Store, batch: Batch) -> None:
    """Raise `BadExam` for a Run that can't be given so, and `BadInput` for two tasks of one name."""
    names: set[str] = set()
    for record in batch.records:
        spec = record.spec
        exam = load_exam(store, spec.benchmark, spec.subject, spec.exam_hash)
        if not exam.form:
            continue
        judgeable(read_form(exam.form))
        if spec.subject in names:
            raise BadInput(f"Two exams of this sweep are called {spec.subject}.", "Export a sweep of each.")
        names.add(spec.subject)


def _tasks(store: Store, batch: Batch) -> list[Task | FormTask]:
    records = {record.run_id: record for record in batch.records}
    answered = groupby(export_rows(store, [batch.sweep_id], list(records)), key=lambda row: row.run_id)
    found: list[Task | FormTask] = []
    for run_id, rows in answered:
        record = records[run_id]
        exam = load_exam(store, record.spec.benchmark, record.spec.subject, record.spec.exam_hash)
        kind = FormTask if exam.form else Task
        found.append(kind(record, exam, tuple(rows)))
    return found


def _batches(records: Iterable[RunRecord]) -> list[Batch]:
    sets: dict[tuple[int, Contestant], list[RunRecord]] = defaultdict(list)
    for record in records:
        if record.answered and not record.judged:  # the harness knows no judge
            sets[record.sweep_id, contestant_of(record)].append(record)
    folders = _folders([contestant for _, contestant in sets])
    taken: set[tuple[str, datetime]] = set()
    batches = []
    for (sweep_id, contestant), theirs in sets.items():
        date = max(record.ended_at or record.started_at or datetime.min.replace(tzinfo=UTC) for record in theirs)
        while (folders[contestant], date) in taken:
            date += timedelta(microseconds=1)
        taken.add((folders[contestant], date))
        batches.append(Batch(sweep_id, folders[contestant], date, tuple(theirs)))
    return batches


def _folders(contestants: Sequence[Contestant]) -> dict[Contestant, str]:
    """A folder's name each: the model's, as the harness writes it, and of the rest what tells it from the others."""
    names: dict[Contestant, str] = {}
    for contestant in contestants:
        if contestant in names:
            continue
        quant = "" if contestant.quant == Quant.NONE else f"__{contestant.quant}"
        name = whole = sanitized(contestant.model) + quant
        number = 1
        while name in names.values():
            number += 1
            name = f"{whole}__{number}"
        names[contestant] = name
    return names
