"""The table of how written replies fared."""

from __future__ import annotations

from analysis.data.panel import Panel
from analysis.data.tables import PERCENT, Column, Table, Value
from analysis.report.blocks import Block, Text
from analysis.verdicts.repeats import REPEATS, of_contestant
from analysis.verdicts.replies import fared_of, of_the_finished

ABOUT = (
    "Answers of which nothing was read out count as not right. A reply that was cut by the limit may hold an answer or "
    "not; beside it stands how many are right among those that came to their end. proctor mark shows the other "
    "filters."
)


def replies_blocks(panel: Panel) -> tuple[Block, ...]:
    """The table with what it means; nothing where no replies are known."""
    if panel.replies is None:
        return ()
    several = repeats_table(panel)
    return (Text(ABOUT), replies_table(panel), *((Text(REPEATS), several) if several.rows else ()))


def repeats_table(panel: Panel) -> Table:
    """A row a contestant and number of replies; no rows where every question has one reply, or nothing is known."""
    columns = (
        Column("contestant"), Column("k", numeric=True), Column("pass@k", PERCENT, numeric=True),
        Column("low", PERCENT, numeric=True), Column("high", PERCENT, numeric=True),
        Column("majority of all", PERCENT, numeric=True), Column("low of it", PERCENT, numeric=True),
        Column("high of it", PERCENT, numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (panel.labels[place], figure.k, *figure.passing, *figure.voting)
        for place in panel.ranking
        for figure in of_contestant(panel, place)
    ]
    return Table("repeats", "What several replies to each question are worth together.", columns, rows)


def replies_table(panel: Panel) -> Table:
    """A row a contestant."""
    columns = (
        Column("contestant"), Column("answers", numeric=True), Column("nothing extracted", numeric=True),
        Column("empty", numeric=True), Column("cut by the limit", numeric=True),
        Column("thinking unfinished", numeric=True), Column("replies cut", numeric=True),
        Column(f"{panel.unit} of the finished", PERCENT, numeric=True), Column("low", PERCENT, numeric=True),
        Column("high", PERCENT, numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for place in panel.ranking:
        fared, finished = fared_of(panel, place), of_the_finished(panel, place)
        if fared is None:
            continue
        ends = (None, None, None) if finished is None else (finished.estimate, finished.low, finished.high)
        rows.append(
            (
                panel.labels[place], fared.answers, fared.nothing, fared.empty, fared.cut, fared.thinking,
                fared.unfinished, *ends,
            )
        )  # fmt: skip
    return Table("replies", "How the written replies fared in the filter that counts.", columns, rows)
