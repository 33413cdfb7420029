"""Whether the contestants fail on the same questions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.data.tables import PERCENT, Column, Table, number
from analysis.graphs.overlap import mistake_distribution, mistake_pairs
from analysis.graphs.upset import mistake_sets
from analysis.report.blocks import Block, Folded, Section, Text
from analysis.stats.overlap import (
    discordant_counts,
    error_kappa,
    matched_lift,
    misses_expected,
    misses_observed,
    same_wrong_option,
    wrong_together,
)

FEWEST_FOR_LIFT = 8  # models
ABOUT = (
    "Kappa compares how often two contestants are right and wrong together with what their accuracies alone give: "
    "1 is always together, 0 is independence. Since some questions are harder than others, every pair lies above 0; "
    "a pair far above the median pair shares mistakes beyond difficulty."
)

NO_RIGHT = (
    "Left out: a mistake is an answer with less than all points, and here no answer can be told from one by that."
)
GRADED = "A question is missed here where it has less than all points."


def mistakes_section(panel: Panel) -> Section:
    """Distribution and pairs, with the tables behind them. In shares of a point: why there are none."""
    if not panel.has_mistakes:
        return Section("mistakes", "Overlap of mistakes", (Text(NO_RIGHT),))
    blocks: list[Block] = [mistake_distribution(panel), Folded("The figures", (distribution_table(panel),))]
    if len(panel.contestants) > 1:
        blocks += [Text(ABOUT), mistake_pairs(panel), Folded("All pairs", (pairs_table(panel),))]
        sets = mistake_sets(panel.one_a_model()) or mistake_sets(panel)
        if sets is not None:
            blocks.append(sets)
    else:
        blocks.append(mistake_pairs(panel))
    if panel.graded:
        blocks.insert(0, Text(GRADED))
    return Section("mistakes", "Overlap of mistakes", tuple(blocks))


def distribution_table(panel: Panel) -> Table:
    """Questions by how many models miss them, one vote a model."""
    models = panel.one_a_model()
    chosen = models if len(models.contestants) > 1 else panel
    observed, expected = misses_observed(chosen.wrong), misses_expected(chosen.wrong, chosen.subject_of)
    columns = (
        Column("missed by", numeric=True), Column("questions", numeric=True),
        Column("if independent", number(1), numeric=True),
    )  # fmt: skip
    rows = [(place, int(count), float(expected[place])) for place, count in enumerate(observed)]
    return Table("mistake_distribution", "Questions by how many miss them.", columns, rows)


def pairs_table(panel: Panel) -> Table:
    """A row a pair, the highest kappa first."""
    kappa, together = error_kappa(panel.wrong), wrong_together(panel.wrong)
    lost = discordant_counts(panel.wrong)
    same = same_wrong_option(panel.wrong, panel.picked) if panel.has_options else None
    wrong = panel.wrong.sum(axis=1)
    lift = _lift(panel)
    columns = (
        Column("first"), Column("second"), Column("kappa", number(2), numeric=True),
        Column("both wrong", numeric=True), Column("of those that either has wrong", PERCENT, numeric=True),
        *(() if same is None else (Column("same wrong option, given both wrong", PERCENT, numeric=True),)),
        Column("only first wrong", numeric=True), Column("only second wrong", numeric=True),
        Column("lift at equal difficulty", number(2), numeric=True),
    )  # fmt: skip
    pairs = sorted(
        zip(*np.triu_indices(len(panel.contestants), 1), strict=True),
        key=lambda pair: -np.nan_to_num(kappa[pair], nan=-2.0),
    )
    rows = [
        (
            panel.labels[a], panel.labels[b], float(kappa[a, b]), int(wrong[a] - lost[b, a]), float(together[a, b]),
            *(() if same is None else (float(same[a, b]),)), int(lost[b, a]), int(lost[a, b]),
            None if lift is None else float(lift[a, b]),
        )
        for a, b in pairs
    ]  # fmt: skip
    caption = "Pairs by kappa of errors; p-values would add nothing here."
    if same is None:
        caption += " Without options nobody picks the same wrong one."
    return Table("mistake_pairs", caption, columns, rows)


def _lift(panel: Panel) -> NDArray[np.float64] | None:
    """Lift among questions that equally many other models miss; None where too few models tell how hard one is."""
    families = list(dict.fromkeys(contestant.family for contestant in panel.contestants))
    if len(families) < FEWEST_FOR_LIFT:
        return None
    return matched_lift(panel.wrong, np.array([families.index(one.family) for one in panel.contestants]))
