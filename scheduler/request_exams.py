"""The exams that a request names: benchmarks with their subjects, and how many examples they can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from proctor.errors import BadInput, ProctorError
from proctor.exams.benchmarks.base import ExamSet
from proctor.exams.benchmarks.registry import check_judged, load_benchmark, of_version
from proctor.exams.tasks.definition import Settings as TaskSettings
from proctor.nouns.exams import Exam
from proctor.nouns.runs import SweepRequest
from scheduler.faults import tried


@dataclass(frozen=True)
class RowSource:
    """Where rows and task files lie, where a person said so; and how written answers to files of theirs are judged."""

    data: Path | None = None
    tasks: Path | None = None
    judge: str = ""

    def of(self, name: str, benchmarks: int) -> Path | None:
        """The folder of a benchmark's rows: of one of several it is that of its name."""
        return self.data / name if self.data is not None and benchmarks > 1 else self.data


def loaded(
    request: SweepRequest, source: RowSource, faults: list[ProctorError], *, default_shots: bool
) -> list[ExamSet]:
    """The exams of each benchmark of the request. What is wrong with them is added to `faults`."""
    found: list[ExamSet] = []
    for named in request.benchmarks:
        name, subjects = parted(named, request.subjects)
        settings = TaskSettings(
            shots=None if default_shots else request.conditions.shots,
            folder=source.of(name, len(request.benchmarks)),
            tasks=source.tasks,
            judge=source.judge,
        )
        one = tried(faults, partial(load_benchmark, name, subjects, settings))
        found += [one] if one is not None else []
    tried(faults, partial(check_judged, [parted(one, ())[0] for one in request.benchmarks], source.judge))
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [BadInput(f"Two benchmarks are called {name}.", "Name each once.") for name in twice]
    return found


def versioned(request: SweepRequest, sets: Sequence[ExamSet], faults: list[ProctorError]) -> SweepRequest:
    """The request under the version of its benchmarks; exams in a form have one of their own."""
    versions = sorted({one.version for one in sets if not all(exam.form for exam in one.exams.values())})
    for version in versions:
        tried(faults, partial(of_version, version))
    if len(versions) > 1:
        faults.append(BadInput(f"Prompts of two versions, {' and '.join(versions)}.", "Submit a sweep for each."))
    return replace(request, conditions=replace(request.conditions, prompt_version=versions[0])) if versions else request


def parted(named: str, subjects: Sequence[str]) -> tuple[str, Sequence[str]]:
    """A benchmark and its subjects: those behind its colon, else those of the whole request."""
    name, colon, own = named.rpartition(":")
    if not colon or not own or Path(named).exists():
        return named, subjects
    return name, tuple(part.strip() for part in own.split(",") if part.strip())


def fitted_shots(
    request: SweepRequest, exams: Sequence[Exam], *, default: bool
) -> tuple[SweepRequest, tuple[str, ...]]:
    """The request with shots that the exams can show, and what is to be said of that.

    By `default` alone: a number that a person asked for stays, and is an error where the exams have fewer.
    """
    exams = [exam for exam in exams if not exam.form]
    if not default or not exams or any(exam.dev for exam in exams):
        return request, ()
    said = f"{exams[0].benchmark} has no dev split, so no examples stand before its questions (--shots 0)."
    return replace(request, conditions=replace(request.conditions, shots=0)), (said,)
