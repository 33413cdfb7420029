"""`proctor status`: sweeps, one with its grid, the workers, the backlog a lane, and what goes wrong; once or live."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from proctor.contestants import lane_labels
from proctor.errors import StoreUnavailable
from proctor.settings import Settings
from proctor.signals import interruptible
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import fleet, records
from proctor.store.reads.fleet import Fleet
from proctor.store.reads.records import SweepProgress, SweepSummary
from proctor.store.runs import sweeps
from proctor.written_answers import with_counts
from scheduler.watch import wording
from scheduler.watch.fleet_tables import Room, fleet_board, lanes_seen, sweeps_table
from scheduler.watch.speed import beside
from scheduler.watch.sweep_grid import PIPED, board, grid_names, lanes_in

NO_SWEEP = "No sweep yet. Submit one: submit-sweep --help"
DEMO = "demo-results"  # where `make demo` keeps its database
WHOLE_GRID = 10_000  # rows, where nothing scrolls away


@dataclass(frozen=True)
class Glance:
    """What one look at the store found: one sweep, or all."""

    fleet: Fleet
    sweep: SweepProgress | None
    summaries: tuple[SweepSummary, ...]

    @property
    def over(self) -> bool:
        """Whether the sweep that is watched has come to its end; all sweeps together never do."""
        return self.sweep is not None and self.sweep.over


def show(settings: Settings, name_or_id: str | None, *, as_json: bool) -> None:
    """Print the state of a sweep, or of everything.

    Raises
    ------
    UnknownName
        for a sweep that isn't there, with the nearest names.
    """
    with open_store(settings) as store:
        seen = glance(store, _sweep_id(store, name_or_id))
        if seen.sweep is not None:
            seen = replace(seen, sweep=with_counts(store, seen.sweep))
    if as_json:
        click.echo(json.dumps(as_object(seen), ensure_ascii=False))
        return
    _print(Console(), seen)
    if seen.sweep is None and not seen.summaries:
        click.echo(f"The database that was read: {settings.database_shown}")
        if Path(DEMO, "proctor.db").is_file():
            click.echo(f"The demo's is in {DEMO}: PROCTOR_HOME={DEMO} proctor status")


def watch(settings: Settings, name_or_id: str | None, every_s: float, *, as_json: bool) -> None:
    """Show the state again and again: a screen on a terminal, else a text (or a line of JSON) each time.

    Ends when the sweep is over, or when a person stops it, which is no failure. A database that is away is waited for.
    """
    with open_store(settings) as store, interruptible():
        sweep_id = _sweep_id(store, name_or_id)
        console = Console()
        try:
            if as_json:
                _again(store, sweep_id, every_s, _say_json, lambda text: click.echo(text, err=True))
            elif console.is_terminal:
                _live(store, sweep_id, every_s, console)
            else:
                _again(store, sweep_id, every_s, partial(_print, console), console.print)
        except KeyboardInterrupt:
            return


def glance(store: Store, sweep_id: int | None) -> Glance:
    """Look at one sweep, or at all."""
    if sweep_id is None:
        return Glance(fleet.look(store), None, tuple(records.overview(store)))
    return Glance(fleet.look(store, sweep_id), records.progress(store, sweep_id), ())


def drawn(seen: Glance, room: Room, height: int) -> RenderableType:
    """A glance for a terminal of this room, or for a pipe; the grid of a sweep takes up to `height` rows.

    A lane has one label on the whole screen: what a worker holds for another sweep is told from what is in the grid.
    """
    in_grid = [] if seen.sweep is None else lanes_in(seen.sweep)
    lanes = [*in_grid, *lanes_seen(seen.fleet)]
    names = lane_labels(lanes) if room.width >= PIPED else grid_names(lanes)
    below = fleet_board(seen.fleet, room, names)
    if seen.sweep is not None:
        speed = beside(seen.fleet.answers_per_s, seen.fleet, {part.run_id for part in seen.sweep.parts})
        return Group(board(seen.sweep, speed, room.width, height, names), below)
    return Group(sweeps_table(seen.summaries, room) if seen.summaries else Text(NO_SWEEP), below)


def as_object(seen: Glance) -> dict[str, object]:
    """A glance as scripts want it: a sweep's own fields as `submit --json` gives them, then the fleet's."""
    first: dict[str, object] = (
        {"sweeps": [summary_as_json(each) for each in seen.summaries]}
        if seen.sweep is None
        else wording.as_json(seen.sweep)
    )
    return {**first, **fleet_as_json(seen.fleet)}


def fleet_as_json(now: Fleet) -> dict[str, object]:
    """Workers, lanes and troubles; times in ISO 8601, UTC."""
    return {
        "read_at": now.read_at.isoformat(),
        "questions_left": now.questions_left,
        "answers_per_s": now.answers_per_s,
        "left_s": now.left_s,
        "workers": [
            {
                "worker": each.record.card.name,
                "host": each.record.card.host,
                "device": each.record.card.device.value,
                "device_name": each.record.card.device_name,
                "memory_bytes": each.record.card.memory_bytes,
                "alive": each.record.alive,
                "holds": str(each.record.held) if each.record.held else None,
                "run_id": each.record.run_id,
                "lane": str(each.lane) if each.lane else None,
                "subject": each.subject or None,
                "answers_per_s": each.answers_per_s,
                "waits_for": each.record.waits_for or None,
                "versions": dict(each.record.card.versions),
                "seen_at": each.record.seen_at.isoformat(),
            }
            for each in now.workers
        ],
        "lanes": [
            {
                "lane": str(each.lane),
                "pending": each.pending,
                "running": each.running,
                "questions_left": each.questions_left,
                "workers": each.workers,
                "mean_run_s": each.mean_run_s,
                "mean_load_s": each.mean_load_s,
            }
            for each in now.lanes
        ],
        "unservable": [
            {
                "lane": str(each.lane),
                "runs": each.runs,
                "needs_bytes": each.needs_bytes,
                "reasons": list(each.reasons),
            }
            for each in now.unservable
        ],
        "troubles": [
            {
                "run_id": each.run_id,
                "sweep": each.sweep_id,
                "lane": str(each.lane),
                "subject": each.subject,
                "status": each.status.value,
                "failures": each.failures,
                "reason": each.reason,
                **({"part": each.part} if each.part else {}),
            }
            for each in now.troubles
        ],
    }


def summary_as_json(each: SweepSummary) -> dict[str, object]:
    return {
        "sweep": each.id,
        "name": each.name,
        "created_at": each.created_at.isoformat(),
        "priority": each.priority,
        "cancelled": each.cancelled_at is not None,
        "paused": each.paused_at is not None,
        "runs": each.runs,
        "pending": each.pending,
        "running": each.running,
        "done": each.done,
        "failed": each.failed,
        "questions": each.questions,
        "answered": each.answered,
    }


def _sweep_id(store: Store, name_or_id: str | None) -> int | None:
    return None if name_or_id is None else sweeps.find(store, name_or_id).id


def _again(
    store: Store,
    sweep_id: int | None,
    every_s: float,
    show_it: Callable[[Glance], None],
    say: Callable[[str], None],
) -> None:
    while True:
        try:
            seen = glance(store, sweep_id)
        except StoreUnavailable as error:
            say(f"Waiting for the database: {error}")
        else:
            show_it(seen)
            if seen.over:
                return
        time.sleep(every_s)


def _live(store: Store, sweep_id: int | None, every_s: float, console: Console) -> None:
    def show_it(seen: Glance) -> None:
        rows = max(2, (console.height - 12) // 4)  # four tables share what their heads leave
        room = Room(console.width, rows)
        live.update(drawn(seen, room, grid_height(console, seen.fleet, room)), refresh=True)

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        _again(store, sweep_id, every_s, show_it, lambda text: live.update(Text(text), refresh=True))


def grid_height(console: Console, now: Fleet, room: Room) -> int:
    """Lines of the terminal that are a sweep's grid's: what the tables below it leave, and at least some rows."""
    below = fleet_board(now, room, grid_names(lanes_seen(now)))
    return max(room.rows + 6, console.height - len(console.render_lines(below, pad=False)) - 1)


def _print(console: Console, seen: Glance) -> None:
    """To the terminal as it is; in a pipe or a file a row is a line, however long, without spaces at its end."""
    if console.is_terminal:
        return console.print(drawn(seen, Room(console.width), WHOLE_GRID))
    whole = Console(file=io.StringIO(), width=PIPED, color_system=None)
    with whole.capture() as captured:
        whole.print(drawn(seen, Room(PIPED), WHOLE_GRID))
    return click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _say_json(seen: Glance) -> None:
    click.echo(json.dumps(as_object(seen), ensure_ascii=False))
