"""Every graph from one contestant to eighty: nothing overlaps or is cut, fonts can be read, colours told apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from analysis.data.panel import Panel
from analysis.graphs.by_subject import by_subject
from analysis.graphs.calibration import reliability
from analysis.graphs.comparison import model_comparison
from analysis.graphs.cost import Priced, accuracy_against_cost, front
from analysis.graphs.error_rate import error_rate
from analysis.graphs.forest import forest
from analysis.graphs.heatmap import accuracy_heatmap, deviation_heatmap
from analysis.graphs.overlap import leaf_order, mistake_distribution, mistake_pairs
from analysis.graphs.quantization import quantization_forest
from analysis.graphs.style import OKABE_ITO, SMALLEST, Graph, drawable, inline_svg, shortened
from analysis.graphs.upset import intersections, mistake_sets
from analysis.stats.options import calibrate
from analysis.verdicts.quantization import quantization_changes
from analysis.verdicts.standings import stand
from tests.graph_text import cut_off, overlapping, placed_texts
from tests.panels import QUANTS, panel_of


def cost_of(panel: Panel) -> Graph | None:
    """Contestants of growing cost; the quantized ones cheaper in memory."""
    kinds = {"none": 4.0, "8bit": 2.0, "4bit": 1.0}
    priced = [
        Priced(label, one.family, one.quant, accuracy.estimate, 0.01 * 1.1**place, kinds[one.quant] * 1.3**place)
        for place, (label, one, accuracy) in enumerate(
            zip(panel.labels, panel.contestants, panel.accuracies, strict=True)
        )
    ]
    return accuracy_against_cost(priced)


def calibration_of(panel: Panel) -> Graph:
    logprob = panel.logprob
    assert logprob is not None
    return reliability(panel.labels, [calibrate(one, panel.key) for one in logprob])


GRAPHS: dict[str, Callable[[Panel], Graph | None]] = {
    "forest": lambda panel: forest(panel, stand(panel)),
    "model_comparison": lambda panel: model_comparison(panel, stand(panel)),
    "by_subject": by_subject,
    "error_rate": lambda panel: error_rate(panel, stand(panel)),
    "accuracy_heatmap": accuracy_heatmap,
    "deviation_heatmap": deviation_heatmap,
    "mistake_distribution": mistake_distribution,
    "mistake_pairs": mistake_pairs,
    "mistake_sets": mistake_sets,
    "quantization": lambda panel: quantization_forest(panel, quantization_changes(panel, 0.01)),
    "cost": cost_of,
    "calibration": calibration_of,
}
SIZES = {1: (1, 1), 3: (3, 6), 14: (14, 41), 80: (80, 57)}


# Nothing to compare, nothing quantized, or more sets than can be read.
UNDRAWN = {("deviation_heatmap", 1), ("mistake_sets", 1), ("mistake_sets", 14), ("mistake_sets", 80)} | {
    ("quantization", 1),
    ("cost", 1),
    ("quantization", 14),
}


@pytest.fixture(scope="module")
def panels() -> dict[int, Panel]:
    return {
        size: panel_of(contestants, subjects, 12, quants=QUANTS if size in (3, 80) else ("none",))
        for size, (contestants, subjects) in SIZES.items()
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", GRAPHS)
def test_no_text_overlaps_or_is_cut_or_too_small(name: str, size: int, panels: dict[int, Panel]) -> None:
    graph = GRAPHS[name](panels[size])
    if graph is None:
        assert (name, size) in UNDRAWN
        return
    texts = placed_texts(graph.figure)
    assert overlapping(texts) == []
    assert cut_off(texts, graph.figure) == []
    assert min(text.points for text in texts) >= SMALLEST


@pytest.mark.parametrize("name", GRAPHS)
def test_hostile_and_endless_names_are_drawn_as_they_are(name: str) -> None:
    names = ["x/<script>alert(1)</script>", "y/$x^2$ \x1b[31m\u202e", "z/" + "long-" * 60, "z/模型-७"]
    if name == "quantization":
        names = [names[0], names[0], names[2], names[2]]
    panel = panel_of(4, 2, names=names, quants=("none", "4bit") if name == "quantization" else ("none",))
    graph = GRAPHS[name](panel)
    assert graph is not None
    texts = placed_texts(graph.figure)
    assert overlapping(texts) == []
    assert cut_off(texts, graph.figure) == []
    assert not any("\x1b" in text.text or "\u202e" in text.text for text in texts)
    svg = inline_svg(graph)
    ElementTree.fromstring(svg)  # noqa: S314 -- our own output
    assert "<script" not in svg


def test_drawing_leaves_the_callers_settings_alone() -> None:
    before = dict(mpl.rcParams)
    forest(panel_of(2, 2), stand(panel_of(2, 2)))
    assert dict(mpl.rcParams) == before


def test_the_same_graph_is_the_same_svg() -> None:
    panel = panel_of(2, 2)
    standings = stand(panel)
    assert error_rate(panel, standings).svg == error_rate(panel, standings).svg


def test_inline_svg_names_no_other_place_and_follows_the_theme() -> None:
    svg = inline_svg(mistake_pairs(panel_of(4, 2)))
    assert "http" not in svg
    assert "var(--ink)" in svg
    assert 'id="mistake_overlap_pairwise-' in svg


def test_alike_contestants_lie_together() -> None:
    kappa = np.array([[1, 0.1, 0.9, 0.1], [0.1, 1, 0.1, 0.8], [0.9, 0.1, 1, 0.1], [0.1, 0.8, 0.1, 1]])
    order = leaf_order(kappa)
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1


def test_the_front_is_what_nothing_cheaper_beats() -> None:
    accuracies = {"a": 0.3, "b": 0.5, "c": 0.4, "d": 0.6}
    priced = [Priced(name, name, "none", accuracy, 1.0, 1.0) for name, accuracy in accuracies.items()]
    assert [one.label for one in front(priced, [1, 2, 3, 4])] == ["a", "b", "d"]
    assert [one.label for one in front(priced, [4, 3, 2, 1])] == ["d"]


def test_every_missed_question_is_in_one_set() -> None:
    panel = panel_of(4, 3)
    found = intersections(panel)
    assert sum(one.questions for one in found) == panel.wrong.any(axis=0).sum()
    for one in found:
        exactly = panel.wrong[list(one.members)].all(axis=0) & (panel.wrong.sum(axis=0) == len(one.members))
        assert exactly.sum() == one.questions


def test_shortened_names_stay_distinct() -> None:
    names = [f"{'a' * 50}{middle}{'b' * 50}" for middle in "xyz"]
    assert len(set(shortened(names))) == 3
    assert max(map(len, shortened(names))) <= 40


def test_shortened_names_show_where_they_differ() -> None:
    names = [f"{'organisation-' * 2}{size}{'-instruct-of-december' * 2}" for size in ("0.5B", "1.5B", "7B")]
    assert shortened(names) == [
        "organisati…ion-0.5B-instruct-…f-december",
        "organisati…ion-1.5B-instruct-…f-december",
        "organisati…ion-7B-instruct-of…f-december",
    ]


def test_equal_names_are_numbered() -> None:
    assert shortened(["same" * 20] * 2 + ["short"]) == [
        f"{'same' * 5}…{'ame' + 'same' * 4}{end}" for end in ("", " #2")
    ] + ["short"]


def test_what_the_font_lacks_is_shown_as_a_box() -> None:
    assert drawable("a\x07b\u202ec模") == "a□b□c□"


# Machado, Oliveira and Fernandes 2009: full protanopia and deuteranopia, on linear RGB.
PROTAN = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])
DEUTAN = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])


@pytest.mark.parametrize("sight", [np.eye(3), PROTAN, DEUTAN], ids=["full", "protanopia", "deuteranopia"])
def test_colours_differ_for_colour_blind_eyes(sight: np.ndarray) -> None:
    linear = {colour: sight @ (np.array(to_rgb(colour)) ** 2.2) for colour in OKABE_ITO}
    seen = {colour: np.clip(values, 0, 1) ** (1 / 2.2) for colour, values in linear.items()}
    for first, second in combinations(OKABE_ITO, 2):
        assert np.linalg.norm(seen[first] - seen[second]) > 0.1, (first, second)
