"""The fleet as a person sees it: sweeps, workers, backlog a lane, and what goes wrong, each may be cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proctor.nouns.models import Lane
from proctor.nouns.runs import RunStatus
from proctor.printing import printable
from proctor.prose import stacked
from proctor.store.reads.fleet import Fleet, LaneSight, Trouble, WorkerSight
from proctor.store.reads.records import SweepSummary
from proctor.store.runs.eligibility import Unservable
from scheduler.watch.speed import duration
from scheduler.watch.wording import counted

WIDE = 110  # columns from which there is room for everything
ALL_ROWS = 10_000
GAP = 2  # columns between two columns


@dataclass(frozen=True)
class Room:
    """How much may be drawn: columns of the terminal, and rows of each table."""

    width: int
    rows: int = ALL_ROWS

    @property
    def wide(self) -> bool:
        return self.width >= WIDE


def lanes_seen(fleet: Fleet) -> Iterator[Lane]:
    """Every lane that is named below."""
    for sight in fleet.workers:
        yield from (lane for lane in (sight.record.held, sight.lane) if lane is not None)
    yield from (each.lane for each in fleet.lanes)
    yield from (each.lane for each in fleet.unservable)
    yield from (each.lane for each in fleet.troubles)


def fleet_board(fleet: Fleet, room: Room, names: Mapping[Lane, str]) -> RenderableType:
    """Workers, lanes and troubles, and one line that sums it up; lanes go by these labels."""
    parts: list[RenderableType] = []
    if fleet.workers:
        parts += [Text(), workers_table(fleet, room, names)]
    if fleet.lanes:
        parts += [Text(), lanes_table(fleet.lanes, room, names)]
    if fleet.unservable and not fleet.staffed:
        parts += [Text(), Text(idle(fleet))]
    elif fleet.unservable:
        parts += [Text(), unservable_list(fleet.unservable, room, names)]
    if fleet.troubles:
        parts += [Text(), troubles_list(fleet.troubles, room, names)]
    return Group(*parts, Text(), Text(summary(fleet), style="bold"))


def sweeps_table(summaries: Sequence[SweepSummary], room: Room) -> RenderableType:
    """All sweeps, the one submitted last first."""
    titles = ("sweep", "name", "submitted", ">done", ">running", ">waiting", ">failed", ">answered")
    rows = []
    for each in summaries[: room.rows]:
        when = each.created_at.astimezone()
        cells = (
            str(each.id),
            printable(each.name) + marks(each),
            f"{when:%Y-%m-%d %H:%M}" if room.wide else f"{when:%m-%d %H:%M}",
            f"{each.done}/{each.runs}",
            str(each.running),
            str(each.pending),
            str(each.failed),
            f"{each.answered}/{each.questions}",
        )
        rows.append(Line(cells, "bold red" if each.failed else ""))
    return _with_rest(_table(titles, rows, room), len(summaries) - room.rows)


def marks(each: SweepSummary) -> str:
    """What was done to a sweep by hand, behind its name."""
    state = " (cancelled)" if each.cancelled_at else " (paused)" if each.paused_at else ""
    return state + (f" (priority {each.priority})" if each.priority else "")


def workers_table(fleet: Fleet, room: Room, names: Mapping[Lane, str]) -> RenderableType:
    """Each worker: where, what it holds, what it is at, how fast, and when it was last heard of."""
    rows = []
    for sight in fleet.workers[: room.rows]:
        card = sight.record.card
        device = card.name.partition("@")[0]
        cells = (
            printable(card.host),
            printable(f"{device}  {card.device_name}" if room.wide else device),
            printable(held(sight, names)),
            printable(sight.subject) or "–",
            f"{sight.answers_per_s:.1f}",
            ago(sight.record.seen_at, fleet.read_at),
        )
        rows.append(Line(cells, "" if sight.record.alive else "red"))
    titles = ("host", "device", "holds", "at", ">answers/s", ">seen")
    return _with_rest(_table(titles, rows, room), len(fleet.workers) - room.rows)


def held(sight: WorkerSight, names: Mapping[Lane, str]) -> str:
    """What a worker holds in memory, or is loading."""
    if not sight.record.alive:
        return "fell silent"
    if sight.record.waits_for:
        return f"waits: {sight.record.waits_for}"
    if sight.lane is not None and sight.lane != sight.record.held:
        return f"loading {names[sight.lane]}"
    return names[sight.record.held] if sight.record.held is not None else "–"


def lanes_table(lanes: Sequence[LaneSight], room: Room, names: Mapping[Lane, str]) -> RenderableType:
    """The backlog of each lane: one load of a model serves all of it."""
    rows = []
    for lane in sorted(lanes, key=lambda each: (-each.running, -each.questions_left))[: room.rows]:
        means = [duration(each) if each is not None else "–" for each in (lane.mean_run_s, lane.mean_load_s)]
        counts = (lane.pending, lane.running, lane.questions_left, lane.workers)
        cells = (printable(f"{lane.lane.device}  {names[lane.lane]}"), *map(str, counts), *(means if room.wide else ()))
        rows.append(Line(cells))
    titles = ("lane", ">waiting", ">running", ">questions left", ">workers", *([">a Run", ">a load"] * room.wide))
    return _with_rest(_table(titles, rows, room), len(lanes) - room.rows)


def unservable_list(nobody: Sequence[Unservable], room: Room, names: Mapping[Lane, str]) -> RenderableType:
    """Lanes that no worker alive can serve, with what they would need and why each worker doesn't."""
    lines: list[RenderableType] = []
    for each in nobody[: room.rows]:
        needs = f", each of about {each.needs_bytes / 1e9:.1f} GB" if each.needs_bytes else ""
        head = Text(f"Nobody can serve {each.lane.device} ", style="yellow")
        lines.append(
            head.append(printable(f"{names[each.lane]}: {counted(each.runs, 'Run')} waiting{needs}"), style="default")
        )
        lines += [Padding(Text(printable(reason)), (0, 0, 0, 2)) for reason in each.reasons]
    return _with_rest(Group(*lines), len(nobody) - room.rows)


def idle(fleet: Fleet) -> str:
    """What becomes of Runs that wait while nobody works: no fault, a sweep that was stopped looks like this."""
    runs = sum(each.runs for each in fleet.unservable)
    waiting = "1 Run waits" if runs == 1 else f"{runs} Runs wait"
    return (
        f"No worker is up; {waiting} and nothing is lost. Where they were submitted, the same `submit-sweep` goes on "
        "with them; on a fleet, `proctor worker` does."
    )


def troubles_list(troubles: Sequence[Trouble], room: Room, names: Mapping[Lane, str]) -> RenderableType:
    """What failed, and what is tried again, each with the reason of its last failure below it."""
    lines: list[RenderableType] = []
    for each in troubles[: room.rows]:
        failed = each.status is RunStatus.FAILED
        state = "failed" if failed else f"failed {each.failures}× and is {each.status.value}"
        head = Text(f"Run {each.run_id} {state}: ", style="bold red" if failed else "yellow")
        what = printable(f"{names[each.lane]}, {each.subject}{f', {each.part}' if each.part else ''}")
        lines += [head.append(what, style="default"), Padding(Text(printable(each.reason)), (0, 0, 0, 2))]
    return _with_rest(Group(*lines), len(troubles) - room.rows)


def summary(fleet: Fleet) -> str:
    """One line: what is left, how fast, how long still, and who works."""
    left_s = fleet.left_s
    alive = sum(sight.record.alive for sight in fleet.workers)
    busy = sum(sight.record.alive and sight.lane is not None for sight in fleet.workers)
    parts = [
        f"{fleet.questions_left} questions left" if fleet.questions_left else "Nothing is left to do",
        f"{fleet.answers_per_s:.1f} answers/s" if fleet.answers_per_s else "",
        f"about {duration(left_s)} to go{_and_loads(fleet.loads_unknown)}" if left_s else "",
        f"{busy} of {alive} workers busy" if alive else "no worker is up",
    ]
    return " · ".join(part for part in parts if part)


def _and_loads(count: int) -> str:
    return f" and {count} load{'s' if count > 1 else ''} of a model" if count else ""


def ago(then: datetime, now: datetime) -> str:
    """`4 s ago`; clocks that differ a little make nothing of the future."""
    return f"{duration(max(0.0, (now - then).total_seconds()))} ago"


@dataclass(frozen=True)
class Line:
    """A row of a table, and how it is drawn."""

    cells: tuple[str, ...]
    style: str = ""


def _table(titles: Sequence[str], lines: Sequence[Line], room: Room) -> RenderableType:
    """A plain table; a title that begins with > stands on the right, as numbers do.

    Rows that are too wide for the terminal are stacked, so that nothing in them is cut.
    """
    heads = [title.removeprefix(">") for title in titles]
    widths = [max(map(len, column)) for column in zip(heads, *(line.cells for line in lines), strict=True)]
    if sum(widths) + GAP * (len(widths) - 1) > room.width:
        return Group(*(Text(stacked(heads, line.cells, room.width), style=line.style) for line in lines))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for title, head in zip(titles, heads, strict=True):
        table.add_column(head, justify="right" if title.startswith(">") else "left", no_wrap=True)
    for line in lines:
        table.add_row(*map(Text, line.cells), style=line.style)
    return table


def _with_rest(shown: RenderableType, hidden: int) -> RenderableType:
    return Group(shown, Text(f"… and {hidden} more", style="dim")) if hidden > 0 else shown
