"""Benchmarks of task files of lm-evaluation-harness: by a file's path, or by a name in a folder of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark, benchmark_of
from proctor.exams.tasks.definition import Task
from proctor.exams.tasks.form import Kind
from proctor.exams.tasks.task_folder import open_folder, tasks_of_file


def of_file(path: Path, folder: Path | None = None) -> TaskBenchmark:
    """The benchmark of a task file of lm-evaluation-harness, or of a group's; members are looked for in `folder`.

    Errors as of `proctor.exams.tasks.task_folder.tasks_of_file`.
    """
    return _read(path.stem, tasks_of_file(path, folder))


def in_folder(name: str, folder: Path) -> TaskBenchmark | None:
    """The benchmark of a task, group or tag of a folder; None for another name.

    Errors as of `TaskFolder.tasks`.
    """
    found = open_folder(folder)
    return _read(name, found.tasks(name)) if name in found.names else None


def _read(name: str, tasks: Sequence[Task]) -> TaskBenchmark:
    if not tasks:
        raise BadExam(f"{name!r} holds no tasks.")
    writes = any(task.kind is Kind.WRITE for task in tasks)
    return benchmark_of(
        tasks[0].name if len(tasks) == 1 else name, Kind.WRITE if writes else Kind.CHOOSE, lambda _: tasks
    )
