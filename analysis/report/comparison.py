"""A comparison of two contestants as lines, tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.data.tables import POINTS, Column, Table, p_value
from analysis.report.set_figures import compared_lines, compared_object
from analysis.stats.points import PairedPoints
from analysis.verdicts.compare import Comparison
from analysis.verdicts.replies import fared_sentences
from analysis.verdicts.unanswered import not_run_sentences, silence_of
from analysis.verdicts.wording import margin_words, points, unit_words, verdict_sentence, with_span
from proctor.nouns.exams import LETTERS
from proctor.printing import visible


def summary(found: Comparison) -> list[str]:
    """The verdict and the figures that it rests on, a line each."""
    verdict, pair = found.verdict, found.verdict.pair
    first, second = found.panel.accuracies
    detectable = "never" if verdict.detectable is None else f"{100 * verdict.detectable:.1f} points"
    exact = "" if isinstance(pair, PairedPoints) else ", exact"
    bound = points(verdict.loss_bound, 2).lstrip("+")
    lines = [
        *not_run_sentences(found.panel),
        verdict_sentence(found.first, found.second, verdict),
        "",
        f"{pair.asked:,} questions that both were asked ({found.terms})",
        f"{found.first}: {with_span(first)} {unit_words(found.panel)}; {found.second}: {with_span(second)}",
        *found.notes,
        *_per_character(found),
        *_perplexities(found),
        *compared_lines(found.panel, found.first, found.second),
        *_ties(found),
        _counts(found),
        f"p = {p_value(verdict.p)} ({pair.test})",
        f"loss at most {bound} points (one-sided 95 %{exact}); margin {margin_words(verdict.margin)}",
        f"smallest detectable difference: {detectable}",
    ]
    if verdict.disputed:
        side = "holds 0, p calls it a difference" if verdict.differs else "leaves 0 out, p calls it none"
        lines.append(f"at the edge: the interval {side}; they are reckoned in two ways, and the verdict is p's")
    if verdict.few_discordant:
        lines.append("fewer than 5 discordant questions: no test can tell the two apart on these")
    return [visible(line) for line in lines]


def _counts(found: Comparison) -> str:
    pair = found.verdict.pair
    if isinstance(pair, PairedPoints):
        even = pair.both_right + pair.both_wrong
        return f"as many points on {even:,}, fewer on {pair.lost:,}, more on {pair.gained:,}"
    return f"both right {pair.both_right:,}, lost {pair.lost:,}, gained {pair.gained:,}, both wrong {pair.both_wrong:,}"


def _per_character(found: Comparison) -> list[str]:
    """How many each has right by log-probability per character; nothing where options were scored by their letters."""
    norm = found.panel.accuracies_norm
    if norm is None:
        return []
    first, second = map(with_span, norm)
    return [f"right per character: {found.first} {first}, {found.second} {second}"]


def _perplexities(found: Comparison) -> list[str]:
    """Both perplexities, and the second's over the first's; nothing where options were scored, or nothing was."""
    each, ratio = found.panel.perplexities, found.panel.perplexity_ratio(0, 1)
    if each is None or ratio is None:
        return []
    first, second, times = (f"{one.estimate:.2f} ({one.low:.2f} to {one.high:.2f})" for one in (*each, ratio))
    name, pair = found.panel.perplexity_name, f"{found.first} {first}, {found.second} {second}"
    return [f"{name}: {pair}; {found.second}'s is {times} times as large"]


def _ties(found: Comparison) -> list[str]:
    """Questions without a single answer, which count as not right; nothing where there is none."""
    first, second = (int(ties) for ties in found.panel.unanswered)
    lines = (
        fared_sentences(found.panel)
        if found.panel.replies
        else [f"no single answer: {found.first} on {first:,}, {found.second} on {second:,}"]
        if first or second
        else []
    )
    silence = silence_of(found.panel, 0, 1)
    if silence.carries(found.verdict):
        lines.append(
            f"the verdict rests on {counted(silence.questions, 'question')} that one of them left without a single "
            "answer: without these it would be another"
        )
    return lines


def comparison_tables(found: Comparison) -> list[Table]:
    """Subjects as leads, then the questions lost and gained; none that is empty."""
    columns = (
        Column("subject"), Column("questions", numeric=True), Column("change, points", POINTS, numeric=True),
        Column("lost", numeric=True), Column("gained", numeric=True), Column("p (leads)", p_value, numeric=True),
    )  # fmt: skip
    rows = [
        (one.subject, one.pair.asked, one.pair.change, one.pair.lost, one.pair.gained, one.p) for one in found.leads
    ]
    caption = "By subject: leads only (Benjamini-Hochberg), never a verdict."
    tables = [
        Table("subjects", caption, columns, rows),
        _questions_table(found, "lost", found.lost),
        _questions_table(found, "gained", found.gained),
    ]
    return [table for table in tables if table.rows]


def as_object(found: Comparison) -> dict[str, Any]:
    """Everything, as JSON takes it; differences are fractions."""
    verdict, pair = found.verdict, found.verdict.pair
    questions, norm = found.panel.questions, found.panel.accuracies_norm
    ids = questions["subject"].str.cat(questions["question_id"], sep=":").tolist()
    return {
        "first": found.first,
        "second": found.second,
        "verdict": verdict.finding.value,
        "sentence": verdict_sentence(found.first, found.second, verdict),
        "questions": pair.asked,
        "both_right": pair.both_right,
        "lost": pair.lost,
        "gained": pair.gained,
        "both_wrong": pair.both_wrong,
        "terms": found.terms,
        "prompts": {"equal": found.prompts.equals, "other": found.prompts.others, "unknown": found.prompts.unknown},
        "notes": list(found.notes),
        "no_single_answer": found.panel.unanswered.tolist(),
        "rests_on_no_single_answer": silence_of(found.panel, 0, 1).carries(verdict),
        "accuracies_norm": None if norm is None else [each.estimate for each in norm],
        "change": verdict.change.estimate,
        "change_low": verdict.change.low,
        "change_high": verdict.change.high,
        "p": verdict.p,
        "within_p": verdict.within_p,
        "loss_bound": verdict.loss_bound,
        "margin": verdict.margin,
        "smallest_detectable": verdict.detectable,
        "questions_needed": verdict.questions_needed,
        "lost_questions": [ids[place] for place in found.lost],
        "gained_questions": [ids[place] for place in found.gained],
        **_perplexities_object(found),
        **compared_object(found.panel),
        **({"accuracies": [each.estimate for each in found.panel.accuracies]} if found.panel.graded else {}),
        "subjects": [
            {"subject": lead.subject, "lost": lead.pair.lost, "gained": lead.pair.gained, "p": lead.p}
            for lead in found.leads
        ],
    }


def _perplexities_object(found: Comparison) -> dict[str, Any]:
    each, ratio = found.panel.perplexities, found.panel.perplexity_ratio(0, 1)
    if each is None or ratio is None:
        return {}
    known = ([one.estimate, one.low, one.high] for one in (*each, ratio))
    first, second, times = ([value if isfinite(value) else None for value in one] for one in known)
    return {"perplexities": [first, second], "perplexity_ratio": times}


def _questions_table(found: Comparison, name: str, places: Sequence[int]) -> Table:
    panel = found.panel
    key = "key" if panel.has_options else "reference"
    columns = (
        Column("question"), Column("subject"), Column(key), Column(found.first), Column(found.second), Column("text")
    )  # fmt: skip
    asked = panel.questions.iloc[list(places)]
    cells = (asked[name].tolist() for name in ("question_id", "subject", "question"))
    rows = [
        (question, subject, right, mine, theirs, _short(text))
        for question, subject, text, right, mine, theirs in zip(
            *cells, _keys(panel, places), *(_given(panel, who, places) for who in (0, 1)), strict=True
        )
    ]
    who = found.first if name == "lost" else found.second
    which = f"on which {who} has more points" if panel.graded else f"that only {who} has right"
    return Table(name, f"{name.capitalize()}: questions {which}.", columns, rows)


def _keys(panel: Panel, places: Sequence[int]) -> list[str]:
    """The right options' letters; without options the reference."""
    if panel.has_options:
        return ["/".join(LETTERS[one] for one in np.flatnonzero(panel.right_options[place])) for place in places]
    if "reference" not in panel.questions:
        return ["–"] * len(places)
    return [_short(str(one)) for one in panel.questions["reference"].iloc[list(places)]]


def _given(panel: Panel, who: int, places: Sequence[int]) -> list[str]:
    """The letter picked; without options, or for parts of points, the points."""
    if panel.has_options and not panel.graded:
        return [_letter(int(panel.picked[who, place])) for place in places]
    return ["–" if panel.silent[who, place] else f"{panel.marks[who, place]:.2f}" for place in places]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:89]}…"


def _letter(picked: int) -> str:
    return "–" if picked < 0 else LETTERS[picked]
