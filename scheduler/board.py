"""A sweep's progress as a person sees it: a row a lane, a column a subject, filling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proctor.contestants import cut, lane_labels
from proctor.logs import printable
from proctor.nouns import Lane, RunStatus
from proctor.store.reads import RunProgress, SweepProgress
from scheduler.aside import aside
from scheduler.pace import Speed, duration

FILLING = "·▁▂▃▄▅▆▇█"
STYLES = {
    RunStatus.PENDING: "dim",
    RunStatus.RUNNING: "cyan",
    RunStatus.DONE: "green",
    RunStatus.FAILED: "bold red",
    RunStatus.CANCELLED: "dim strike",
}
WIDE_CELL = 7  # columns of a cell that has room for a number
NAME = 30  # letters of a label in a grid
BESIDE_GRID = 48  # columns for the lane's name, counts and accuracy


def board(
    progress: SweepProgress, speed: Speed, width: int, height: int, names: Mapping[Lane, str] | None = None
) -> RenderableType:
    """The grid, what belongs beside its accuracies, and the totals, for a terminal of this size.

    Lanes that don't fit are counted. `names` are their labels where others are shown beside them.
    """
    subjects = list(dict.fromkeys(run.subject for run in progress.runs))
    lanes = lanes_of(progress.runs, names or grid_names(run.lane for run in progress.runs))
    wide = width - BESIDE_GRID >= WIDE_CELL * len(subjects)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column(progress.name, no_wrap=True, overflow="ellipsis")
    for subject in subjects if wide else ["subjects"]:
        table.add_column(subject[: WIDE_CELL - 1] if wide else subject, no_wrap=not wide)
    table.add_column("answered", justify="right")
    table.add_column("right", justify="right")
    said = {name: words for name, runs in lanes if (words := aside(runs))}
    shown = most_alive(lanes, max(1, (height - 6) // (2 if said else 1)))
    for name, runs in shown:
        by_subject = {run.subject: run for run in runs}
        cells = [cell(by_subject[subject], wide=wide) for subject in subjects]
        answered, correct = sum(run.answered for run in runs), sum(run.correct for run in runs)
        table.add_row(
            Text(name),
            *(cells if wide else [Text().join(cells)]),
            f"{answered}/{sum(run.questions for run in runs)}",
            percent(correct, answered),
        )
    hidden = len(lanes) - len(shown)
    more = [Text(f"… and {hidden} more", style="dim")] if hidden else []
    beside = [Text(f"{name}: {said[name]}", style="dim") for name, _ in shown if name in said]
    labels = names or names_of(progress)
    now = [Text(line, style="cyan") for line in loads(speed, labels)]
    return Group(table, *more, *beside, *now, Text(totals(progress, speed), style="bold"))


def names_of(progress: SweepProgress) -> dict[Lane, str]:
    """The label of each lane of a sweep, in whole."""
    return lane_labels(run.lane for run in progress.runs)


def grid_names(lanes: Iterable[Lane]) -> dict[Lane, str]:
    """The same, cut where that tells them apart too."""
    names = lane_labels(lanes)
    return dict(zip(names, cut(list(names.values()), NAME), strict=True))


def lanes_of(runs: Sequence[RunProgress], names: Mapping[Lane, str]) -> list[tuple[str, list[RunProgress]]]:
    """Runs by lane, in the order in which they were submitted, each with its label."""
    grouped: dict[Lane, list[RunProgress]] = {}
    for run in runs:
        grouped.setdefault(run.lane, []).append(run)
    return [(names[lane], theirs) for lane, theirs in grouped.items()]


def most_alive(lanes: Sequence[tuple[str, list[RunProgress]]], room: int) -> list[tuple[str, list[RunProgress]]]:
    """The lanes to show where there is no room for all: those at work first, in their usual order."""

    def dullness(lane: tuple[str, list[RunProgress]]) -> int:
        statuses = {run.status for run in lane[1]}
        return 0 if RunStatus.RUNNING in statuses else 1 if statuses != {RunStatus.DONE} else 2

    chosen = sorted(range(len(lanes)), key=lambda i: (dullness(lanes[i]), i))[:room]
    return [lanes[i] for i in sorted(chosen)]


def cell(run: RunProgress, *, wide: bool) -> Text:
    style = STYLES[run.status]
    if run.status is RunStatus.FAILED:
        return Text("failed" if wide else "✗", style=style)
    if not wide:
        return Text(FILLING[run.answered * (len(FILLING) - 1) // max(1, run.questions)], style=style)
    if run.answered == run.questions:
        return Text(percent(run.correct, run.answered), style=style)
    return Text(f"{run.answered}/{run.questions}" if run.answered else "·", style=style)


def totals(progress: SweepProgress, speed: Speed) -> str:
    """One line: what is answered, how many are right, how fast, how long still, what failed."""
    runs = progress.runs
    answered, questions = sum(run.answered for run in runs), sum(run.questions for run in runs)
    waiting = sum(run.questions - run.answered for run in runs if run.status in (RunStatus.PENDING, RunStatus.RUNNING))
    done = sum(run.status is RunStatus.DONE for run in runs)
    failed = sum(run.status is RunStatus.FAILED for run in runs)
    parts = [
        f"{done}/{len(runs)} Runs, {answered}/{questions} questions",
        f"{percent(sum(run.correct for run in runs), answered)} right so far",
        f"{speed.per_second:.1f} questions/s" if speed.per_second else "",
        speed.left(waiting),
        "no worker is up" if waiting and not speed.staffed else "",
        f"{failed} failed" if failed else "",
        f"paused: proctor resume {progress.sweep_id}" if progress.paused_at else "",
    ]
    return " · ".join(part for part in parts if part)


def loads(speed: Speed, names: Mapping[Lane, str]) -> list[str]:
    """A line for each model that is being loaded, and for how long already."""
    return [
        f"Loading {printable(names[each.lane])} on {each.lane.device}: {duration(each.for_s)} so far"
        for each in speed.loading
    ]


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "–"
