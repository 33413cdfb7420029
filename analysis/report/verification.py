"""What `proctor verify` says: in a sentence, as tables, and as JSON."""

from __future__ import annotations

from math import isfinite
from typing import Any

from analysis.data.phrases import counted
from analysis.data.tables import Column, Table, Value, is_known
from analysis.exchange.verify import Pair, Verification, by_subject, largest, mean
from proctor.nouns.exams import LETTERS
from proctor.printing import visible


def summary(found: Verification) -> list[str]:
    """The verdict, then what stands beside it, a line each."""
    verdict = "All within" if found.passed else "They differ: not all within"
    pairs, apart = f"{counted(len(found.pairs), 'prompt')} in both", f"largest {nats(found.largest)}"
    picks = f"{counted(found.other_picks, 'pick')} of {len(found.pairs):,} other"
    lines = [
        f"{verdict} {found.tolerance:g} nats and picked alike ({found.contestant}, sweep {found.sweep}).",
        f"{pairs}: differences of log-probabilities {apart}, mean {nats(found.mean)}; {picks}.",
    ]
    if found.missing:
        lines.append(
            f"{counted(len(found.missing), 'sample')} without a prompt of ours; "
            f"{len(found.reworded):,} of these questions were asked here in another prompt."
        )
    if found.unasked:
        why = "another subject or scoring, or beyond --limit"
        lines.append(f"{counted(found.unasked, 'sample')} that our Runs weren't to ask ({why}): not compared.")
    if found.extra:
        lines.append(f"{counted(found.extra, 'prompt')} of ours not among the samples.")
    return [visible(line) for line in lines]


def subjects_table(found: Verification) -> Table:
    """A row a subject: what was compared and how far it lies apart."""
    columns = (
        Column("subject"), Column("in both", numeric=True), Column("missing", numeric=True),
        Column("largest difference", nats, numeric=True), Column("mean difference", nats, numeric=True),
        Column("other picks", numeric=True),
    )  # fmt: skip
    rows = [
        (subject, len(pairs), missing, largest(pairs), mean(pairs), sum(not pair.same_pick for pair in pairs))
        for subject, (pairs, missing) in by_subject(found).items()
    ]
    return Table("verified", "Differences of log-probabilities, nats.", columns, rows)


def differing_table(found: Verification) -> Table:
    """A row a prompt that is no match, the furthest apart first, then what is missing."""
    columns = (
        Column("question"), Column("subject"), Column("difference", nats, numeric=True), Column("key"),
        Column("ours"), Column("theirs"), Column("prompt"), Column("text"),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (
            pair.ours.question_id, pair.ours.subject, pair.largest, _letter(pair.ours.answer),
            _letter(pair.ours.picked), _letter(pair.theirs.picked), pair.ours.prompt_hash[:12],
            _cut(pair.ours.question),
        )
        for pair in found.differing
    ]  # fmt: skip
    rows += [
        (
            row.question_id, row.subject, None, _letter(row.answer),
            "another prompt" if row.question_id in found.reworded else "not asked",
            _letter(row.picked), row.prompt_hash[:12], _cut(row.question),
        )
        for row in found.missing
    ]  # fmt: skip
    return Table("differing", "What differs.", columns, rows)


def as_object(found: Verification) -> dict[str, Any]:
    """Everything, as JSON takes it; an infinite difference is null."""
    return {
        "passed": found.passed,
        "sweep": found.sweep,
        "contestant": found.contestant,
        "tolerance": found.tolerance,
        "prompts_in_both": len(found.pairs),
        "missing": len(found.missing),
        "asked_in_another_prompt": len(found.reworded),
        "not_to_be_asked": found.unasked,
        "extra": found.extra,
        "largest_difference": _finite(found.largest),
        "mean_difference": _finite(found.mean),
        "other_picks": found.other_picks,
        "differing": [_pair(pair) for pair in found.differing],
        "missing_prompts": [
            {"subject": row.subject, "question_id": row.question_id, "prompt_hash": row.prompt_hash}
            for row in found.missing
        ],
    }


def nats(value: Value) -> str:
    """`3.2e-06`; a dash for what isn't known."""
    return f"{value:.1e}" if is_known(value) else "–"


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "subject": pair.ours.subject,
        "question_id": pair.ours.question_id,
        "prompt_hash": pair.ours.prompt_hash,
        "difference": _finite(pair.largest),
        "ours": [_finite(value) for value in pair.ours.options_logprob],
        "theirs": [_finite(value) for value in pair.theirs.options_logprob or ()],
        "picked": pair.ours.picked,
        "their_pick": pair.theirs.picked,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _letter(option: int | None) -> str:
    return "–" if option is None else LETTERS[option]


def _cut(text: str, longest: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
