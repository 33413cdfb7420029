"""What a worker can take: the clauses of the claim that are about the worker rather than about the Run's turn.

Device, quantization, patterns and memory are known beforehand. What only the load shows (a model that doesn't fit
after all, an architecture that this worker's libraries don't know) is refused, once: the refusal is kept, and is a
clause of that worker's claims from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from sqlalchemy import BigInteger, Integer, String, bindparam, func, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from proctor.nouns.models import Lane
from proctor.nouns.runs import RunStatus
from proctor.nouns.workers import WorkerCard
from proctor.store.database.session import Store
from proctor.store.runs.codec import lane_of, storable
from proctor.store.runs.parts import WHOLE
from proctor.store.runs.tables import BriefRow, RefusalRow, RunRow, SweepRow
from proctor.store.runs.workers import WorkerRecord, records

WHOLE_LANE = 0  # a refusal's run_id
Refusals = Mapping[str, Mapping[int, str]]  # of one lane: worker -> Run, or WHOLE_LANE -> reason

# The worker that asks: `asking` fills them in. So the statements of the claim are made once, not for each claim.
MY_NAME = bindparam("my_name", type_=String())
MY_SWEEP = bindparam("my_sweep", type_=Integer())
MY_MEMORY = bindparam("my_memory", type_=BigInteger())

# A worker that was started for one sweep takes nothing of another.
MEANT_FOR_ME = or_(MY_SWEEP.is_(None), col(RunRow.sweep_id) == MY_SWEEP)
# What is predicted to need more memory than the worker has is left to others; what isn't predicted is tried.
FITS_ME = or_(col(RunRow.needs_bytes).is_(None), col(RunRow.needs_bytes) <= MY_MEMORY)
# Single Runs that this worker found that it can't do. Whole lanes are in `refused_lanes`.
NOT_REFUSED = col(RunRow.id).not_in(
    select(RefusalRow.run_id).where(col(RefusalRow.worker) == MY_NAME, col(RefusalRow.run_id) != WHOLE_LANE)
)
# Runs of judges whose candidates' replies aren't all there yet.
_SAT = aliased(RunRow)
_ROWS = (col(_SAT.id), col(_SAT.part_of))
AWAITING = (
    select(BriefRow.run_id)
    .join(_SAT, or_(*(row == run for row in _ROWS for run in (col(BriefRow.candidate_id), col(BriefRow.against_id)))))
    .where(col(_SAT.status) != RunStatus.DONE)
)
REPLIES_ARE_THERE = col(RunRow.id).not_in(AWAITING)


@dataclass(frozen=True)
class Unservable:
    """Runs that wait and that no worker alive can take."""

    lane: Lane
    runs: int
    needs_bytes: int | None  # what the largest of them is predicted to need; None: not known
    reasons: tuple[str, ...]  # why not, each once; "no worker for … is alive" where there is none


def asking(me: WorkerCard) -> dict[str, object]:
    """The values of `MY_NAME`, `MY_SWEEP` and `MY_MEMORY`, for statements that hold one of these clauses."""
    return {"my_name": me.name, "my_sweep": me.sweep_id, "my_memory": me.memory_bytes}


def serves(me: WorkerCard, lane: str) -> bool:
    """Whether a worker may take Runs of this lane: its device, what it can do, one of its patterns if it has any."""
    return why_not(me, lane) == ""


def why_not(me: WorkerCard, lane: str) -> str:
    """What of this lane the worker's card rules out, in words; "" where nothing does."""
    wanted = lane_of(lane)
    if wanted.device is not me.device:
        return f"no worker for {wanted.device} is alive"
    if wanted.quant not in me.quants:
        return f"{me.name} can't do {wanted.quant}: its bitsandbytes is missing, or its device too old"
    if me.lanes and not any(fnmatchcase(lane, pattern) for pattern in me.lanes):
        return f"{me.name} serves {', '.join(me.lanes)} only"
    return ""


def refuse(
    session: Session, store: Store, worker: str, lane: str, reason: str, now: datetime, run_id: int = WHOLE_LANE
) -> None:
    """Keep that a worker can't do this lane, or this Run of it."""
    session.exec(
        store.insert(RefusalRow)
        .values(worker=worker, lane=lane, run_id=run_id, reason=storable(reason), refused_at=now)
        .on_conflict_do_nothing()
    )


def refused_lanes(session: Session, worker: str) -> frozenset[str]:
    """The lanes that this worker found that it can't do."""
    of_worker = select(RefusalRow.lane).where(col(RefusalRow.worker) == worker, col(RefusalRow.run_id) == WHOLE_LANE)
    return frozenset(session.exec(of_worker))


def others_can(session: Session, run: RunRow, but: str, now: datetime) -> bool:
    """Whether a worker other than `but` is alive that may take this Run."""
    refusals = _refusals(session, run.lane)
    return any(
        each.alive
        and each.card.name != but
        and each.card.sweep_id in (None, run.sweep_id)
        and not _obstacle(each.card, run.lane, run.needs_bytes, refusals, run.id or WHOLE_LANE)
        for each in records(session, now)
    )


def unservable(store: Store, sweep_id: int | None = None) -> list[Unservable]:
    """Lanes with pending Runs that nobody alive can take, with what they would need; those of one sweep, or all.

    Runs of a paused sweep are left out: they wait for a person.
    """
    with store.read() as session:
        return in_vain(session, store.now(session), sweep_id)


def in_vain(session: Session, now: datetime, sweep_id: int | None) -> list[Unservable]:
    """The same within a transaction of the caller's."""
    alive = [each for each in records(session, now) if each.alive]
    waiting = session.exec(
        select(RunRow.lane, RunRow.sweep_id, RunRow.needs_bytes, func.count(WHOLE.distinct()))
        .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
        .where(
            col(RunRow.status) == RunStatus.PENDING,
            col(SweepRow.paused_at).is_(None),
            true() if sweep_id is None else col(RunRow.sweep_id) == sweep_id,
        )
        .group_by(col(RunRow.lane), col(RunRow.sweep_id), col(RunRow.needs_bytes))
        .order_by(col(RunRow.lane), col(RunRow.needs_bytes))
    ).all()
    found: dict[str, Unservable] = {}
    for lane, sweep, needs, count in waiting:
        reasons = _why_nobody(session, alive, lane, sweep, needs)
        if reasons:
            found[lane] = _joined(found.get(lane), Unservable(lane_of(lane), count, needs, reasons))
    return list(found.values())


def _why_nobody(
    session: Session, alive: Sequence[WorkerRecord], lane: str, sweep_id: int, needs: int | None
) -> tuple[str, ...]:
    """Why none of these workers takes such a Run; empty where one does."""
    refusals = _refusals(session, lane)
    nobody = f"no worker for {lane_of(lane).device} is alive"
    reasons: dict[str, None] = {}
    for each in alive:
        if each.card.sweep_id not in (None, sweep_id):
            continue
        obstacle = _obstacle(each.card, lane, needs, refusals)
        if not obstacle:
            return ()
        reasons[obstacle] = None
    return tuple(reason for reason in reasons if reason != nobody) or (nobody,)


def _obstacle(card: WorkerCard, lane: str, needs: int | None, refusals: Refusals, run_id: int = WHOLE_LANE) -> str:
    """Why this worker doesn't take such a Run, in words; "" where it does."""
    said = why_not(card, lane)
    if said:
        return said
    if needs is not None and needs > card.memory_bytes:
        return f"{card.name} has {card.memory_bytes / 1e9:.1f} GB ({card.device_name})"
    refused = refusals.get(card.name, {})
    refusal = refused.get(WHOLE_LANE) or refused.get(run_id)
    return f"{card.name} tried: {refusal}" if refusal else ""


def _refusals(session: Session, lane: str) -> Refusals:
    found: dict[str, dict[int, str]] = {}
    for row in session.exec(select(RefusalRow).where(col(RefusalRow.lane) == lane)):
        found.setdefault(row.worker, {})[row.run_id] = row.reason
    return found


def _joined(before: Unservable | None, more: Unservable) -> Unservable:
    if before is None:
        return more
    needs = [each for each in (before.needs_bytes, more.needs_bytes) if each is not None]
    reasons = tuple(dict.fromkeys((*before.reasons, *more.reasons)))
    return Unservable(more.lane, before.runs + more.runs, max(needs, default=None), reasons)
