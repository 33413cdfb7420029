"""A reply's whole life. It is claimed like a Run (`proctor.store.runs.runs`), and many of one worker may run at once.

::

             claim                  finish
    pending -------> running --------------------> done
       ^              | | |
       |  hand_back   | | |  fail(final=True); third fail, release or lease over
       +--------------+ | +----------------------> failed
       |  fail, release,|
       |  lease over    |
       +----------------+

What is said to a model is a Turn that is done when it is filed; the reply to it is filed in the same transaction.
Every write of a worker names its attempt and takes effect only while that attempt is the reply's latest and it is
running, else it raises `TurnLost` and changes nothing. Nothing is ever overwritten: a reply that is asked for again is
another Turn, beside the first.

What is promised on SQLite and PostgreSQL alike, and the test that holds it:

- A Turn is filed once, however often it is sent: `test_a_turn_that_is_sent_twice_is_filed_once`.
- One reply of a conversation is under way at a time: `test_a_second_turn_in_a_running_conversation_is_refused`; the
  database itself refuses a second one: `test_the_database_holds_one_live_reply_a_conversation`.
- One worker at a time has a reply: `test_many_workers_claim_every_reply_once`.
- A reply goes on when its lease is over or its worker's death is known, with the tokens that were kept:
  `test_a_reply_whose_lease_ran_out_is_claimed_again_with_what_was_kept`, `test_a_dead_workers_replies_are_released`.
- A worker whose attempt is over writes nothing: `test_a_stale_worker_writes_nothing`.
- A reply that kills three workers is failed: `test_a_reply_that_kills_three_workers_is_failed`.
- Workers of another broker leave it alone: `test_a_reply_is_claimed_where_its_client_listens`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, update
from sqlmodel import Session, col, select

from proctor.errors import ProctorError
from proctor.nouns.conversations import ContextFacts, Counts, Fault, Finish, History, Sampling, TurnStatus
from proctor.nouns.models import Lane, ModelRef, ModelSource, Quant
from proctor.nouns.workers import WorkerCard
from proctor.store.conversations.codec import context_object, sampling_of
from proctor.store.conversations.tables import ReplyRow, TurnRow
from proctor.store.database.session import Store
from proctor.store.runs import leasing
from proctor.store.runs.codec import lane_of, storable
from proctor.store.runs.eligibility import refused_lanes, serves
from proctor.store.runs.tables import WorkerRow
from proctor.store.runs.workers import oldest_alive

HOLDER_S = 10.0  # after so long a reply is open to any worker, whoever holds its model: that one is busy, or dead
LIVE = (TurnStatus.PENDING, TurnStatus.RUNNING)


class TurnLost(ProctorError):
    """A worker's attempt at a reply is over: another holds it, or it ended. Nothing was written."""

    def __init__(self, turn_id: str, attempt: int) -> None:
        self.turn_id, self.attempt = turn_id, attempt
        super().__init__(f"Attempt {attempt} no longer holds turn {turn_id}.")


@dataclass(frozen=True)
class TurnClaim:
    """A worker's hold on a reply, and all that it needs to make it."""

    turn_id: str
    conversation_id: str
    parent_id: str | None  # the Turn that it answers, or goes on with
    attempt: int
    lane: Lane
    sampling: Sampling  # its seed is set
    history: History
    options: tuple[str, ...]
    lease_s: float
    wait_s: float  # from filing to the first claim
    token_ids: tuple[int, ...]  # what earlier attempts kept of it
    echo: bool = False


@dataclass(frozen=True)
class Ended:
    """A reply that is over, for whoever tells its client."""

    turn_id: str
    attempt: int
    fault: Fault
    error: str


@dataclass(frozen=True)
class Claimed:
    """What a worker got, and what ended instead: replies that have killed their third worker."""

    claims: tuple[TurnClaim, ...]
    ended: tuple[Ended, ...] = ()


@dataclass(frozen=True)
class Kept:
    """How far a reply is, to be kept for a worker that may have to go on with it."""

    claim: TurnClaim
    token_ids: tuple[int, ...]
    content: str


@dataclass(frozen=True)
class Outcome:
    """A reply as it ended well."""

    finish: Finish
    content: str
    token_ids: tuple[int, ...]
    counts: Counts
    logprobs: tuple[float, ...] = ()
    options_logprob: tuple[float, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A model that replies wait for and that no other worker holds."""

    lane: Lane
    model: ModelRef
    quant: Quant
    waited_s: float


def claim(store: Store, me: WorkerCard, broker: str, lane: Lane, most: int, lease_s: float) -> Claimed:
    """Give this worker up to `most` replies of a lane, those that were filed first, for `lease_s` seconds.

    Replies of any lane whose lease is over are taken back first, which counts as a failure of theirs.
    """
    with store.write() as session:
        now = store.now(session)
        ended = _take_back(session, broker, now)
        rows = session.exec(
            select(ReplyRow)
            .where(
                col(ReplyRow.status) == TurnStatus.PENDING,
                col(ReplyRow.lane) == str(lane),
                col(ReplyRow.broker) == broker,
            )
            .order_by(col(ReplyRow.created_at), col(ReplyRow.turn_id))
            .limit(most)
            .with_for_update(skip_locked=True)
        ).all()
        return Claimed(tuple(_claimed(session, reply, me, now, lease_s) for reply in rows), ended)


def renew(store: Store, kept: Sequence[Kept]) -> frozenset[str]:
    """Extend the leases of several replies and keep how far they are. The ids of those that are lost come back."""
    lost = set()
    with store.write() as session:
        for each in kept:
            try:
                reply = _fenced(store, session, each.claim)
            except TurnLost:
                lost.add(each.claim.turn_id)
            else:
                _keep(session, each)
                session.exec(
                    update(WorkerRow).where(col(WorkerRow.name) == reply.worker).values(seen_at=store.now(session))
                )
    return frozenset(lost)


def begin(store: Store, claim: TurnClaim, context: ContextFacts, dtype: str, *, said: str | None = None) -> None:
    """Note what the model is shown, and in which type it computes; `said` is the text of a message said in tokens.

    Raises `TurnLost`.
    """
    with store.write() as session:
        reply = _fenced(store, session, claim)
        reply.context, reply.dtype = context_object(context), dtype
        if said is not None and claim.parent_id is not None:
            session.get_one(TurnRow, claim.parent_id).content = storable(said)


def finish(store: Store, claim: TurnClaim, outcome: Outcome) -> None:
    """Running -> done. Raises `TurnLost`."""
    with store.write() as session:
        reply = _fenced(store, session, claim)
        _keep(session, Kept(claim, outcome.token_ids, outcome.content))
        reply.status, reply.lease_until, reply.ended_at = TurnStatus.DONE, None, store.now(session)
        reply.finish, reply.counts = outcome.finish, asdict(outcome.counts)
        reply.logprobs, reply.options_logprob = outcome.logprobs, outcome.options_logprob


def fail(store: Store, claim: TurnClaim, fault: Fault, error: str, traceback: str = "", *, final: bool) -> bool:
    """Running -> pending, or failed at the third failure, or at once where `final`. Whether it is over.

    Raises `TurnLost`.
    """
    with store.write() as session:
        reply = _fenced(store, session, claim)
        reply.traceback = storable(traceback)
        _count_failure(reply, store.now(session), fault, error, final=final)
        return reply.status == TurnStatus.FAILED


def hand_back(store: Store, kept: Kept) -> None:
    """Running -> pending, for another worker, which goes on with what is kept: no failure. Raises `TurnLost`."""
    with store.write() as session:
        reply = _fenced(store, session, kept.claim)
        _keep(session, kept)
        _give_back(reply)


def release(store: Store, worker_name: str, reason: str, *, counted: bool = True) -> int:
    """Take back what a dead worker had, at once. How many they were; `counted` as for `runs.release`."""
    with store.write() as session:
        now = store.now(session)
        held = session.exec(
            select(ReplyRow)
            .where(col(ReplyRow.status) == TurnStatus.RUNNING, col(ReplyRow.worker) == worker_name)
            .order_by(col(ReplyRow.turn_id))
            .with_for_update()
        ).all()
        for reply in held:
            if counted:
                _lose(reply, now, reason)
            else:
                _give_back(reply)
        return len(held)


def waiting(store: Store, me: WorkerCard, broker: str, held: Lane | None) -> bool:
    """Whether there is a reply that this worker should make now: of its lane, or one that `wanted` would name."""
    with store.read() as session:
        now = store.now(session)
        lanes = _claimable(session, broker, now)
        return (held is not None and str(held) in lanes) or bool(_open_to(session, me, lanes, now))


def is_waiting(store: Store, broker: str, lane: Lane) -> bool:
    """Whether a reply of this lane can be claimed: what a worker looks at between two steps of its work."""
    with store.read() as session:
        return str(lane) in _claimable(session, broker, store.now(session))


def wanted(store: Store, me: WorkerCard, broker: str) -> Wanted | None:
    """Of the models that replies wait for and that nobody else serves, that of the reply which waits longest."""
    with store.read() as session:
        now = store.now(session)
        lanes = _claimable(session, broker, now)
        found = min(_open_to(session, me, lanes, now), key=lambda lane: lanes[lane], default=None)
        if found is None:
            return None
        reply = session.exec(select(ReplyRow).where(col(ReplyRow.lane) == found).limit(1)).one()
        ref = ModelRef(reply.model_name, ModelSource(reply.model_source), reply.model_revision)
        return Wanted(lane_of(found), ref, Quant(reply.quant), (now - lanes[found]).total_seconds())


def _claimable(session: Session, broker: str, now: datetime) -> dict[str, datetime]:
    """Lanes on which replies can be claimed, and since when the oldest of them waits."""
    rows = session.exec(
        select(ReplyRow.lane, func.min(ReplyRow.created_at))
        .where(
            or_(
                col(ReplyRow.status) == TurnStatus.PENDING,
                (col(ReplyRow.status) == TurnStatus.RUNNING) & (col(ReplyRow.lease_until) < now),
            ),
            col(ReplyRow.broker) == broker,
        )
        .group_by(col(ReplyRow.lane))
    )
    return dict(rows.all())


def _open_to(session: Session, me: WorkerCard, lanes: Mapping[str, datetime], now: datetime) -> set[str]:
    """Those of the lanes that this worker can serve, and that no other worker alive holds or takes replies of."""
    if not lanes:
        return set()
    held = session.exec(
        select(WorkerRow.held).where(
            col(WorkerRow.held).in_(lanes),
            col(WorkerRow.name) != me.name,
            col(WorkerRow.left_at).is_(None),
            col(WorkerRow.seen_at) >= oldest_alive(now),
        )
    ).all()
    refused, late = refused_lanes(session, me.name), now - timedelta(seconds=HOLDER_S)
    return {
        lane
        for lane, since in lanes.items()
        if (lane not in held or since < late) and lane not in refused and serves(me, lane)
    }


def _claimed(session: Session, reply: ReplyRow, me: WorkerCard, now: datetime, lease_s: float) -> TurnClaim:
    turn = session.get_one(TurnRow, reply.turn_id)
    leasing.take(reply, me.name, now, lease_s)
    reply.status, reply.claimed_at = TurnStatus.RUNNING, reply.claimed_at or now
    return TurnClaim(
        turn_id=reply.turn_id,
        conversation_id=reply.conversation_id,
        parent_id=turn.parent_id,
        attempt=reply.attempt,
        lane=lane_of(reply.lane),
        sampling=sampling_of(reply.sampling),
        history=History(reply.history),
        options=tuple(reply.options),
        lease_s=lease_s,
        wait_s=(reply.claimed_at - reply.created_at).total_seconds(),
        token_ids=tuple(turn.token_ids),
        echo=reply.echo,
    )


def _take_back(session: Session, broker: str, now: datetime) -> tuple[Ended, ...]:
    over = session.exec(
        select(ReplyRow)
        .where(
            col(ReplyRow.status) == TurnStatus.RUNNING,
            col(ReplyRow.lease_until) < now,
            col(ReplyRow.broker) == broker,
        )
        .with_for_update(skip_locked=True)
    ).all()
    for reply in over:
        _lose(reply, now, leasing.silent(reply))
    session.flush()
    return tuple(
        Ended(reply.turn_id, reply.attempt, Fault.INTERNAL, reply.error)
        for reply in over
        if reply.status == TurnStatus.FAILED
    )


def give_up(reply: ReplyRow, now: datetime, reason: str) -> None:
    """Within a transaction of the caller's: pending, or running with a lease that is over, -> failed."""
    _count_failure(reply, now, Fault.INTERNAL, reason, final=True)


def _lose(reply: ReplyRow, now: datetime, reason: str) -> None:
    _count_failure(reply, now, Fault.INTERNAL, leasing.lose(reply, reason), final=False)


def _count_failure(reply: ReplyRow, now: datetime, fault: Fault, error: str, *, final: bool) -> None:
    if not leasing.fail(reply, final=final):
        _give_back(reply)
        return
    reply.status, reply.lease_until, reply.ended_at = TurnStatus.FAILED, None, now
    reply.finish, reply.fault, reply.error = Finish.FAILED, fault, storable(error)


def _give_back(reply: ReplyRow) -> None:
    leasing.leave(reply)
    reply.status = TurnStatus.PENDING


def _keep(session: Session, kept: Kept) -> None:
    turn = session.get_one(TurnRow, kept.claim.turn_id)
    turn.content, turn.token_ids = storable(kept.content), kept.token_ids


def _fenced(store: Store, session: Session, claim: TurnClaim) -> ReplyRow:
    """The claim's reply, locked and its lease extended, if this attempt holds it: first in every write."""
    until = store.now(session) + timedelta(seconds=claim.lease_s)
    kept = session.exec(
        update(ReplyRow)
        .where(
            col(ReplyRow.turn_id) == claim.turn_id,
            col(ReplyRow.attempt) == claim.attempt,
            col(ReplyRow.status) == TurnStatus.RUNNING,
        )
        .values(lease_until=until)
    )
    if kept.rowcount != 1:
        raise TurnLost(claim.turn_id, claim.attempt)
    return session.get_one(ReplyRow, claim.turn_id)
