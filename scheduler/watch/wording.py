"""What is said of plans, sweeps and their ends: to people in sentences, to programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from proctor.contestants import lane_labels
from proctor.nouns.exams import LETTERS, Scoring
from proctor.nouns.runs import RunStatus
from proctor.printing import printable
from proctor.statistical_power import wilson_bounds
from proctor.store.reads.records import RunProgress, SweepProgress
from proctor.store.reads.shown_answers import ShownAnswer
from proctor.store.runs.sweeps import Submission
from scheduler.plan import Plan, PlannedLane
from scheduler.watch.accuracy import amount
from scheduler.watch.aside import aside, judges, of_pages, several_benchmarks, share_right
from scheduler.watch.sweep_grid import label_of, lanes_of, names_of


def counted(number: int, noun: str) -> str:
    """`1 Run`, `12 Runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def submitted(submission: Submission, plan: Plan) -> str:
    """What became of the request: a new sweep, or one that goes on."""
    sweep = f"Sweep {submission.sweep_id} ({submission.name})"
    if not submission.continued:
        return (
            f"{sweep}: {counted(submission.total, 'Run')}, {counted(plan.questions, 'question')}, "
            f"{counted(len(plan.lanes), 'load')} of a model."
        )
    if submission.to_do == 0:
        return f"{sweep} was submitted before and all its {submission.total} Runs are done; --fresh runs it anew."
    again = f", {submission.retried} of them failed before and are tried again" if submission.retried else ""
    paused = " It was paused." if submission.resumed else ""
    done = f"{submission.done} of {submission.total} Runs are done"
    return f"{sweep} goes on: {done}, {submission.to_do} to do{again}.{paused}"


def plan(what: Plan, notes: Sequence[str]) -> str:
    """The plan as lines of text."""
    names = lane_labels(lane.lane for lane in what.lanes)
    width = max(map(len, names.values()))
    head = (
        f"{counted(len(what.runs), 'Run')} on {what.lanes[0].lane.device}: {counted(what.questions, 'question')}, "
        f"{counted(len(what.lanes), 'load')} of a model."
    )
    loads = [
        f"  {printable(names[lane.lane]):{width}}  {_runs(lane)}, {counted(lane.questions, 'question')}, "
        f"about {lane.memory_bytes / 1e9:.2f} GB"
        for lane in what.lanes
    ]
    lines = [head, *loads, power(what), *(f"Note: {note}" for note in notes), "Nothing was started (--plan)."]
    return "\n".join(lines)


def _runs(lane: PlannedLane) -> str:
    """`2 Runs`, or `2 Runs in 7 parts` where some are so large that several workers share them."""
    runs = counted(lane.runs, "Run")
    return f"{runs} in {lane.parts} parts" if lane.parts > lane.runs else runs


def power(what: Plan) -> str:
    """What the sweep could show, for people who have not yet spent a night on it."""
    between, changed = (
        "none" if difference is None else f"about {100 * difference:.1f} points"
        for difference in (what.smallest_difference_models, what.smallest_difference_quants)
    )
    each = f"Each model answers {counted(what.questions_each, 'question')} at each quantization"
    if what.smallest_difference_models is None and what.smallest_difference_quants is None:
        return f"{each}: too few to show any difference, between two models or between one and its quantization."
    return (
        f"{each}. The smallest difference that this "
        f"could show (4 times in 5): {between} between two models, {changed} between a model and its quantization."
    )


def _in_points(difference: float | None) -> float | None:
    return None if difference is None else round(100 * difference, 2)


def plan_as_json(what: Plan) -> dict[str, Any]:
    names = lane_labels(lane.lane for lane in what.lanes)
    return {
        "runs": len(what.runs),
        "questions": what.questions,
        "questions_each": what.questions_each,
        "loads": [
            {
                "lane": str(lane.lane),
                "label": names[lane.lane],
                "runs": lane.runs,
                "parts": lane.parts,
                "questions": lane.questions,
                "predicted_memory_bytes": lane.memory_bytes,
            }
            for lane in what.lanes
        ],
        "smallest_difference_points": {
            "between_models": _in_points(what.smallest_difference_models),
            "of_a_quantization": _in_points(what.smallest_difference_quants),
        },
    }


def answer(shown: ShownAnswer, label: str) -> str:
    """A question, its options or reference, what the contestant of this label answered, and whether it is right."""
    head = f"[{printable(label)}] {shown.subject}:{shown.question_index}: {verdict(shown)}"
    return "\n".join([head, f"  {printable(shown.question)}", *(_options(shown) if shown.choices else _text(shown))])


def verdict(shown: ShownAnswer) -> str:
    """Right or wrong, points in between, or why there is no answer."""
    if shown.partial is not None:
        return f"{shown.partial:.2f} points"
    if shown.correct:
        return "right"
    if shown.answered:
        return "wrong"
    return "no single best option (a tie)" if shown.choices else "no answer found in its text"


def _options(shown: ShownAnswer) -> list[str]:
    marks = {shown.key: " (key)", shown.picked: " ← picked"}
    if shown.key == shown.picked:
        marks = {shown.key: " ← picked, right"}
    return [f"  {LETTERS[i]}. {printable(choice)}{marks.get(i, '')}" for i, choice in enumerate(shown.choices)]


def _text(shown: ShownAnswer) -> list[str]:
    lines = [f"  reference: {printable(shown.reference)}"] if shown.reference else []
    return lines if shown.extracted is None else [*lines, f"  answered: {printable(shown.extracted)}"]


def failed(progress: SweepProgress) -> list[RunProgress]:
    return [run for run in progress.runs if run.status is RunStatus.FAILED]


def outcome(progress: SweepProgress) -> str:
    """A line a lane and benchmark: accuracy with its 95 % interval, below it what belongs beside; then failed Runs."""
    names = names_of(progress)
    lanes = [
        (label, [run for run in runs if run.benchmark == benchmark])
        for label, runs in lanes_of(progress.runs, names)
        for benchmark in dict.fromkeys(run.benchmark for run in runs)
    ]
    named = several_benchmarks(progress.runs)
    rows = [
        (
            printable(f"{label}, {runs[0].benchmark}" if named else label),
            share_right(runs),
            _counted(runs),
            f"{sum(run.status is RunStatus.DONE for run in runs)}/{len(runs)} Runs done",
            aside(runs),
        )
        for label, runs in lanes
    ]
    width = max(len(label) for label, *_ in rows)
    lines = []
    for label, right, counts, done, more in rows:
        lines += [f"{label:{width}}  {right:>20}  {counts:>13}  {done}", *([f"  ({more})"] if more else ())]
    lines += [failure(run, label_of((run.lane, *run.judged), names)) for run in failed(progress)]
    return "\n".join(lines)


def _counted(runs: Sequence[RunProgress]) -> str:
    """`7 of 30`: points of what was answered; of pages how many."""
    answered = sum(run.answered for run in runs)
    if of_pages(runs):
        return f"{answered} pages"
    if any(run.scoring is Scoring.OPEN for run in runs):
        return f"{answered} answers"
    if judges(runs):
        return f"{sum(run.told for run in runs)} of {answered} judged"
    return f"{amount(sum(run.points for run in runs))} of {answered}"


def cancelled(progress: SweepProgress) -> str:
    """How many Runs were cancelled, and what sets them waiting again; empty where none was."""
    count = progress.count(RunStatus.CANCELLED)
    if not count:
        return ""
    return (
        f"Cancelled: {counted(count, 'Run')} of {len(progress.runs)} did not end; what was answered stays. "
        f"`proctor retry {progress.sweep_id}` undoes it."
    )


def failure(run: RunProgress, label: str) -> str:
    return f"failed: {printable(label)}, {run.subject}: {printable(run.reason)}"


def as_json(progress: SweepProgress) -> dict[str, Any]:
    """The sweep as scripts want it; `status --json` and `submit --json` give the same."""
    names = names_of(progress)
    return {
        "sweep": progress.sweep_id,
        "name": progress.name,
        "created_at": progress.created_at.isoformat(),
        "priority": progress.priority,
        "paused": progress.paused_at is not None,
        "over": progress.over,
        "counts": {status.value: progress.count(status) for status in RunStatus},
        "runs": [
            {
                "run_id": run.run_id,
                "lane": str(run.lane),
                "label": names[run.lane],
                "benchmark": run.benchmark,
                "subject": run.subject,
                "status": run.status.value,
                "attempt": run.attempt,
                "worker": run.worker,
                "questions": run.questions,
                "answered": run.answered,
                "correct": run.correct,
                "tied": run.tied,
                "accuracy": run.points / run.answered if run.answered else None,
                "accuracy_interval": _interval(run.points, run.answered),
                "scoring": run.scoring.value,
                "accuracy_norm": run.correct_norm / run.answered if run.answered and run.per_character else None,
                "accuracy_norm_interval": _interval(run.correct_norm, run.answered if run.per_character else 0),
                **({"programs_not_run": run.not_run} if run.programs else {}),
                **({"being_written": list(run.being_written)} if run.being_written[1] else {}),
                "noise": None if run.noise is None else asdict(run.noise),
                "shots": None if run.shots is None else asdict(run.shots),
                "reason": run.reason or None,
                **({"points": run.points} if run.partial else {}),
                **({"judges": [str(lane) for lane in run.judged]} if run.judged else {}),
                **({"unjudged": run.unjudged} if run.scoring is Scoring.OPEN else {}),
                **({"parts": [_part_as_json(part) for part in run.parts]} if run.parts else {}),
                **({} if run.fared is None else {"written": {**asdict(run.fared), "finished": run.fared.finished}}),
            }
            for run in progress.runs
        ],
    }


def _part_as_json(part: RunProgress) -> dict[str, Any]:
    """A part of a large Run: what several workers sit at once."""
    return {
        "run_id": part.run_id,
        "status": part.status.value,
        "attempt": part.attempt,
        "worker": part.worker,
        "questions": part.questions,
        "answered": part.answered,
        "reason": part.reason or None,
    }


def _interval(right: float, asked: int) -> list[float] | None:
    """The ends of a 95 % interval as fractions; None where nothing was asked."""
    return list(wilson_bounds(right, asked)) if asked else None


def how_to_go_on(progress: SweepProgress, *, here: bool) -> str:
    """After Ctrl-C: what is safe, and what to type."""
    done = f"{progress.count(RunStatus.DONE)} of {len(progress.runs)} Runs are done and every answer so far is kept."
    if here:
        return f"Stopped. {done} The same command goes on from here."
    return (
        f"No longer watching; the workers go on. {done} "
        f"`proctor status {progress.sweep_id}` shows it, `proctor cancel {progress.sweep_id}` stops it."
    )
