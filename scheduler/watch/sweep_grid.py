"""A sweep's progress as a person sees it: a row a lane, a column a subject, filling.

Where there is no room for a column a subject, each lane has its subjects in rows below it; where there is no room for
those either, a subject is one character that fills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proctor.contestants import cut, lane_labels
from proctor.nouns.exams import Scoring
from proctor.nouns.models import Lane
from proctor.nouns.runs import RunStatus
from proctor.printing import printable
from proctor.store.reads.records import RunProgress, SweepProgress
from scheduler.watch.accuracy import NONE, in_a_cell
from scheduler.watch.aside import aside, being_written, judges, of_pages, several_benchmarks, share_right
from scheduler.watch.speed import Speed, duration

FILLING = "·▁▂▃▄▅▆▇█"
STYLES = {
    RunStatus.PENDING: "dim",
    RunStatus.RUNNING: "cyan",
    RunStatus.DONE: "green",
    RunStatus.FAILED: "bold red",
    RunStatus.CANCELLED: "dim strike",
}
CELL = len("100.0% 56–100")  # columns of a cell that has room for a number
TOTAL = len("100.0% (56.6 to 100.0)")
GAP = 2  # columns between two columns
NAME = 30  # letters of a label in a grid
PIPED = 10_000  # columns of a pipe or a file, which has no width: nothing is cut or stacked there
MOST_STACKED = 40  # rows
Labelled = tuple[str, list[RunProgress]]  # a lane's label and its Runs


class Layout(Enum):
    """How the grid shows subjects."""

    CELLS = auto()  # a column each
    ROWS = auto()  # a row each, below their lane
    MARKS = auto()  # a character each


def board(
    progress: SweepProgress, speed: Speed, width: int, height: int, names: Mapping[Lane, str] | None = None
) -> RenderableType:
    """The grid, what belongs beside its accuracies, and the totals, for a terminal of this size.

    Lanes that don't fit are counted. `names` are their labels where others are shown beside them.
    """
    called = subject_names(progress.runs)
    subjects = list(dict.fromkeys(called.values()))
    lanes = lanes_of(progress.runs, names or grid_names(lanes_in(progress)))
    said = {name: words for name, runs in lanes if (words := aside(runs))}
    layout = _layout(progress, lanes, subjects, width, min(height - 6 - len(said), MOST_STACKED))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    table.add_column(progress.name, no_wrap=True, overflow="ellipsis")
    for heading in {Layout.CELLS: subjects, Layout.ROWS: (), Layout.MARKS: ("subjects",)}[layout]:
        table.add_column(heading, no_wrap=layout is Layout.CELLS)
    table.add_column("answered", justify="right", no_wrap=True)
    table.add_column("right", no_wrap=True)
    shown = lanes if layout is Layout.ROWS else most_alive(lanes, max(1, (height - 6) // (2 if said else 1)))
    for name, runs in shown:
        for row in _rows(name, runs, subjects, layout):
            table.add_row(*row)
    hidden = len(lanes) - len(shown)
    more = [Text(f"… and {hidden} more", style="dim")] if hidden else []
    beside = [Text(f"{name}: {said[name]}", style="dim") for name, _ in shown if name in said]
    labels = names or names_of(progress)
    now = [Text(line, style="cyan") for line in loads(speed, labels)]
    return Group(table, *more, *beside, *now, Text(totals(progress, speed), style="bold"))


def _layout(
    progress: SweepProgress, lanes: Sequence[Labelled], subjects: Sequence[str], width: int, most_rows: int
) -> Layout:
    """The fullest layout for which there is room."""
    if width >= PIPED:
        return Layout.ROWS
    name = max(len(text) for text in (progress.name, *(name for name, _ in lanes)))
    counts = max(len("answered"), *(len(_counts(runs)) for _, runs in lanes))
    cells = sum(max(len(subject), CELL) + GAP for subject in subjects)
    if name + cells + counts + TOTAL + 2 * GAP <= width:
        return Layout.CELLS
    return Layout.ROWS if sum(1 + len(runs) for _, runs in lanes) <= most_rows else Layout.MARKS


def _rows(name: str, runs: Sequence[RunProgress], subjects: Sequence[str], layout: Layout) -> Iterator[list[Text]]:
    """A lane in the grid: its name, what the layout shows of its subjects, its counts and its accuracy."""
    total, called = [Text(_counts(runs)), Text(overall(runs))], subject_names(runs)
    if layout is Layout.ROWS:
        yield [Text(name), *total]
        for run in runs:
            right = "failed" if run.status is RunStatus.FAILED else share_right([run])
            yield [
                Text(text, STYLES[run.status])
                for text in (f"  {called[run.benchmark, run.subject]}", _counts([run]), right)
            ]
        return
    by_subject = {called[run.benchmark, run.subject]: run for run in runs}
    cells = [cell(by_subject[subject], wide=layout is Layout.CELLS) for subject in subjects]
    yield [Text(name), *(cells if layout is Layout.CELLS else [Text().join(cells)]), *total]


def _counts(runs: Sequence[RunProgress]) -> str:
    return f"{sum(run.answered for run in runs)}/{sum(run.questions for run in runs)}"


def overall(runs: Sequence[RunProgress]) -> str:
    """The accuracy of a lane's Runs together; of several benchmarks there is none."""
    if several_benchmarks(runs):
        return "several benchmarks"
    return share_right(runs)


def subject_names(runs: Sequence[RunProgress]) -> dict[tuple[str, str], str]:
    """What each (benchmark, subject) is called: by its subject, with the benchmark where two have one of that name."""
    pairs = list(dict.fromkeys((run.benchmark, run.subject) for run in runs))
    often = Counter(subject for _, subject in pairs)
    return {
        (benchmark, subject): subject if often[subject] == 1 else f"{benchmark}/{subject}"
        for benchmark, subject in pairs
    }


def names_of(progress: SweepProgress) -> dict[Lane, str]:
    """The label of each lane of a sweep, in whole."""
    return lane_labels(lanes_in(progress))


def lanes_in(progress: SweepProgress) -> list[Lane]:
    """The lanes of a sweep, with those whose replies its judges judge."""
    return [lane for run in progress.runs for lane in (run.lane, *run.judged)]


def grid_names(lanes: Iterable[Lane]) -> dict[Lane, str]:
    """The same, cut where that tells them apart too."""
    names = lane_labels(lanes)
    return dict(zip(names, cut(list(names.values()), NAME), strict=True))


def lanes_of(runs: Sequence[RunProgress], names: Mapping[Lane, str]) -> list[Labelled]:
    """Runs by lane, in the order in which they were submitted, each with its label; a judge's by whom it judges."""
    grouped: dict[tuple[Lane, ...], list[RunProgress]] = {}
    for run in runs:
        grouped.setdefault((run.lane, *run.judged), []).append(run)
    return [(label_of(lanes, names), theirs) for lanes, theirs in grouped.items()]


def label_of(lanes: Sequence[Lane], names: Mapping[Lane, str]) -> str:
    """What a row is called: its lane, or `A, judged by J`, or `A against B, judged by J`."""
    lane, *judged = (names[one] for one in lanes)
    return f"{' against '.join(judged)}, judged by {lane}" if judged else lane


def most_alive(lanes: Sequence[Labelled], room: int) -> list[Labelled]:
    """The lanes to show where there is no room for all: those at work first, in their usual order."""

    def dullness(lane: Labelled) -> int:
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
        if run.scoring in (Scoring.OPEN, Scoring.JUDGED):
            return Text(share_right([run]), style=style)
        return Text(NONE if of_pages([run]) else in_a_cell(run.points, run.answered), style=style)
    return Text(f"{run.answered}/{run.questions}" if run.answered else "·", style=style)


def totals(progress: SweepProgress, speed: Speed) -> str:
    """One line: what is answered, how many are right, how fast, how long still, what failed.

    What several lanes have right together is nobody's accuracy, and isn't given.
    """
    runs = progress.runs
    answered, questions = sum(run.answered for run in runs), sum(run.questions for run in runs)
    waiting = sum(run.questions - run.answered for run in runs if run.status in (RunStatus.PENDING, RunStatus.RUNNING))
    done, alone = sum(run.status is RunStatus.DONE for run in runs), len({run.lane for run in runs}) == 1
    alone = alone and not several_benchmarks(runs) and not judges(runs)
    failed = sum(run.status is RunStatus.FAILED for run in runs)
    parts = [
        f"{done}/{len(runs)} Runs, {answered}/{questions} questions",
        f"{share_right(runs)} right so far" if answered and alone else "",
        being_written(runs),
        f"{speed.per_second:.1f} questions/s" if speed.per_second else "",
        speed.left(waiting),
        "starting a worker" if waiting and speed.starting else "",
        "no worker is up" if waiting and not speed.staffed and not speed.starting else "",
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
