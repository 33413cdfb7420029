"""`proctor status`: all sweeps, or one with its grid and what failed."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from proctor.settings import Settings
from proctor.store import reads, sweeps
from proctor.store.reads import SweepSummary
from proctor.store.session import open_store
from scheduler import wording
from scheduler.board import board
from scheduler.pace import Pace


def show(settings: Settings, name_or_id: str | None, *, as_json: bool) -> None:
    """Print the state of a sweep, or the list of all sweeps.

    Raises
    ------
    UnknownName
        for a sweep that isn't there, with the nearest names.
    """
    with open_store(settings) as store:
        if name_or_id is None:
            summaries = reads.overview(store)
            click.echo(json.dumps([summary_as_json(each) for each in summaries])) if as_json else listing(summaries)
            return
        progress = reads.progress(store, sweeps.find(store, name_or_id).id)
    if as_json:
        click.echo(json.dumps(wording.as_json(progress), ensure_ascii=False))
        return
    console = Console()
    console.print(board(progress, Pace(), console.width, height=10_000))
    for run in wording.failed(progress):
        click.echo(wording.failure(run))


def listing(summaries: list[SweepSummary]) -> None:
    if not summaries:
        click.echo("No sweep yet. Submit one: submit-sweep --help")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("sweep", "name", "submitted", "done", "running", "waiting", "failed", "answered"):
        table.add_column(title, justify="left" if title in ("name", "submitted") else "right")
    for each in summaries:
        cancelled = " (cancelled)" if each.cancelled_at else ""
        table.add_row(
            str(each.id),
            each.name + cancelled,
            f"{each.created_at.astimezone():%Y-%m-%d %H:%M}",
            f"{each.done}/{each.runs}",
            str(each.running),
            str(each.pending),
            str(each.failed),
            f"{each.answered}/{each.questions}",
        )
    Console().print(table)


def summary_as_json(each: SweepSummary) -> dict[str, object]:
    return {
        "sweep": each.id,
        "name": each.name,
        "created_at": each.created_at.isoformat(),
        "cancelled": each.cancelled_at is not None,
        "runs": each.runs,
        "pending": each.pending,
        "running": each.running,
        "done": each.done,
        "failed": each.failed,
        "questions": each.questions,
        "answered": each.answered,
    }
