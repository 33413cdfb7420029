"""Steering a sweep that goes on: pause, resume, another priority. `sweeps` has cancel and retry.

Each takes effect with the next claim of any worker, for it is a clause of that claim; nothing is sent anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col

from proctor.errors import BadInput
from proctor.nouns.runs import RunStatus
from proctor.store.database.session import Store
from proctor.store.runs.parts import counts
from proctor.store.runs.sweeps import locked
from proctor.store.runs.tables import RunRow, SweepRow

PRIORITIES = range(-10, 11)


@dataclass(frozen=True)
class Left:
    """What of a sweep isn't over: Runs that wait, and Runs that a worker is at."""

    pending: int
    running: int


def pause(store: Store, sweep_id: int) -> Left:
    """No Run of the sweep is claimed from here on; what is at work keeps the pack at hand and is handed back.

    A worker hears of it with its next pack, or renewal of its lease. Pausing again changes nothing.

    Raises
    ------
    UnknownName
        where there is no such sweep.
    BadInput
        where it is cancelled.
    """
    with store.write() as session:
        sweep = _going_on(store, session, sweep_id)
        sweep.paused_at = sweep.paused_at or store.now(session)
        return _left(session, sweep_id)


def resume(store: Store, sweep_id: int) -> Left:
    """Undo `pause`; a sweep that isn't paused stays as it is. Raises as `pause` does."""
    with store.write() as session:
        _going_on(store, session, sweep_id).paused_at = None
        return _left(session, sweep_id)


def prioritize(store: Store, sweep_id: int, priority: int) -> int:
    """Give the sweep another priority; returns the one before. Higher goes first, with the next claim of any worker.

    Raises
    ------
    UnknownName
        where there is no such sweep.
    BadInput
        for a priority out of `PRIORITIES`.
    """
    if priority not in PRIORITIES:
        raise BadInput(
            f"Priority {priority} is out of range.", f"Give one from {PRIORITIES[0]} to {PRIORITIES[-1]}; 0 is usual."
        )
    with store.write() as session:
        sweep = locked(store, session, sweep_id)
        before, sweep.priority = sweep.priority, priority
        return before


def _going_on(store: Store, session: Session, sweep_id: int) -> SweepRow:
    sweep = locked(store, session, sweep_id)
    if sweep.cancelled_at is not None:
        raise BadInput(
            f"Sweep {sweep_id} ({sweep.name}) is cancelled: nothing of it runs.",
            f"`proctor retry {sweep_id}` makes it go on.",
        )
    return sweep


def _left(session: Session, sweep_id: int) -> Left:
    now_are = counts(session, col(RunRow.sweep_id) == sweep_id)
    return Left(now_are[RunStatus.PENDING], now_are[RunStatus.RUNNING])
