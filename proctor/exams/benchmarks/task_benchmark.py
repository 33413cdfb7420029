"""Benchmarks whose exams are written out of tasks: all but MMLU, and files of one's own in its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.benchmarks.base import Benchmark, ExamSet
from proctor.exams.judging.marking import check, mark
from proctor.exams.reading.problems import Faults
from proctor.exams.reading.subjects import select
from proctor.exams.tasks.asking import FORM_VERSION, ask
from proctor.exams.tasks.definition import Settings, Task
from proctor.exams.tasks.form import Kind
from proctor.exams.tasks.forming import form_of
from proctor.nouns.exams import Choose, Exam, Roll, Write

ASKS = {Kind.CHOOSE: Choose, Kind.WRITE: Write, Kind.LOGLIKELIHOOD: Choose, Kind.ROLLING: Roll}
Tasks = Callable[[Settings], Sequence[Task]]  # raises BadExam where what they need isn't there


@dataclass(frozen=True)
class TaskBenchmark(Benchmark):
    """A benchmark of tasks, a subject each. Its exams depend on how they are to be written out: `settled`."""

    tasks: Tasks
    at: Path | None = None  # where its rows lie, in a file or folder; None: on the hub

    def settled(self, settings: Settings) -> TaskBenchmark:
        """The benchmark with its rows as these settings say."""
        settings = replace(settings, folder=settings.folder or self.at)
        return replace(self, rows=partial(_written_out, self.name, self.tasks, settings))


def benchmark_of(name: str, kind: Kind, tasks: Tasks) -> TaskBenchmark:
    """The benchmark of tasks of one kind, each written out with its own number of shots and rows from the hub."""
    asks = ASKS[kind]
    rows = partial(_written_out, name, tasks, Settings())
    return TaskBenchmark(name, FORM_VERSION, asks, rows, ask, mark, tasks)


def fixed(*tasks: Task, name: str = "") -> TaskBenchmark:
    """The benchmark of tasks that need nothing but their rows, called as the first unless a name is given."""
    return benchmark_of(name or tasks[0].name, tasks[0].kind, lambda _: tasks)


def _written_out(name: str, tasks: Tasks, settings: Settings, wanted: Sequence[str]) -> ExamSet:
    from proctor.exams.tasks.splits import last_kept, of_hub, of_path
    from proctor.exams.tasks.writing import write_out  # here: only what writes exams out needs templates

    known = {task.name: task for task in tasks(settings)}
    splits = last_kept(of_path(settings.folder) if settings.folder else of_hub)
    faults = Faults()
    exams: dict[str, Exam] = {}
    notes: list[str] = []
    told: set[str] = set()
    for subject in select(wanted, known):
        task = known[subject]
        try:
            check(form_of(task, ""))
            written = write_out(task, partial(splits, task.rows), name, settings.shots, settings.seed)
        except BadExam as fault:
            if str(fault) not in told:  # tasks of one data set lack it all together
                faults.add(fault)
            told.add(str(fault))
            continue
        exams[subject] = written.exam
        notes += written.notes
    faults.raise_any()
    return ExamSet(name, FORM_VERSION, exams, tuple(notes))
