"""What quantizations cost: the change of accuracy with its interval, the margin as a band, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.graphs.forest import Column, write_column
from analysis.graphs.style import BLUE, GRID, INK, PAPER, Graph, new_figure, put_title, row_axis, shortened, styled
from analysis.stats.verdict import Finding
from analysis.verdicts.quantization import Change
from analysis.verdicts.unanswered import verdict_rest
from analysis.verdicts.wording import margin_words, points, verdict_words

ROW = 0.26  # inches
SURE_OF_NO_LOSS = frozenset({Finding.BETTER, Finding.WITHIN})


@styled
def quantization_forest(panel: Panel, changes: Sequence[Change]) -> Graph | None:
    """A row a quantization; None where nothing was quantized."""
    if not changes:
        return None
    margin = changes[0].verdict.margin
    title = quantization_title(changes)
    silent = any(change.silence.questions for change in changes)
    figure = new_figure(12.0 if silent else 10.5, 1.5 + ROW * len(changes))
    note = (
        f"Change of accuracy against the unquantized model on the same questions, with its 95 % Bonett-Price interval. "
        f"Band: a loss of less than {margin_words(margin)}. Verdicts by mid-p McNemar and by an "
        "exact test of a loss within the margin, each with Holm over all rows; intervals are each row's own."
    )
    put_title(figure, title, note)
    verdicts = [change.verdict for change in changes]
    words = [f"{verdict_words(c.verdict)}{verdict_rest(c.verdict, c.silence)}" for c in changes]
    columns = [
        Column("change", [points(verdict.change.estimate) for verdict in verdicts], 0.6),
        Column("lost", [f"{verdict.pair.lost:,}" for verdict in verdicts], 0.55),
        Column("gained", [f"{verdict.pair.gained:,}" for verdict in verdicts], 0.65),
        Column("verdict", words, 4.0 if silent else 2.5, left=True),
    ]
    main: Axes
    main, *others = figure.subplots(1, 5, width_ratios=[3.4, *(column.width for column in columns)])
    for axes, column in zip(others, columns, strict=True):
        write_column(axes, column, len(changes))
    names = shortened(panel.labels[change.changed] for change in changes)
    row_axis(main, names)
    main.axvspan(-100 * margin, 0, color=GRID, linewidth=0)
    main.axvline(0, color=INK, linewidth=1)
    for row, verdict in enumerate(verdicts):
        low, middle, high = (100 * v for v in (verdict.change.low, verdict.change.estimate, verdict.change.high))
        main.plot([low, high], [row, row], color=BLUE, linewidth=2.2, solid_capstyle="round")
        main.plot(middle, row, "o", color=BLUE, markersize=6, markeredgecolor=PAPER, markeredgewidth=0.8)
    main.set_xlabel("change of accuracy (points)")
    main.grid(visible=True, axis="x")
    said = "; ".join(f"{name}: {text}" for name, text in zip(names, columns[-1].texts, strict=True))
    return Graph("quantization", title, f"{title}. {said}.", figure)


def quantization_title(changes: Sequence[Change]) -> str:
    """How many quantizations lose something, how many surely lose less than the margin, and how many can't be told."""
    findings = [change.verdict.finding for change in changes]
    margin = margin_words(changes[0].verdict.margin)
    worse = sum(finding in (Finding.WORSE, Finding.WORSE_WITHIN) for finding in findings)
    fine = sum(finding in SURE_OF_NO_LOSS for finding in findings)
    unknown = sum(finding is Finding.CANNOT_TELL for finding in findings)
    parts = []
    if worse:
        parts.append(f"{counted(worse, 'quantization')} lose{'s' if worse == 1 else ''} accuracy{_silent(changes)}")
    if fine:
        parts.append(f"{counted(fine, 'quantization')} lose{'s' if fine == 1 else ''} less than {margin}")
    if unknown:
        parts.append(f"for {counted(unknown, 'quantization')} it can't be told")
    words = ", ".join(parts)
    return f"{words[0].upper()}{words[1:]}"


def _silent(changes: Sequence[Change]) -> str:
    """How many of those that lose accuracy do so only by questions without a single answer."""
    count = sum(c.verdict.finding in (Finding.WORSE, Finding.WORSE_WITHIN) and c.rests_on_silence for c in changes)
    which = "" if len(changes) == 1 else f"{count} of them "
    return f" ({which}only by questions without a single answer)" if count else ""
