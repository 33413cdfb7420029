"""What the graphs show: lines, dots, cells and words are the panel's own figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.data.panel import Panel
from analysis.graphs.by_subject import MOST_GROUPED, by_subject
from analysis.graphs.calibration import reliability
from analysis.graphs.comparison import model_comparison
from analysis.graphs.cost import Priced, accuracy_against_cost
from analysis.graphs.error_rate import draw_errors
from analysis.graphs.forest import chance_note, draw_intervals, forest
from analysis.graphs.heatmap import accuracy_grid, accuracy_heatmap, deviation_heatmap, deviations
from analysis.graphs.overlap import leaf_order, mistake_distribution, mistake_pairs
from analysis.graphs.quantization import quantization_forest
from analysis.graphs.style import Graph, ink_on, percent_axis
from analysis.stats.intervals import Interval
from analysis.stats.options import calibrate
from analysis.stats.overlap import error_kappa
from analysis.verdicts.quantization import quantization_changes
from analysis.verdicts.standings import stand
from tests.panels import panel_of

CHANCE = 0.25


def note_of(graph: Graph) -> str:
    """The smaller words at the foot, on one line."""
    return " ".join(str(graph.figure.get_supxlabel()).split())


def silenced(panel: Panel, contestant: int) -> Panel:
    """The panel as if this contestant had answered nothing of the first subject."""
    picked, correct = panel.picked.copy(), panel.correct.copy()
    picked[contestant, panel.subject_of == 0] = -1
    correct[contestant, panel.subject_of == 0] = False
    return replace(panel, picked=picked, correct=correct)


def test_calibration_is_drawn_in_percent_beside_its_diagonal() -> None:
    panel = panel_of(2, 6)
    assert panel.logprob is not None
    found = [calibrate(one, panel.key) for one in panel.logprob]
    (axes,) = reliability(panel.labels, found).figure.axes
    diagonal, *lines = axes.lines
    assert np.array_equal(diagonal.get_xydata(), [[0, 0], [100, 100]])
    dots = [one for one in axes.collections if isinstance(one, PathCollection)]
    for one, line, scattered in zip(found, lines, dots, strict=True):
        expected = 100 * np.column_stack([one.confidence, one.accuracy])
        assert np.asarray(line.get_xydata()) == pytest.approx(expected)
        assert np.asarray(scattered.get_offsets()) == pytest.approx(expected)


def test_lines_that_join_are_explained_only_where_there_are_any() -> None:
    alone, alike = panel_of(1, 2), panel_of(2, 1, 4, names=("a", "b"), quants=("none",))
    same = replace(alike, picked=alike.picked[[0, 0]], correct=alike.correct[[0, 0]])
    assert "Lines at the right" not in note_of(forest(alone, stand(alone)))
    assert "Lines at the right" in note_of(forest(same, stand(same)))


@pytest.mark.parametrize(("estimate", "dashed"), [(0.3, True), (0.9, False)])
def test_blind_guessing_is_drawn_where_the_note_says_that_it_is(estimate: float, dashed: bool) -> None:
    intervals = [Interval(estimate, estimate - 0.02, estimate + 0.02)]
    axes = Figure().subplots()
    draw_intervals(axes, intervals, ["a"], CHANCE)
    assert ([CHANCE, CHANCE] in [np.asarray(line.get_xdata()).tolist() for line in axes.lines]) is dashed
    assert chance_note(intervals, CHANCE).startswith("Dashed") is dashed
    low, high = axes.get_xlim()
    assert bool(low <= CHANCE <= high) is dashed


@pytest.mark.parametrize(
    ("contestants", "words"),
    [
        (2, "Hatched: no single answer on 5 % or more of the questions, which counts as not right."),
        (4, "Hatched: no single answer on 5 % or more of the questions, which counts as not right."),
        (21, "Hollow: no single answer on 5 % or more."),
    ],
)
def test_one_silent_cell_is_explained_under_the_subjects(contestants: int, words: str) -> None:
    panel = panel_of(contestants, 2)
    assert words not in note_of(by_subject(panel))
    assert note_of(by_subject(silenced(panel, 0))).endswith(words)


def test_bars_have_a_legend_where_there_are_two() -> None:
    def named(panel: Panel) -> list[str]:
        legend = by_subject(panel).figure.axes[0].get_legend()
        return [] if legend is None else [text.get_text() for text in legend.get_texts()]

    assert named(panel_of(1, 2)) == []
    assert named(panel_of(2, 2, names=("a", "b"))) == list(accuracy_grid(panel_of(2, 2, names=("a", "b"))).columns)


def test_every_cost_is_within_its_axis() -> None:
    priced = [Priced(name, name, "none", 0.5, seconds, gib) for name, seconds, gib in [("a", 1, 8), ("b", 100, 2)]]
    graph = accuracy_against_cost(priced)
    assert graph is not None
    for axes, costs in zip(graph.figure.axes, [(1, 100), (2, 8)], strict=True):
        low, high = axes.get_xlim()
        assert low < min(costs) < max(costs) < high


def test_deviations_are_taken_from_each_subjects_mean() -> None:
    grid = accuracy_grid(panel_of(4, 3))
    assert deviations(grid).values.mean(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)
    assert deviations(grid).values[:, 0] - deviations(grid).values[:, 1] == pytest.approx(
        grid.values[:, 0] - grid.values[:, 1]
    )


def test_every_pair_is_once_in_the_triangle() -> None:
    panel = panel_of(5, 4)
    kappa = error_kappa(panel.wrong)
    order = leaf_order(kappa)
    (image,) = mistake_pairs(panel).figure.axes[0].images
    cells = image.get_array()
    assert cells is not None
    shown = np.ma.filled(cells, np.nan)
    expected = [kappa[order[row], order[column]] for row in range(1, 5) for column in range(row)]
    assert shown[np.isfinite(shown)] == pytest.approx(np.array(expected))
    assert shown.shape == (4, 4)


@pytest.mark.parametrize(("count", "ticks"), [(3, [0, 1, 2, 3]), (40, list(range(0, 41, 2)))])
def test_questions_are_counted_by_whole_numbers_of_models(count: int, ticks: list[int]) -> None:
    axes = mistake_distribution(panel_of(count, 2)).figure.axes[0]
    assert list(axes.get_xticks()) == ticks
    assert axes.get_xlim() == pytest.approx((-0.6, count + 0.6))


@pytest.mark.parametrize(("low", "high", "labels"), [(0, 1, "0 20 40 60 80 100"), (0.42, 0.53, "42 44 46 48 50 52")])
def test_an_axis_of_percentages_has_few_round_ticks(low: float, high: float, labels: str) -> None:
    axes: Axes = Figure().subplots()
    percent_axis(axes, low, high)
    assert " ".join(text.get_text() for text in axes.get_xticklabels()) == labels


@pytest.mark.parametrize(
    ("models", "title"), [(1, "1 quantization loses accuracy"), (2, "2 quantizations lose accuracy")]
)
def test_quantizations_that_lose_are_counted(models: int, title: str) -> None:
    panel = panel_of(2 * models, 4, 50, quants=("none", "4bit"))
    right = np.tile(np.arange(200) % 4 > 0, (2 * models, 1))
    right[1::2, :100] = False
    picked = np.where(right, panel.key, (panel.key + 1) % 4).astype(np.int8)
    worse = replace(panel, picked=picked, correct=right)
    graph = quantization_forest(worse, quantization_changes(worse, 0.01))
    assert graph is not None
    assert graph.title == title


@pytest.mark.parametrize(("count", "named"), [(2, 2), (24, 24), (25, 0)])
def test_up_to_24_are_named_beside_their_costs(count: int, named: int) -> None:
    graph = accuracy_against_cost([Priced(f"m{n}", f"m{n}", "none", 0.5, 1.0 + n, 1.0) for n in range(count)])
    assert graph is not None
    texts = [text.get_text() for legend in graph.figure.legends for text in legend.get_texts()]
    assert texts == [f"m{n}" for n in range(named)]


def test_costs_have_room_for_every_name_that_stands_beside_them() -> None:
    def height(count: int) -> float:
        graph = accuracy_against_cost([Priced(f"m{n}", f"m{n}", "none", 0.5, 1.0 + n, 1.0) for n in range(count)])
        assert graph is not None
        return float(graph.figure.get_size_inches()[1])

    assert height(2) == height(10) < height(20) < height(24) == pytest.approx(height(40))


def test_colours_of_a_heatmap_run_from_none_to_all_and_of_deviations_over_25_points_either_way() -> None:
    panel = panel_of(4, 3)
    (shares,) = accuracy_heatmap(panel).figure.axes[0].images
    assert shares.get_clim() == (0.0, 1.0)
    graph = deviation_heatmap(panel)
    assert graph is not None
    (away,) = graph.figure.axes[0].images
    assert away.get_clim() == (-0.25, 0.25)
    assert deviation_heatmap(panel_of(1, 3)) is None


def test_the_sheet_of_four_has_each_graph_under_its_own_heading() -> None:
    panel = panel_of(3, 4)
    graph = model_comparison(panel, stand(panel))
    told = [(str(one.get_suptitle()), [axes.get_xlabel() for axes in one.axes]) for one in graph.figure.subfigs]
    assert told == [
        ("Accuracy by subject", ["right (%)"]),
        ("Overall accuracy", ["right (%)"]),
        ("Right answers (%), from dark to bright", [""]),
        ("Error rate", ["not right (%)"]),
    ]
    heatmap = graph.figure.subfigs[2].axes[0].images[0]
    assert heatmap.get_clim() == (0.0, 1.0)
    assert str(graph.figure.get_suptitle()).replace("\n", " ") == graph.title
    assert note_of(graph).startswith(f"{panel.terms}. Bars through dots: 95 % Wilson intervals. Dashed")


@pytest.mark.parametrize(
    ("contestants", "silent", "hatched"), [(2, False, False), (2, True, True), (MOST_GROUPED + 1, True, False)]
)
def test_the_sheet_of_four_explains_hatched_bars_where_it_has_any(
    contestants: int, silent: bool, hatched: bool
) -> None:
    panel = panel_of(contestants, 2)
    panel = silenced(panel, 0) if silent else panel
    note = note_of(model_comparison(panel, stand(panel)))
    assert ("Hatched" in note) is hatched
    assert ("A dot in a cell's corner" in note) is silent


def test_blind_guessing_is_drawn_in_error_rates_at_what_it_gets_wrong() -> None:
    panel = panel_of(3, 2)
    axes = Figure().subplots()
    draw_errors(axes, panel)
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[0.75, 0.75]]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert widths == pytest.approx([1 - panel.accuracies[place].estimate for place in panel.ranking])


def test_cells_are_written_on_in_the_ink_that_is_read() -> None:
    axes = Figure().subplots()
    for low, high in ((0.0, 1.0), (-0.25, 0.25), (0.5, 1.0)):
        image = axes.imshow([[low, high]], cmap="gray", vmin=low, vmax=high)
        assert [ink_on(image, value) for value in (low, high)] == ["#ffffff", "#111111"]


def test_a_colour_bar_is_marked_from_end_to_end_in_percent_and_points() -> None:
    def marks(graph: Graph | None) -> list[str]:
        assert graph is not None
        return [text.get_text() for text in graph.figure.axes[1].get_yticklabels()]

    panel = panel_of(4, 3)
    assert marks(accuracy_heatmap(panel)) == ["0", "20", "40", "60", "80", "100"]
    assert marks(deviation_heatmap(panel)) == ["−20", "−10", "0", "10", "20"]
