"""How sure the numbers are: calibration, and what this sweep could not show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.data.panel import Panel
from analysis.data.phrases import counted, listed
from analysis.data.tables import PERCENT, Column, Table, Value, number
from analysis.graphs.calibration import reliability
from analysis.report.blocks import Bullets, Folded, Section, Text
from analysis.stats.families import ALPHA
from analysis.stats.intervals import subject_widening
from analysis.stats.options import Calibration, calibrate
from analysis.stats.paired import Paired
from analysis.verdicts.same_prompts import apart
from analysis.verdicts.standings import Standings
from analysis.verdicts.wording import margin_words, percent
from proctor.statistical_power import questions_needed

FEWEST_SUBJECTS = 10
ENOUGH_TO_DRAW = 200  # questions; with fewer, the bins of a reliability graph hold a handful each
NO_OPTIONS = "Left out: calibration is of the options' probabilities, and these questions have none."
SEVERAL = "Left out: calibration is of the one right option, and some of these questions have several."
CALIBRATION = (
    "Brier's score is 0 for a perfect model, 0.75 for an even guess among four options. The expected calibration error "
    "is shown from 1,000 questions on: with fewer, a perfectly calibrated model shows an error too. "
    "Questions on which no single option was best are in Brier's score alone."
)


def calibration_section(panel: Panel) -> Section | None:
    """Graph and table; None where log-probabilities aren't known. Else: why it is left out."""
    if not panel.has_keys:
        return Section("calibration", "Calibration", (Text(SEVERAL if panel.has_options else NO_OPTIONS),))
    logprob = panel.logprob
    if logprob is None:
        return None
    found = [calibrate(logprob[place], panel.key) for place in panel.ranking]
    names = [panel.labels[place] for place in panel.ranking]
    table = _calibration_table(names, found)
    if all(not one.questions.sum() for one in found):
        return Section("calibration", "Calibration", (Text(CALIBRATION), table))
    if len(panel.questions) < ENOUGH_TO_DRAW:
        return Section("calibration", "Calibration", (Text(CALIBRATION), table))
    return Section("calibration", "Calibration", (Text(CALIBRATION), reliability(names, found), table))


def limits_section(panel: Panel, standings: Standings, margin: float) -> Section:
    """Pairs that can't be told apart, what difference so many questions show, and how many would do."""
    rows = [
        _limit_row(panel, standings, first, second)
        for rank, first in enumerate(standings.order)
        for second in standings.order[rank + 1 :]
        if standings.p[first, second] >= ALPHA
    ]
    asked = len(panel.questions)
    facts = [f"All comparisons rest on {counted(asked, 'question')}, the same for everyone."]
    if rows:
        facts.append(
            f"{counted(len(rows), 'pair')} of {standings.pairs:,} can't be told apart. The smallest difference that "
            "would have been seen four times in five stands beside each, with the number of questions that would show "
            "the difference seen, if it is real."
        )
    elif standings.pairs:
        facts.append("Every pair of contestants can be told apart.")
    spread = _median_discordance(panel, standings)
    if spread is not None:
        facts.append(
            f"The median pair differs on {percent(spread)} of the questions: to show a difference of "
            f"{margin_words(margin)}, about {questions_needed(spread, margin):,} questions would be needed."
        )
    wider = _widening(panel)
    if wider is not None:
        facts.append(
            f"Intervals are for these {len(panel.subjects)} subjects. For subjects drawn anew they would be about "
            f"{wider:.1f} times as wide (errors clustered by subject, the median contestant)."
        )
    facts += prompt_sentences(panel)
    if not rows:
        return Section("limits", "What this sweep could not show", (Bullets(tuple(facts)),))
    table = Folded("Pairs that can't be told apart", (_limits_table(rows),))
    return Section("limits", "What this sweep could not show", (Bullets(tuple(facts)), table))


def prompt_sentences(panel: Panel) -> list[str]:
    """Who read other prompts under the same conditions; none where all read the same, or theirs aren't known."""
    asked = len(panel.questions)
    return [
        f"{listed([panel.labels[place] for place in one.contestants], most=8)} did not all read the same prompts, "
        f"although their conditions are the same: on {one.questions:,} of {counted(asked, 'question')} the hashes "
        "differ, as a date in a chat template makes them. Part of their differences may be the prompts'."
        for one in apart(panel)
    ]


def _calibration_table(names: Sequence[str], found: Sequence[Calibration]) -> Table:
    columns = (
        Column("contestant"), Column("Brier", number(3), numeric=True),
        Column("expected calibration error", PERCENT, numeric=True), Column("mean confidence", PERCENT, numeric=True),
        Column("right of the picks", PERCENT, numeric=True), Column("picks", numeric=True),
    )  # fmt: skip
    rows = [
        (
            name, one.brier, one.ece, one.mean_confidence, one.share_right, int(one.questions.sum()),
        )
        for name, one in zip(names, found, strict=True)
    ]  # fmt: skip
    return Table("calibration", "Calibration of the options' probabilities.", columns, rows)


def _limit_row(panel: Panel, standings: Standings, first: int, second: int) -> tuple[Value, ...]:
    lost, gained = int(standings.lost[first, second]), int(standings.lost[second, first])
    pair = Paired(len(panel.questions) - lost - gained, lost, gained, 0)
    if panel.graded:
        pair = panel.pair(first, second)
    spread, seen = pair.smoothed_discordance, abs(pair.change)
    return (
        panel.labels[first], panel.labels[second], seen, lost + gained, pair.detectable,
        questions_needed(spread, seen) if seen > 0 else None,
    )  # fmt: skip


def _limits_table(rows: Sequence[Sequence[Value]]) -> Table:
    columns = (
        Column("contestant"), Column("against"), Column("ahead by", PERCENT, numeric=True),
        Column("questions that differ", numeric=True), Column("smallest detectable", _or_never, numeric=True),
        Column("questions that would show it", numeric=True),
    )  # fmt: skip
    return Table("undecided_pairs", "Differences that so many questions can't show.", columns, rows)


def _widening(panel: Panel) -> float | None:
    """The median contestant's; None for parts of points, and with too few subjects to tell of subjects at large."""
    if len(panel.subjects) < FEWEST_SUBJECTS or panel.graded:
        return None
    each = [subject_widening(*row) for row in zip(panel.right_by_subject, panel.asked_by_subject, strict=True)]
    known = [one for one in each if one is not None]
    return float(np.median(known)) if known else None


def _or_never(value: Value) -> str:
    return "never" if value is None else PERCENT(value)


def _median_discordance(panel: Panel, standings: Standings) -> float | None:
    first, second = np.triu_indices(len(panel.contestants), 1)
    if not first.size or panel.graded:
        return None
    return float(np.median(standings.lost[first, second] + standings.lost[second, first]) / len(panel.questions))
