"""The judges: what they said, and how far they can be believed."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.data.groups import labels_of
from analysis.data.results import Results
from analysis.data.tables import PERCENT, Column, Table, Value, number, p_value
from analysis.report.blocks import Block, Bullets, Section, Text
from analysis.report.judge_words import Names, bias_sentences
from analysis.stats.intervals import Interval
from analysis.verdicts.judges import Agreement, Bench, agreements, benches_of, grades, pairs
from proctor.exams.judging.verdicts import Preferred

ABOUT = (
    "A judge is a model, and is measured like one. Intervals are over questions: the turns of a question, and both "
    "orders of a pair, count together. What a judge gave no verdict on, asked twice, is unjudged: it is counted here, "
    "is neither 0 nor left out in silence, and has no part in the mean."
)
OF_PAIRS = (
    "Each pair was judged in both orders. Another verdict in the other order is inconsistent, which is no tie: the "
    "order decided, or chance. In the share won both count half."
)


def judges_section(results: Results) -> Section | None:
    """What judges said and what they are worth; None where there are none."""
    if not results.judged:
        return None
    names, judged = labels_of(results.records), benches_of(results.judged)
    warnings = tuple(bias_sentences(judged, names))
    blocks: list[Block] = [Text(ABOUT)]
    if warnings:
        blocks.append(Bullets(warnings))
    if judged.graded:
        blocks.append(grades_table(judged.graded, names))
    if judged.paired:
        blocks += [Text(OF_PAIRS), pairs_table(judged.paired, names), bias_table(judged.paired, names)]
    if agreed := agreements(judged):
        blocks.append(agreement_table(agreed, names))
    return Section("judges", "The judges", tuple(blocks))


def grades_table(benches: Sequence[Bench], names: Names) -> Table:
    """A row a judge and candidate."""
    rows: list[tuple[Value, ...]] = []
    most = max(len(grades(bench).by_turn) for bench in benches)
    for bench in benches:
        told = grades(bench)
        turns = [*told.by_turn, *[None] * (most - len(told.by_turn))]
        rows.append(
            (
                names[bench.candidates[0]], names[bench.judge], bench.benchmark, told.rating.estimate, told.rating.low,
                told.rating.high, *turns, bench.questions, len(bench.points), len(bench.by_key), bench.unjudged,
                bench.unjudged / max(1, len(bench.by_key)), bench.asked_again, told.with_length.estimate,
                told.with_length.low, told.with_length.high, *_number(told.with_number), *_number(told.without_number),
            )
        )  # fmt: skip
    columns = (
        Column("contestant"), Column("judge"), Column("benchmark"), Column("rating", number(2), numeric=True),
        Column("low", number(2), numeric=True), Column("high", number(2), numeric=True),
        *(Column(f"turn {turn + 1}", number(2), numeric=True) for turn in range(most)),
        Column("questions", numeric=True), Column("judged", numeric=True), Column("turns", numeric=True),
        Column("unjudged turns", numeric=True), Column("share unjudged", PERCENT, numeric=True),
        Column("asked again", numeric=True), Column("with length", number(2), numeric=True),
        Column("low with length", number(2), numeric=True), Column("high with length", number(2), numeric=True),
        Column("with the number", number(2), numeric=True), Column("of", numeric=True),
        Column("without it", number(2), numeric=True), Column("of ", numeric=True),
    )  # fmt: skip
    caption = (
        "Ratings from 1 to 10, their mean over questions with Student's 95 % interval. With length: the rank "
        "correlation of rating and characters. With the number: the mean rating of answers that have the "
        "reference's last number."
    )
    return Table("judges_ratings", caption, columns, rows)


def pairs_table(benches: Sequence[Bench], names: Names) -> Table:
    """A row a judge and pair: who is preferred."""
    columns = (
        Column("contestant"), Column("against"), Column("judge"), Column("benchmark"),
        Column("won", PERCENT, numeric=True), Column("low", PERCENT, numeric=True),
        Column("high", PERCENT, numeric=True), Column("p", p_value, numeric=True), Column("questions", numeric=True),
        Column("judged", numeric=True), Column("turns won", numeric=True), Column("lost", numeric=True),
        Column("ties", numeric=True), Column("inconsistent", numeric=True), Column("unjudged", numeric=True),
    )  # fmt: skip
    kinds = (Preferred.ONE, Preferred.OTHER, Preferred.TIE, Preferred.INCONSISTENT, Preferred.UNJUDGED)
    rows: list[tuple[Value, ...]] = []
    for bench in benches:
        told = pairs(bench)
        rows.append(
            (
                *(names[one] for one in bench.candidates), names[bench.judge], bench.benchmark, *_ends(told.won),
                told.p, bench.questions, len(bench.points), *(told.counts[kind] for kind in kinds),
            )
        )  # fmt: skip
    caption = (
        "Who is preferred: the share of questions won by the first, half of what is no win, with its 95 % interval "
        "over questions; p of no difference by turned signs."
    )
    return Table("judges_pairs", caption, columns, rows)


def bias_table(benches: Sequence[Bench], names: Names) -> Table:
    """A row a judge and pair: what its verdicts go by."""
    columns = [Column("judge"), Column("contestant"), Column("against")]
    for heading in ("consistent", "for the first shown", "for the longer", "for the reference's number"):
        named = (heading, f"low {heading}", f"high {heading}")
        columns += [Column(each, PERCENT, numeric=True) for each in named]
    columns += [Column("verdicts with one such number", numeric=True), Column("asked again", numeric=True)]
    rows: list[tuple[Value, ...]] = []
    for bench in benches:
        told = pairs(bench)
        rows.append(
            (
                names[bench.judge], *(names[one] for one in bench.candidates), *_ends(told.consistent),
                *_ends(told.first_place), *_ends(told.longer), *_ends(told.with_number), told.with_number_of,
                bench.asked_again,
            )
        )  # fmt: skip
    caption = (
        "What verdicts go by. Consistent: turns with the same verdict in both orders. The others are shares of single "
        "verdicts that are no ties: 50 % for the first shown is no bias; the longer answer may be the better one, too; "
        "the last is of verdicts where one answer alone has the reference's number."
    )
    return Table("judges_bias", caption, tuple(columns), rows)


def agreement_table(agreed: Sequence[Agreement], names: Names) -> Table:
    """A row two judges and what they both judged."""
    columns = (
        Column("judge"), Column("other judge"), Column("benchmark"), Column("of"),
        Column("contestants or pairs", numeric=True), Column("turns", numeric=True),
        Column("same verdict", PERCENT, numeric=True), Column("kappa", number(2), numeric=True),
        Column("low", number(2), numeric=True), Column("high", number(2), numeric=True),
        Column("mean difference", number(2), numeric=True),
    )  # fmt: skip
    rows = [
        (
            names[one.one], names[one.other], one.benchmark, "pairs" if one.in_pairs else "ratings",
            len(one.candidates), one.turns, one.same,
            one.kappa.estimate, one.kappa.low, one.kappa.high, one.difference,
        )
        for one in agreed
    ]  # fmt: skip
    caption = (
        "How far two judges agree on the same replies, of all contestants together: Cohen's kappa, of ratings weighted "
        "by the square of their difference; 0 is what their habits alone would give, 1 is full agreement; none of a "
        "judge that always says one thing. Difference: the other's rating minus the first's."
    )
    return Table("judges_agreement", caption, columns, rows)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def _number(group: tuple[float, int] | None) -> tuple[float | None, int]:
    return (None, 0) if group is None else group
