"""The noise floor: ties, near ties, and what moved when a slice was scored again in other packs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.data.groups import contestant_of
from analysis.data.panel import Panel
from analysis.data.results import Results
from analysis.data.tables import PERCENT, Column, Table, Value, number
from analysis.report.blocks import Section, Text
from analysis.stats.intervals import wilson
from analysis.stats.options import NEAR_TIE_NATS, LogProbs, near_ties
from proctor.contestants import Contestant
from proctor.nouns.runs import Noise

TIES = (
    f"A near tie is a question whose best two options lie within {NEAR_TIE_NATS:g} nats: 16-bit numbers resolve little "
    "more, so another batch, device or library version may turn it. On an exact tie no option is picked, and it counts "
    "as not right."
)
NO_OPTIONS = "Left out: ties are between options, and these questions have none; counted are texts without an answer."
UNMEASURED = (
    "How many of them do turn wasn't measured (submit-sweep --check-noise does): take differences of fewer questions "
    "than there are near ties for nothing."
)
MEASURED = (
    "Measured: a slice of each Run was scored again with other questions beside it, and nothing else changed. A "
    "difference between models of fewer picks than flip by that alone means nothing; the interval is 95 %, of Wilson."
)


@dataclass(frozen=True)
class Floor:
    """What moved in one contestant's slices together."""

    questions: int
    flips: int
    largest: float  # difference of a log-probability, nats
    mean: float

    @property
    def share(self) -> float:
        return self.flips / self.questions

    @property
    def share_high(self) -> float:
        """As many picks might flip, with 95 % confidence."""
        return wilson(self.flips, self.questions).high


def floors(results: Results, panel: Panel) -> dict[Contestant, Floor]:
    """The noise of the panel's contestants whose Runs measured it."""
    found: dict[Contestant, list[Noise]] = defaultdict(list)
    for record in results.records:
        if record.noise is None or record.judged:  # of a judge it is the judge's
            continue
        if record.noise.questions and record.run_id in panel.run_ids:
            found[contestant_of(record)].append(record.noise)
    return {contestant: _together(found[contestant]) for contestant in panel.contestants if contestant in found}


def noise_section(panel: Panel, measured: Mapping[Contestant, Floor]) -> Section:
    """Ties and near ties of everyone, and the measured noise where it is known. Without options: why there are none."""
    if not panel.has_options:
        return Section("noise", "Noise floor and ties", (Text(NO_OPTIONS), _ties_table(panel)))
    words = f"{TIES} {MEASURED if measured else UNMEASURED}"
    tables = (_ties_table(panel), *([noise_table(panel, measured)] if measured else []))
    return Section("noise", "Noise floor and ties", (Text(words), *tables))


def _ties_table(panel: Panel) -> Table:
    rows: list[tuple[Value, ...]] = []
    for place in panel.ranking:
        near = None if panel.logprob is None or not panel.has_options else near_ties(_known(panel.logprob[place]))
        share = None if near is None else near / max(1, len(panel.questions))
        rows.append((panel.labels[place], int(panel.unanswered[place]), near, share))
    columns = (
        Column("contestant"), Column("no single answer", numeric=True), Column("near ties", numeric=True),
        Column("share", PERCENT, numeric=True),
    )  # fmt: skip
    if not panel.has_options:
        return Table("ties", "Texts without an answer.", columns[:2], [row[:2] for row in rows])
    return Table("ties", "Ties and near ties.", columns, rows)


def noise_table(panel: Panel, measured: Mapping[Contestant, Floor]) -> Table:
    """A row a contestant whose noise was measured."""
    columns = (
        Column("contestant"), Column("scored twice", numeric=True), Column("picks that flipped", numeric=True),
        Column("share", PERCENT, numeric=True), Column("at most", PERCENT, numeric=True),
        Column("largest difference", number(4), numeric=True), Column("mean difference", number(4), numeric=True),
    )  # fmt: skip
    rows = [
        (panel.labels[place], one.questions, one.flips, one.share, one.share_high, one.largest, one.mean)
        for place in panel.ranking
        if (one := measured.get(panel.contestants[place])) is not None
    ]
    return Table("noise", "The same questions in other packs; differences of log-probabilities in nats.", columns, rows)


def _together(several: Sequence[Noise]) -> Floor:
    questions = sum(one.questions for one in several)
    return Floor(
        questions,
        sum(one.flips for one in several),
        max(one.largest for one in several),
        sum(one.mean * one.questions for one in several) / questions,
    )


def _known(logprob: LogProbs) -> LogProbs:
    """The questions on which the options' log-probabilities are numbers at all."""
    return np.asarray(logprob[np.isfinite(logprob).sum(axis=1) >= 2])
