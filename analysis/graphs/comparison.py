"""`model_comparison`: by subject, overall, heatmap and error rate on one sheet, as its users know it."""

from __future__ import annotations

import numpy as np

from analysis.data.panel import Panel
from analysis.graphs.by_subject import HATCHED, MOST_GROUPED, draw_subjects, subjects_height
from analysis.graphs.error_rate import draw_errors
from analysis.graphs.forest import chance_note, draw_intervals
from analysis.graphs.heatmap import accuracy_grid, draw_grid, silence_note
from analysis.graphs.style import (
    AMOUNTS,
    Graph,
    new_figure,
    put_title,
    shortened,
    styled,
)
from analysis.verdicts.standings import Standings
from analysis.verdicts.wording import share_words, span, standing_title

ROW, BAR = 0.24, 0.22  # inches


@styled
def model_comparison(panel: Panel, standings: Standings) -> Graph:
    """Four graphs on one sheet; its size grows with the numbers of contestants and subjects."""
    grid = accuracy_grid(panel)
    contestants, subjects = len(grid.columns), len(grid.rows)
    names_height = 0.062 * max(map(len, grid.columns))
    top = 0.9 + max(subjects_height(grid), ROW * contestants)
    bottom = 0.9 + max(names_height + 0.2 * subjects, ROW * contestants)
    left = max(6.5, 2.6 + grid.column_width * contestants)
    title = standing_title(panel, standings)
    figure = new_figure(left + 7.0, 0.9 + top + bottom)
    ranked = [panel.accuracies[place] for place in standings.order]
    kind = "Student's" if panel.graded else "Wilson"
    note = f"{panel.terms}. Bars through dots: 95 % {kind} intervals. {chance_note(ranked, panel.chance)}".rstrip()
    note += f"{silence_note(grid)}{HATCHED if grid.silent.any() and contestants <= MOST_GROUPED else ''}"
    put_title(figure, title, note)
    sheets = np.asarray(figure.subfigures(2, 2, width_ratios=[left, 7.0], height_ratios=[top, bottom]))

    by_subject = sheets[0, 0].subplots()
    draw_subjects(by_subject, grid, panel.chance)
    sheets[0, 0].suptitle("Accuracy by subject", x=0.01, ha="left", fontsize=10, fontweight="bold")

    overall = sheets[0, 1].subplots()
    draw_intervals(overall, ranked, shortened(panel.labels[place] for place in standings.order), panel.chance)
    sheets[0, 1].suptitle("Overall accuracy", x=0.01, ha="left", fontsize=10, fontweight="bold")

    draw_grid(sheets[1, 0].subplots(), grid, AMOUNTS, 0.0, 1.0)
    sheets[1, 0].suptitle("Right answers (%), from dark to bright", x=0.01, ha="left", fontsize=10, fontweight="bold")

    draw_errors(sheets[1, 1].subplots(), panel, height=min(0.7, BAR * contestants / (bottom - 0.9)))
    sheets[1, 1].suptitle("Error rate", x=0.01, ha="left", fontsize=10, fontweight="bold")
    best = standings.order[0]
    alt = (
        f"{title}. Four graphs: accuracy by subject, overall accuracy with intervals, a heatmap of both, error rates. "
        f"At the top {panel.labels[best]} has {share_words(panel, ranked[0].estimate)} ({span(ranked[0])})."
    )
    return Graph("model_comparison", title, alt, figure)
