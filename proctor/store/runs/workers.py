"""Workers as the database knows them: who they are, what they hold, when they were last heard of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, update
from sqlmodel import Session, col, select

from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.runs import RunStatus
from proctor.nouns.workers import WorkerCard
from proctor.store.database.session import Store
from proctor.store.runs.codec import lane_of, storable
from proctor.store.runs.tables import RefusalRow, RunRow, WorkerRow

ALIVE_S = 90.0  # a worker that wasn't heard of for so long is not counted as one that serves its lane

_HOLD = (  # made once, for each claim says it
    update(WorkerRow)
    .where(col(WorkerRow.name) == bindparam("asking"))
    .values(held=bindparam("lane"), seen_at=bindparam("now"), left_at=None, waits_for="")
)


@dataclass(frozen=True)
class WorkerRecord:
    """A worker as it was last heard of."""

    card: WorkerCard
    held: Lane | None
    run_id: int | None  # the Run that it is at
    registered_at: datetime
    seen_at: datetime
    left_at: datetime | None
    alive: bool  # hasn't left, and was heard of within ALIVE_S
    waits_for: str = ""  # what is away, in words; "" where nothing is


def register(store: Store, card: WorkerCard) -> None:
    """Make a worker known, or known again under the same name with nothing held."""
    with store.write() as session:
        see(store, session, card, None, store.now(session), anew=True)


def heartbeat(store: Store, card: WorkerCard, held: Lane | None, waits_for: str = "") -> None:
    """Say that a worker lives, what it holds, and what it waits for. One that was never registered is, by this."""
    with store.write() as session:
        see(store, session, card, held, store.now(session), waits_for=waits_for)


def leave(store: Store, name: str) -> None:
    """Say that a worker is gone. Its leases are not touched: see `runs.hand_back` and `runs.release`."""
    with store.write() as session:
        now = store.now(session)
        session.exec(delete(RefusalRow).where(col(RefusalRow.worker) == name))
        session.exec(update(WorkerRow).where(col(WorkerRow.name) == name).values(left_at=now, held=None))


def listing(store: Store) -> list[WorkerRecord]:
    """All workers ever seen, those heard of last first."""
    with store.read() as session:
        return records(session, store.now(session))


def records(session: Session, now: datetime) -> list[WorkerRecord]:
    """The same within a transaction of the caller's."""
    at = dict(session.exec(select(RunRow.worker, RunRow.id).where(col(RunRow.status) == RunStatus.RUNNING)).all())
    rows = session.exec(select(WorkerRow).order_by(col(WorkerRow.seen_at).desc(), col(WorkerRow.name))).all()
    return [_record(row, at.get(row.name), now) for row in rows]


def see(
    store: Store,
    session: Session,
    card: WorkerCard,
    held: Lane | None,
    now: datetime,
    *,
    anew: bool = False,
    waits_for: str = "",
) -> None:
    """Within a transaction of the caller's: the worker lives and holds this lane."""
    fresh = {
        "host": card.host,
        "device": card.device,
        "device_name": card.device_name,
        "memory_bytes": card.memory_bytes,
        "lanes": list(card.lanes),
        "sweep_id": card.sweep_id,
        "quants": [quant.value for quant in card.quants],
        "versions": dict(card.versions),
        "waits_for": storable(waits_for),
        "held": None if held is None else str(held),
        "seen_at": now,
        "left_at": None,
    }
    again = {**fresh, "registered_at": now} if anew else fresh
    session.exec(
        store.insert(WorkerRow)
        .values(name=card.name, registered_at=now, **fresh)
        .on_conflict_do_update(index_elements=["name"], set_=again)
    )


def hold(store: Store, session: Session, card: WorkerCard, held: Lane | None, now: datetime) -> None:
    """`see` for one that is known by its card already, as it is in all claims but the first of a worker's life."""
    now_held = {"asking": card.name, "lane": None if held is None else str(held), "now": now}
    if session.connection().execute(_HOLD, now_held).rowcount == 0:
        see(store, session, card, held, now)


def oldest_alive(now: datetime) -> datetime:
    """Workers that were heard of since then are alive, unless they have left."""
    return now - timedelta(seconds=ALIVE_S)


def _record(row: WorkerRow, run_id: int | None, now: datetime) -> WorkerRecord:
    card = WorkerCard(
        name=row.name,
        host=row.host,
        device=Device(row.device),
        device_name=row.device_name,
        memory_bytes=row.memory_bytes,
        lanes=tuple(row.lanes),
        sweep_id=row.sweep_id,
        quants=tuple(Quant) if row.quants is None else tuple(Quant(quant) for quant in row.quants),
        versions=row.versions or {},
    )
    return WorkerRecord(
        card=card,
        held=None if row.held is None else lane_of(row.held),
        run_id=run_id,
        registered_at=row.registered_at,
        seen_at=row.seen_at,
        left_at=row.left_at,
        alive=row.left_at is None and row.seen_at >= oldest_alive(now),
        waits_for=row.waits_for,
    )
