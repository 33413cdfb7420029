"""The finding in words, who is best, and the same by subject."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TypeVar

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.data.tables import PERCENT, Column, Table, Value, number
from analysis.graphs.by_subject import by_subject
from analysis.graphs.comparison import model_comparison
from analysis.graphs.error_rate import error_rate
from analysis.graphs.forest import forest
from analysis.graphs.heatmap import accuracy_heatmap, deviation_heatmap, subjects_title
from analysis.graphs.overlap import distribution_title, missed_in_silence, pairs_title
from analysis.graphs.quantization import quantization_title
from analysis.report.blocks import Block, Bullets, Folded, Section, Text
from analysis.report.replies import replies_blocks
from analysis.report.set_figures import set_figure_blocks
from analysis.stats.intervals import AgainstChance, Interval
from analysis.stats.overlap import error_kappa, misses_expected, misses_observed
from analysis.verdicts.perplexities import by_perplexity, of_pages, perplexity_sentences, told
from analysis.verdicts.quantization import quantization_changes
from analysis.verdicts.replies import fared_sentences
from analysis.verdicts.standings import Standings
from analysis.verdicts.unanswered import not_run_sentences
from analysis.verdicts.wording import chance_sentences, percent, silence_sentences, standing_title

T = TypeVar("T")


def finding_sentences(panel: Panel, standings: Standings, margin: float) -> list[str]:
    """The finding in a few sentences: who is ahead, who is at chance, what that rests on, and what is shared."""
    asked = counted(len(panel.questions), "question")
    same = ", the same for all" if len(panel.contestants) > 1 else ""
    if of_pages(panel):
        return perplexity_sentences(panel)
    waiting = not_run_sentences(panel)
    if waiting and panel.not_run.all():
        return waiting
    sentences = [*waiting, f"{standing_title(panel, standings)} ({asked}{same})."]
    if standings.pairs > 1:
        silent = standings.told_apart_by_silence
        only = f", {silent:,} of them only by questions without a single answer" if silent else ""
        sentences.append(f"{standings.told_apart:,} of {standings.pairs:,} pairs can be told apart{only}.")
    sentences += [*perplexity_sentences(panel), *chance_sentences(panel, standings)]
    sentences += fared_sentences(panel) if panel.replies else silence_sentences(panel)
    if len(panel.subjects) > 1:
        sentences.append(f"{subjects_title(panel)}.")
    changes = quantization_changes(panel, margin)
    if changes:
        sentences.append(f"{quantization_title(changes)}.")
    models = panel.one_a_model()
    if len(models.contestants) > 1 and panel.has_mistakes:
        observed, expected = misses_observed(models.wrong), misses_expected(models.wrong, models.subject_of)
        sentences.append(f"{distribution_title(observed, expected, missed_in_silence(models))}.")
        sentences.append(f"{pairs_title(models, error_kappa(models.wrong))}.")
    return sentences


def finding_section(sentences: Sequence[str]) -> Section:
    """The words that stand first."""
    first, *others = sentences
    return Section("finding", "The finding", (Text(first), Bullets(tuple(others))) if others else (Text(first),))


def overall_section(panel: Panel, standings: Standings) -> Section:
    """The forest and the table behind it; of pages their perplexities."""
    if of_pages(panel):
        points = Folded("The same as points: the probability per word", (accuracy_table(panel, standings),))
        return Section("overall", "Perplexity", (perplexity_table(panel), points))
    return Section(
        "overall",
        "Overall accuracy",
        (
            forest(panel, standings),
            accuracy_table(panel, standings),
            *replies_blocks(panel),
            *set_figure_blocks(panel),
            error_rate(panel, standings),
            Folded("Subjects, overall, heatmap and errors on one sheet", (model_comparison(panel, standings),)),
        ),
    )


def perplexity_table(panel: Panel) -> Table:
    """A row a contestant, the least perplexed first, with how many times as large the others' perplexities are."""
    columns = (
        Column("contestant"), Column(panel.perplexity_name, number(2), numeric=True),
        Column("low", number(2), numeric=True), Column("high", number(2), numeric=True),
        Column("times the lowest", number(3), numeric=True), Column("low of it", number(3), numeric=True),
        Column("high of it", number(3), numeric=True), Column("verdict"), Column("pages", numeric=True),
    )  # fmt: skip
    order, found = by_perplexity(panel), panel.perplexities or ()
    rows: list[tuple[Value, ...]] = []
    for place in order:
        ratio = None if place == order[0] else panel.perplexity_ratio(order[0], place)
        apart = (None, None, None, "lowest") if ratio is None else (*_figures(ratio), told(ratio))
        rows.append((panel.labels[place], *_figures(found[place]), *apart, int(panel.asked[place].sum())))
    caption = (
        "exp of minus the log-probability per word, each page drawn as a whole, with 95 % intervals; the others over "
        "the lowest, page by page."
    )
    return Table("perplexity", caption, columns, rows)


def subjects_section(panel: Panel) -> Section:
    """By subject: deviation first, the plain graphs, then all the figures."""
    deviation = deviation_heatmap(panel)
    graphs: tuple[Block, ...] = (by_subject(panel), accuracy_heatmap(panel))
    blocks = graphs if deviation is None else (deviation, *graphs)
    return Section("subjects", "By subject", (*blocks, Folded("All figures by subject", (subject_table(panel),))))


def accuracy_table(panel: Panel, standings: Standings) -> Table:
    """A row a contestant, the highest accuracy first, with its interval and where that lies against chance."""
    norm = panel.accuracies_norm
    guessed = not isnan(panel.chance)
    headings = ("right per character", "low per character", "high per character") if norm is not None else ()
    per_character = [Column(heading, PERCENT, numeric=True) for heading in headings]
    perplexed = panel.perplexities
    name = panel.perplexity_name
    named = (name, f"low {name}", f"high {name}") if perplexed is not None else ()
    columns = (
        Column("contestant"), Column(panel.unit, PERCENT, numeric=True), Column("low", PERCENT, numeric=True),
        Column("high", PERCENT, numeric=True), Column("right answers", numeric=True), Column("asked", numeric=True),
        Column("no single answer", numeric=True), *_if(guessed, Column("against chance")), *per_character,
        *(Column(heading, number(2), numeric=True) for heading in named),
        *_if(panel.graded, Column("sum of points", number(1), numeric=True)),
    )  # fmt: skip
    right, sums = panel.correct.sum(axis=1), panel.marks.sum(axis=1)
    rows = [
        (
            panel.labels[place], panel.accuracies[place].estimate, panel.accuracies[place].low,
            panel.accuracies[place].high, int(right[place]), int(panel.asked[place].sum()),
            int(panel.unanswered[place]), *_if(guessed, _against(standings.against_chance[place], panel.chance)),
            *(() if norm is None else _figures(norm[place])),
            *(() if perplexed is None else _figures(perplexed[place])),
            *_if(panel.graded, float(sums[place])),
        )
        for place in standings.order
    ]  # fmt: skip
    caption = "Accuracy with its 95 % Wilson interval, on the questions that all were asked."
    if panel.graded:
        caption = (
            "Mean points, as a share of all, with Student's 95 % interval (Wilson's where all are 0 or 1). Right "
            "answers have all points."
        )
    elif not guessed:
        caption += " Without options nobody guesses, so that there is no chance to compare with."
    if norm is not None:
        caption += " Per character: by the log-probability over the option's length, acc_norm elsewhere."
    return Table("accuracy", caption, columns, rows)


def subject_table(panel: Panel) -> Table:
    """A row a subject and contestant: accuracy with its interval."""
    columns = (
        Column("subject"), Column("contestant"), Column(panel.unit, PERCENT, numeric=True),
        Column("low", PERCENT, numeric=True), Column("high", PERCENT, numeric=True),
        Column("right answers", numeric=True), Column("asked", numeric=True),
        Column("no single answer", numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for column, subject in enumerate(panel.subjects):
        for place in panel.ranking:
            right, asked = int(panel.right_by_subject[place, column]), int(panel.asked_by_subject[place, column])
            interval, tied = panel.accuracy_in(place, column), int(panel.unanswered_by_subject[place, column])
            rows.append(
                (subject, panel.labels[place], interval.estimate, interval.low, interval.high, right, asked, tied)
            )  # fmt: skip
    caption = "Points" if panel.graded else "Accuracy"
    return Table("accuracy_by_subject", f"{caption} by subject, with 95 % {_kind(panel)} intervals.", columns, rows)


def _kind(panel: Panel) -> str:
    return "Student" if panel.graded else "Wilson"


def _figures(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def _if(holds: bool, value: T) -> tuple[T, ...]:
    return (value,) if holds else ()


def _against(where: AgainstChance, chance: float) -> str:
    return where.value if where is AgainstChance.ABOVE else f"{where.value} ({percent(chance, 0)})"
