"""What was tried with one Run, attempt by attempt: for people in lines, for programs as JSON."""

from __future__ import annotations

from typing import Any

from proctor.nouns.runs import Attempt
from proctor.printing import printable
from proctor.store.reads.records import RunRecord


def told(run: RunRecord, label: str) -> str:
    """The Run in a line, its lane by that label, then each attempt with its reason and its traceback."""
    head = (
        f"Run {run.run_id} of sweep {run.sweep_id} ({run.sweep_name}): {label}, {run.spec.subject}: "
        f"{run.status}, {run.answered} of {run.spec.questions} answered, {run.failures} failures."
    )
    if run.parts:
        each = [line for number, part in enumerate(run.parts, start=1) for line in _of_part(part, number, run)]
        return "\n".join([head, *each])
    if not run.attempts:
        return f"{head}\nNo worker has tried it yet."
    return "\n".join([head, *(line for attempt in run.attempts for line in _lines(attempt))])


def as_json(run: RunRecord, label: str) -> dict[str, Any]:
    """The Run; of a large one also each part, with the attempts at it."""
    parts = {"parts": [as_json(part, label) for part in run.parts]} if run.parts else {}
    return {
        "run_id": run.run_id,
        "sweep": run.sweep_id,
        "lane": str(run.spec.lane),
        "label": label,
        "benchmark": run.spec.benchmark,
        "subject": run.spec.subject,
        "status": run.status.value,
        "failures": run.failures,
        "answered": run.answered,
        "questions": run.spec.questions,
        "reason": run.reason or None,
        "attempts": [
            {
                "number": attempt.number,
                "worker": attempt.worker,
                "started_at": attempt.started_at.isoformat(),
                "ended_at": None if attempt.ended_at is None else attempt.ended_at.isoformat(),
                "outcome": attempt.outcome,
                "reason": attempt.reason or None,
                "traceback": attempt.traceback or None,
            }
            for attempt in run.attempts
        ],
        **parts,
    }


def _of_part(part: RunRecord, number: int, whole: RunRecord) -> list[str]:
    head = (
        f"Part {number} of {len(whole.parts)} (Run {part.run_id}): {part.status}, "
        f"{part.answered} of {part.spec.questions} answered, {part.failures} failures."
    )
    if not part.attempts:
        return [head, "  No worker has tried it yet."]
    return [head, *(line for attempt in part.attempts for line in _lines(attempt))]


def _lines(attempt: Attempt) -> list[str]:
    ended = attempt.ended_at
    lasted = "" if ended is None else f" after {(ended - attempt.started_at).total_seconds():.1f} s"
    reason = f": {printable(attempt.reason)}" if attempt.reason else ""
    head = (
        f"  {attempt.number}. {attempt.started_at.astimezone():%Y-%m-%d %H:%M:%S} {printable(attempt.worker)}: "
        f"{attempt.outcome}{lasted}{reason}"
    )
    return [head, *(f"     {printable(line)}" for line in attempt.traceback.splitlines())]
