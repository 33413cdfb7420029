"""What `proctor verify` says of exams in a form: in sentences, as tables, and as JSON."""

from __future__ import annotations

from math import isfinite
from typing import Any

from analysis.data.phrases import counted
from analysis.data.tables import PERCENT, Column, Table, Value
from analysis.exchange.verify_forms import FormsVerified, Met, by_task
from analysis.report.verification import nats
from proctor.printing import visible

SHORT = 40  # characters of a reply from where two part


def summary(found: FormsVerified) -> list[str]:
    """The verdict, then what stands beside it, a line each."""
    verdict = "The same" if found.passed else "They differ"
    scored = [one for one in found.met if not one.theirs.replies]
    lines = [f"{verdict} ({found.contestant}, sweep {found.sweep}): {counted(len(found.met), 'prompt')} in both."]
    if scored:
        apart = max(one.difference for one in scored)
        other = sum(not one.same_pick for one in scored)
        lines.append(
            f"Log-probabilities of {counted(len(scored), 'question')}: largest difference {nats(apart)} nats, "
            f"within {found.tolerance:g} wanted; {counted(other, 'pick')} other."
        )
    if (share := found.equal_share) is not None:
        judged = sum(bool(one.judged_apart) for one in found.written)
        lines.append(
            f"Written replies: {100 * share:.1f} % of {len(found.written):,} equal to the letter, "
            f"{100 * found.least_equal:g} % wanted; {judged:,} of the equal ones judged otherwise."
        )
    if found.missing:
        lines.append(f"{counted(len(found.missing), 'question')} put in another prompt here.")
    if found.unasked:
        lines.append(f"{counted(found.unasked, 'sample')} that our Runs weren't to ask: not compared.")
    return [visible(line) for line in lines]


def tasks_table(found: FormsVerified) -> Table:
    """A row a task."""
    columns = (
        Column("task"), Column("in both", numeric=True), Column("in another prompt", numeric=True),
        Column("largest difference", nats, numeric=True), Column("other picks", numeric=True),
        Column("equal replies", PERCENT, numeric=True), Column("judged otherwise", numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for task, met, missing in by_task(found):
        written = [one for one in met if one.theirs.replies]
        equal = sum(one.same_reply for one in written) / len(written) if written else None
        largest = max((one.difference for one in met), default=0.0) if len(written) < len(met) else None
        rows.append(
            (
                task, len(met), missing, largest, sum(not one.same_pick for one in met), equal,
                sum(bool(one.judged_apart) for one in met),
            )
        )  # fmt: skip
    return Table("verified", "What is the same, by task; differences of log-probabilities in nats.", columns, rows)


def differing_table(found: FormsVerified) -> Table:
    """A row a question that is not the same, then those in another prompt."""
    columns = (
        Column("question"), Column("difference", nats, numeric=True), Column("alike for", numeric=True),
        Column("ours"), Column("theirs"), Column("judged otherwise"),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (
            f"{one.theirs.task}:{one.theirs.doc_id}", None if one.theirs.replies else one.difference,
            one.letters_alike if one.theirs.replies else None, _from_there(one, one.replies),
            _from_there(one, one.theirs.replies), ", ".join(one.judged_apart),
        )
        for one in found.differing
    ]  # fmt: skip
    rows += [
        (f"{line.task}:{line.doc_id}", None, None, "another prompt", line.prompt_hash[:12], "")
        for line in found.missing
    ]
    return Table("differing", "What differs; of replies, from the letter on at which they part.", columns, rows)


def as_object(found: FormsVerified) -> dict[str, Any]:
    """Everything, as JSON takes it; an infinite difference is null."""
    return {
        "passed": found.passed,
        "sweep": found.sweep,
        "contestant": found.contestant,
        "tolerance": found.tolerance,
        "prompts_in_both": len(found.met),
        "in_another_prompt": len(found.missing),
        "not_to_be_asked": found.unasked,
        "equal_replies": found.equal_share,
        "tasks": [
            {
                "task": task,
                "prompts_in_both": len(met),
                "in_another_prompt": missing,
                "largest_difference": _finite(max((one.difference for one in met), default=0.0)),
                "other_picks": sum(not one.same_pick for one in met),
                "written": sum(bool(one.theirs.replies) for one in met),
                "equal": sum(bool(one.theirs.replies) and one.same_reply for one in met),
                "judged_otherwise": sum(bool(one.judged_apart) for one in met),
            }
            for task, met, missing in by_task(found)
        ],
        "differing": [
            {
                "task": one.theirs.task,
                "doc_id": one.theirs.doc_id,
                "question_id": one.ours.question_id,
                "difference": _finite(one.difference),
                "ours": list(one.replies),
                "theirs": list(one.theirs.replies),
                "judged_otherwise": list(one.judged_apart),
            }
            for one in found.differing
        ],
    }


def _from_there(one: Met, replies: tuple[str, ...]) -> str:
    if not replies:
        return ""
    return " ".join(replies[0][one.letters_alike :].split())[:SHORT] or "(ends)"


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
