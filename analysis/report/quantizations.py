"""The section on what quantizations cost."""

from __future__ import annotations

from analysis.data.panel import Panel
from analysis.data.tables import PERCENT, POINTS, Column, Table, number, p_value, scaled
from analysis.graphs.quantization import quantization_forest
from analysis.report.blocks import Section, Text
from analysis.verdicts.quantization import Change, quantization_changes
from analysis.verdicts.unanswered import verdict_rest
from analysis.verdicts.wording import verdict_words

ABOUT = (
    "Each quantization is compared with the same model unquantized, question by question. Lost are questions that only "
    "the unquantized model has right, gained those that only the quantized one has. {picks}Verdicts are given overall, "
    "never by subject: a subject has too few questions for one."
)
PICKS = (
    "Other picks and the divergence of the options' probabilities (KL, in nats) show an effect long before accuracy "
    "moves. "
)


def quantizations_section(panel: Panel, margin: float) -> Section | None:
    """Graph and table; None where nothing was quantized."""
    changes = quantization_changes(panel, margin)
    graph = quantization_forest(panel, changes)
    if graph is None:
        return None
    about = ABOUT.format(picks=PICKS if panel.has_options else "")
    return Section("quantizations", "Quantizations", (Text(about), graph, changes_table(panel, changes)))


def changes_table(panel: Panel, changes: list[Change]) -> Table:
    """A row a quantization."""
    columns = (
        Column("quantized"), Column("change, points", POINTS, numeric=True), Column("low", POINTS, numeric=True),
        Column("high", POINTS, numeric=True), Column("lost", numeric=True), Column("gained", numeric=True),
        Column("p (Holm)", p_value, numeric=True), Column("p of within (Holm)", p_value, numeric=True),
        Column("verdict"),
        Column("smallest detectable, points", scaled(100, 1), numeric=True),
    )  # fmt: skip
    of_options = (
        Column("other picks", numeric=True), Column("KL, nats", number(4), numeric=True),
        Column("key's probability", PERCENT, numeric=True),
    ) if panel.has_options else ()  # fmt: skip
    of_one_text = tuple(
        Column(heading, number(3), numeric=True) for heading in ("perplexity, times", "times, low", "times, high")
    )
    of_scores: tuple[Column, ...] = of_options if panel.text_logprob is None else of_one_text
    rows = [
        (
            panel.labels[change.changed], v.change.estimate, v.change.low, v.change.high, v.pair.lost, v.pair.gained,
            v.p, v.within_p, _verdict_cell(change), v.detectable,
            *((change.other_picks, change.divergence, change.key_shift) if panel.has_options else ()),
            *(() if ratio is None else (ratio.estimate, ratio.low, ratio.high)),
        )
        for change in changes
        for v, ratio in ((change.verdict, change.perplexity_ratio),)
    ]  # fmt: skip
    return Table("quantizations", "Quantized against unquantized, on the same questions.", (*columns, *of_scores), rows)


def _verdict_cell(change: Change) -> str:
    verdict = change.verdict
    few = "; fewer than 5 discordant" if verdict.few_discordant else ""
    return f"{verdict_words(verdict)}{few}{verdict_rest(verdict, change.silence)}"
