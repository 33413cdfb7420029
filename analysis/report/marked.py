"""Judging again as tables and JSON: a row a filter and metric, and what is marked otherwise than before."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from analysis.data.tables import PERCENT, Column, Table, Value, number
from analysis.stats.intervals import Interval
from analysis.stats.points import mean_points
from analysis.verdicts.marked import Again, Judged
from analysis.verdicts.repeats import ESTIMATOR, REPEATS, by_k
from proctor.exams.judging.repeats import Repeats
from proctor.written_answers import Changed, Figure

SHORT = 60  # characters of an extracted answer in a table


def figures_table(again: Again) -> Table:
    """A row a Run, filter and metric, with how the replies fared in that filter."""
    columns = (
        Column("subject"), Column("contestant"), Column("filter"), Column("metric"), Column("counts"),
        Column("figure", number(4), numeric=True), Column("low", number(4), numeric=True),
        Column("high", number(4), numeric=True), Column("answers", numeric=True),
        Column("nothing extracted", numeric=True), Column("empty", numeric=True),
        Column("cut by the limit", numeric=True), Column("thinking unfinished", numeric=True),
        Column("replies cut", numeric=True), Column("of the finished", PERCENT, numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for one in again.runs:
        for figure in one.figures:
            low, high = _ends(figure)
            how = figure.fared
            rows.append(
                (
                    one.record.spec.subject, one.label, figure.chain, figure.metric, figure.chain == one.chain,
                    figure.value, low, high, how.answers, how.nothing, how.empty, how.cut, how.thinking,
                    how.unfinished, _of_the_finished(figure),
                )
            )  # fmt: skip
    caption = (
        "Stored replies judged again, by every filter: the one whose marks count, and the others. 95 % intervals of "
        "means; the last column is of answers whose replies weren't cut."
    )
    return Table("marked", caption, columns, rows)


def repeats_table(again: Again) -> Table:
    """A row a Run, filter and number of replies; no rows where every question has one reply."""
    columns = (
        Column("subject"), Column("contestant"), Column("filter"), Column("k", numeric=True),
        Column("pass@k", PERCENT, numeric=True), Column("low", PERCENT, numeric=True),
        Column("high", PERCENT, numeric=True), Column("majority of k", PERCENT, numeric=True),
        Column("low of it", PERCENT, numeric=True), Column("high of it", PERCENT, numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (one.record.spec.subject, one.label, some.chain, figure.k, *figure.passing, *figure.voting)
        for one in again.runs
        for some in one.repeats
        for figure in by_k(some)
    ]
    return Table("repeats", REPEATS, columns, rows)


def changed_table(again: Again) -> Table:
    """A row an answer that stands in the database otherwise."""
    columns = (
        Column("question"), Column("contestant"), Column("points before", number(2), numeric=True),
        Column("after", number(2), numeric=True), Column("extracted before"), Column("after"),
    )  # fmt: skip
    rows = [
        (
            f"{one.record.spec.subject}:{each.question.index}", one.label, each.before[0], each.after[0],
            _short(each.before[1]), _short(each.after[1]),
        )
        for one in again.runs
        for each in one.changed
    ]  # fmt: skip
    return Table("changed", "Answers that are marked otherwise than they stand in the database.", columns, rows)


def as_object(again: Again, *, written: bool) -> dict[str, Any]:
    """All of it, as JSON takes it. `written` says whether the marks were kept."""
    return {"kept": written, "notes": list(again.notes), "runs": [_run(one) for one in again.runs]}


def summary(again: Again, *, written: bool) -> list[str]:
    """What changed, in a sentence or two."""
    count = sum(len(one.changed) for one in again.runs)
    answers = sum(len(one.marks) for one in again.runs)
    moved = sum(one.before[0] != one.after[0] for run in again.runs for one in run.changed)
    if written:
        return [f"{count:,} of {answers:,} answers are marked otherwise now, {moved:,} with other points."]
    if count:
        return [
            f"{count:,} of {answers:,} answers would be marked otherwise, {moved:,} with other points; --with writes."
        ]
    return [f"All {answers:,} answers are marked as they stand."]


def _run(one: Judged) -> dict[str, Any]:
    return {
        "run_id": one.record.run_id,
        "benchmark": one.record.spec.benchmark,
        "subject": one.record.spec.subject,
        "contestant": one.label,
        "filter": one.chain,
        "filter_of_the_exam": one.own_chain,
        "figures": [_figure(figure) for figure in one.figures],
        "changed": [_changed(each) for each in one.changed],
        "repeats": [_repeats(some, one.question_ids) for some in one.repeats],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    how, (low, high) = figure.fared, _ends(figure)
    return {
        "filter": figure.chain,
        "metric": figure.metric,
        "value": figure.value if isfinite(figure.value) else None,
        "low": low,
        "high": high,
        "answers": how.answers,
        "nothing_extracted": how.nothing,
        "empty": how.empty,
        "cut_by_the_limit": how.cut,
        "thinking_unfinished": how.thinking,
        "replies_cut": how.unfinished,
        "accuracy_of_the_finished": _of_the_finished(figure),
    }


def _repeats(some: Repeats, question_ids: Sequence[str]) -> dict[str, Any]:
    right = np.array(some.passed)
    names = ("value", "low", "high")
    return {
        "filter": some.chain,
        "metric": some.metric,
        "replies": some.replies,
        "estimator": ESTIMATOR,
        "by_k": [
            {
                "k": figure.k,
                "pass_at_k": dict(zip(names, figure.passing, strict=True)),
                "majority": dict(zip(names, figure.voting, strict=True)),
            }
            for figure in by_k(some)
        ],
        "by_seed": [{"seed": seed, "right": float(share)} for seed, share in enumerate(right.mean(axis=0))],
        "questions": [
            {"question_id": name, "right_by_seed": list(row)}
            for name, row in zip(question_ids, some.passed, strict=True)
        ],
    }


def _changed(one: Changed) -> dict[str, Any]:
    return {
        "question_id": one.question.id,
        "points": [one.before[0], one.after[0]],
        "extracted": [one.before[1], one.after[1]],
    }


def _ends(figure: Figure) -> tuple[float | None, float | None]:
    if not figure.points:
        return None, None
    interval: Interval = mean_points(np.array(figure.points))
    return interval.low, interval.high


def _of_the_finished(figure: Figure) -> float | None:
    how = figure.fared
    return how.finished_points / how.finished if how.finished and figure.points else None


def _short(text: str | None) -> str:
    if text is None:
        return "–"
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"
