"""Replies that are programs: what is to be run of each, and what it is worth that so many passed.

Nothing is run here. Until it has been, a question whose headline is one of `metrics.OF_PROGRAMS` has no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proctor.errors import BadExam
from proctor.exams.judging.marking import headline_outcome
from proctor.exams.judging.references import parts_of
from proctor.exams.judging.repeats import chance
from proctor.exams.judging.worth import Worth
from proctor.exams.tasks.form import Form, Metric
from proctor.nouns.exams import Exchange, Question


def programs(form: Form, question: Question, exchanges: Sequence[Exchange]) -> tuple[str, ...]:
    """Of each reply the code that the headline's chain makes of it, and its tests: it passes if it ends with status 0.

    The tests are `test` and `entry_point` (HumanEval) or `test_list` (MBPP) of the reference. Raises as
    `proctor.exams.judging.marking.mark`, and `BadExam` where there are none.
    """
    tests = _tests(question)
    return tuple(f"{piece.text}\n{tests}\n" for piece in headline_outcome(form, question, exchanges).pieces)


def passed(metric: Metric, outcomes: Sequence[bool]) -> Worth:
    """The chance that one of `k` programs passes, estimated of all that ran (`proctor.exams.judging.repeats`).

    Raises `BadExam` for fewer programs than `k`.
    """
    k = wanted_of(metric)
    if not isinstance(k, int) or not 1 <= k <= len(outcomes):
        raise BadExam(f"{metric.name} of {k!r} among {len(outcomes)} programs can't be told.", "Ask with more repeats.")
    points = chance(sum(outcomes), len(outcomes), k)
    return Worth(points, points)


def wanted_of(metric: Metric) -> object:
    """The `k` of pass@k that a metric of programs has: its argument, the first of several; 1 where there is none."""
    wanted = metric.arguments.get("k", 1)
    return wanted[0] if isinstance(wanted, list) and wanted else wanted


def _tests(question: Question) -> str:
    parts: Mapping[str, object] = parts_of(question)
    listed = parts.get("test_list")
    if isinstance(listed, list) and listed:
        return "\n".join(str(one) for one in listed)
    if "test" in parts and "entry_point" in parts:
        return f"{parts['test']}\ncheck({parts['entry_point']})"
    raise BadExam(f"Question {question.index} has no tests in its reference: test and entry_point, or test_list.")
