"""What it cost: time and memory, by contestant and Run by Run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analysis.data.groups import contestant_of, names_of
from analysis.data.panel import Panel
from analysis.data.results import Results
from analysis.data.sets import with_sets
from analysis.data.tables import GIB, SECONDS, Column, Table, number
from analysis.graphs.cost import Priced, accuracy_against_cost
from analysis.report.blocks import Folded, Section, Text
from analysis.report.server_costs import server_costs_table
from analysis.verdicts.standings import Standings
from analysis.verdicts.unanswered import named
from proctor.contestants import Contestant
from proctor.nouns.runs import Cost, Measures
from proctor.store.reads.records import RunRecord

ABOUT = (
    "Scoring only: loading has a column of its own, since a worker that already holds the model spares it. CPU time is "
    "that of all threads; GPU time is that between a pack's first and last kernel, waits included, and 0 "
    "on the CPU. Memory is the peak of a Run, not of the process's life."
)


@dataclass(frozen=True)
class Spending:
    """What one contestant's Runs took together. Peaks are the highest of any Run."""

    contestant: str
    of_set: str  # empty where there is a single one
    runs: int
    questions: int
    score: Cost
    load_wall_s: float
    peak_rss_bytes: int
    peak_device_bytes: int

    @property
    def questions_per_s(self) -> float | None:
        return self.questions / self.score.wall_s if self.score.wall_s > 0 else None


def spendings(results: Results) -> list[Spending]:
    """Each contestant's cost over its Runs of a set that were measured, in the order in which they were planned."""
    names = names_of(results.records)
    grouped: dict[tuple[str, str], list[tuple[RunRecord, Measures]]] = defaultdict(list)
    for record in results.records:
        if record.measures is not None and record.answered:
            grouped[names[record.run_id], results.set_named(record)].append((record, record.measures))
    return [
        Spending(
            name,
            of_set,
            len(runs),
            sum(record.answered for record, _ in runs),
            _total(measures.scoring for _, measures in runs),
            sum(measures.load.wall_s for _, measures in runs),
            max(measures.peak_rss_bytes for _, measures in runs),
            max(measures.peak_device_bytes for _, measures in runs),
        )
        for (name, of_set), runs in grouped.items()
    ]


@dataclass(frozen=True, eq=False)
class Measured:
    """A panel on common ground, whose accuracies costs are to stand beside."""

    number: int  # of the panel in the results, from 1
    name: str  # of its set, empty for a single one
    panel: Panel
    standings: Standings


def costs_section(results: Results, parts: Sequence[Measured]) -> Section | None:
    """Time and memory, and accuracy against both for each panel; None where nothing was measured."""
    spent = spendings(results)
    if not spent:
        return None
    shown = []
    for part in parts:
        if part.panel.terms.judge is not None:
            continue  # what judging costs is the judge's, not the contestant's
        graph = accuracy_against_cost(prices(results, part))
        if graph is not None:
            name = graph.name if part.number == 1 else f"{graph.name}_{part.number}"
            shown.append(replace(graph.of_set(part.name) if part.name else graph, name=name))
    of_servers = server_costs_table(results)
    counted = (of_servers,) if of_servers is not None else ()
    tables = (spending_table(spent), *counted, Folded("Run by Run", (runs_table(results),)))
    return Section("costs", "Time and memory", (Text(ABOUT), *shown, *tables))


def prices(results: Results, part: Measured) -> list[Priced]:
    """Accuracy and cost of the panel's contestants in the Runs that it shows, the most accurate first."""
    measured: dict[Contestant, list[tuple[int, Measures]]] = defaultdict(list)
    for record in results.records:
        if record.measures is not None and record.run_id in part.panel.run_ids:
            measured[contestant_of(record)].append((record.answered, record.measures))
    found, panel, leaders = [], part.panel, part.standings.leaders()
    for place in panel.ranking:
        contestant = panel.contestants[place]
        runs = measured[contestant]
        if runs:
            seconds = sum(one.scoring.wall_s for _, one in runs) / sum(answered for answered, _ in runs)
            peak = max(one.peak_device_bytes or one.peak_rss_bytes for _, one in runs)
            accuracy = panel.accuracies[place].estimate
            name, leads = named(panel, place), place in leaders
            found.append(Priced(name, contestant.family, contestant.quant, accuracy, seconds, peak / 2**30, leads))
    return found


def spending_table(rows: Sequence[Spending]) -> Table:
    """A row a contestant."""
    columns = (
        Column("contestant"), Column("Runs", numeric=True), Column("questions", numeric=True),
        Column("wall", SECONDS, numeric=True), Column("CPU", SECONDS, numeric=True),
        Column("GPU", SECONDS, numeric=True), Column("loading, wall", SECONDS, numeric=True),
        Column("peak memory", GIB, numeric=True), Column("peak GPU memory", GIB, numeric=True),
        Column("questions a second", number(2), numeric=True),
    )  # fmt: skip
    table = Table(
        "costs",
        "Time and memory by contestant, summed over its Runs.",
        columns,
        [
            (
                s.contestant, s.runs, s.questions, s.score.wall_s, s.score.cpu_s, s.score.gpu_s, s.load_wall_s,
                s.peak_rss_bytes, s.peak_device_bytes, s.questions_per_s,
            )
            for s in rows
        ],
    )  # fmt: skip
    return with_sets(table, [s.of_set for s in rows]) if any(s.of_set for s in rows) else table


def runs_table(results: Results) -> Table:
    """A row a Run that was measured."""
    names = names_of(results.records)
    columns = (
        Column("Run", numeric=True), Column("contestant"), Column("subject"), Column("questions", numeric=True),
        Column("wall", SECONDS, numeric=True), Column("CPU", SECONDS, numeric=True),
        Column("GPU", SECONDS, numeric=True), Column("tokenizing, wall", SECONDS, numeric=True),
        Column("prefix, wall", SECONDS, numeric=True), Column("packs, wall", SECONDS, numeric=True),
        Column("loading, wall", SECONDS, numeric=True), Column("writing, wall", SECONDS, numeric=True),
        Column("peak memory", GIB, numeric=True), Column("peak GPU memory", GIB, numeric=True),
        Column("GPU memory held", GIB, numeric=True),
        Column("questions a second", number(2), numeric=True), Column("attempt", numeric=True),
    )  # fmt: skip
    measured = [(r, r.measures) for r in results.records if r.measures is not None]
    rows = [
        (
            r.run_id, names[r.run_id], r.spec.subject, r.answered, m.scoring.wall_s, m.scoring.cpu_s, m.scoring.gpu_s,
            m.tokenize.wall_s, m.prefix.wall_s, m.score.wall_s, m.load.wall_s, m.write.wall_s,
            m.peak_rss_bytes, m.peak_device_bytes, m.peak_reserved_bytes,
            r.answered / m.scoring.wall_s if m.scoring.wall_s > 0 else None, r.attempt,
        )
        for r, m in measured
    ]  # fmt: skip
    caption = (
        "Time and memory of every Run that was measured. "
        "Wall, CPU and GPU are of tokenizing, prefix and packs together. Of a GPU's memory the peak is what tensors "
        "took, held is what torch kept for them: that is what nvidia-smi shows, beside CUDA's own half a gigabyte."
    )
    table = Table("costs_by_run", caption, columns, rows)
    return with_sets(table, [results.set_named(r) for r, _ in measured]) if len(results.panels) > 1 else table


def _total(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())
