"""Pieces of ours that stand for functions of task files, which are never run.

A function is known by its name as the task file has it and by the sha256 of the Python file that defines it: a changed
file is another function. Which are known stands in `proctor.exams.tasks.known_functions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proctor.exams.tasks.definition import Column, Prepare

OWN = "own"  # an aggregation that is how the metric is summed up here anyway


@dataclass(frozen=True)
class Results:
    """What stands for a `process_results`: how its figures are computed, and what they need of a row."""

    metrics: Mapping[str, str]  # of a figure's name the metric's
    reference: Column | None = None
    right: Column | None = None


@dataclass(frozen=True)
class Piece:
    """What stands for one function, by the place where a task file has it; None: it has no place there."""

    column: Column | None = None  # a field
    prepare: Prepare | None = None  # process_docs
    samples: bool = False  # examples that are written out in the Python file, read as data
    results: Results | None = None  # process_results
    metric: str = ""  # of metric_list
    aggregation: str = ""  # the metric that is summed up so, or OWN
    step: str = ""  # a filter
    reference: Column | None = None  # what the metric needs of a row
