"""A Turn's way into the store: what is said, and the reply that is now waited for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from proctor.contestants import lane_label
from proctor.errors import BadInput, ProctorError
from proctor.nouns.conversations import History, Role, Sampling, TurnStatus, Utterance
from proctor.nouns.models import Device, Lane, ModelRef, Quant
from proctor.store.conversations.tables import ConversationRow, ReplyRow, TurnRow
from proctor.store.conversations.turns import LIVE, give_up
from proctor.store.database.session import Store
from proctor.store.runs.codec import lane_of, storable

MAX_WAITING = 64  # replies of one lane that may wait at a time
TITLE_CHARACTERS = 60
RECENT = 20  # ended replies that tell how long one takes
USUAL_S = 5.0  # what one takes where none has ended yet


class ConversationBusy(ProctorError):
    """A second Turn in a conversation that has one under way."""

    def __init__(self, conversation_id: str, live_turn_id: str) -> None:
        self.conversation_id, self.live_turn_id = conversation_id, live_turn_id
        super().__init__(
            f"Conversation {conversation_id} has turn {live_turn_id} under way.", "Wait for its end, or stop it."
        )


class LaneFull(ProctorError):
    """Too many replies of a lane wait already."""

    def __init__(self, lane: Lane, waiting: int, retry_after_s: float) -> None:
        self.lane, self.waiting, self.retry_after_s = lane, waiting, retry_after_s
        super().__init__(
            f"{waiting} replies of {lane_label(lane)} wait already.", f"Try again in {retry_after_s:.0f} s."
        )


@dataclass(frozen=True)
class Filing:
    """A Turn as it is filed: a request that was checked, and what the worker that files it found out."""

    turn_id: str
    conversation_id: str
    model: ModelRef
    quant: Quant
    device: Device
    sampling: Sampling  # with its seed
    history: History
    broker: str
    say: tuple[Utterance, ...] = ()
    after: str | None = None  # None: the Turn that was added last; "": the beginning
    options: tuple[str, ...] = ()
    title: str = ""
    echo: bool = False
    apart: bool = False  # the conversation's newest Turn stays what it was

    @property
    def lane(self) -> Lane:
        return Lane(self.device, str(self.model), self.quant)


@dataclass(frozen=True)
class Filed:
    """What stands in the store now."""

    status: TurnStatus
    attempt: int
    lane: Lane
    ahead: int  # replies of the lane that were filed before it and still wait
    new: bool  # False: it had been filed before, and nothing was added


def file_turn(store: Store, filing: Filing, *, most: int = MAX_WAITING) -> Filed:
    """File what is said and the reply to come, once: of a Turn that is there already, its state comes back.

    Raises
    ------
    ConversationBusy
        where another Turn of the conversation is under way.
    LaneFull
        where `most` replies of the lane wait already.
    BadInput
        where the Turn that it follows isn't there, there is nothing to answer, or the id is another conversation's.
    """
    with store.write() as session:
        store.lock(session, f"proctor conversation {filing.conversation_id}")
        earlier = session.get(ReplyRow, filing.turn_id)
        if earlier is not None:
            return _found(session, filing, earlier)
        now = store.now(session)
        _check_room(session, filing, most, now)
        conversation = _conversation(session, filing, now)
        last = _said(session, filing, _parent(session, filing, conversation), now)
        if last is None:
            raise BadInput(f"Conversation {filing.conversation_id} is empty, and nothing is said.")
        _add(session, filing, filing.turn_id, last, Utterance(Role.ASSISTANT, ""), now)
        reply = _reply(filing, now)
        session.add(reply)
        conversation.touched_at = now
        if not filing.options and not filing.apart:
            conversation.last_turn_id = filing.turn_id
        return Filed(TurnStatus.PENDING, 0, filing.lane, _ahead(session, reply), new=True)


def _found(session: Session, filing: Filing, reply: ReplyRow) -> Filed:
    if reply.conversation_id != filing.conversation_id:
        raise BadInput(f"Turn {filing.turn_id} belongs to another conversation.")
    reply.broker = filing.broker  # the client listens there now
    return Filed(TurnStatus(reply.status), reply.attempt, lane_of(reply.lane), _ahead(session, reply), new=False)


def _check_room(session: Session, filing: Filing, most: int, now: datetime) -> None:
    live = session.exec(
        select(ReplyRow).where(col(ReplyRow.conversation_id) == filing.conversation_id, col(ReplyRow.status).in_(LIVE))
    ).first()
    if live is not None:
        nobodys = live.lease_until is None or live.lease_until < now
        if live.broker == filing.broker or not nobodys:
            raise ConversationBusy(filing.conversation_id, live.turn_id)
        give_up(live, now, "its client's broker is gone, and nobody asked for it at another")
        session.flush()
    lane = str(filing.lane)
    waiting = session.exec(
        select(func.count()).where(
            col(ReplyRow.lane) == lane,
            col(ReplyRow.broker) == filing.broker,
            col(ReplyRow.status) == TurnStatus.PENDING,
        )
    ).one()
    if waiting >= most:
        raise LaneFull(filing.lane, waiting, max(1.0, waiting * _usual_s(session, lane) / 8))


def _usual_s(session: Session, lane: str) -> float:
    """Mean seconds from claim to end of the lane's replies of late."""
    recent = session.exec(
        select(ReplyRow.claimed_at, ReplyRow.ended_at)
        .where(col(ReplyRow.lane) == lane, col(ReplyRow.status) == TurnStatus.DONE)
        .order_by(col(ReplyRow.created_at).desc())
        .limit(RECENT)
    ).all()
    took = [(ended - began).total_seconds() for began, ended in recent if began is not None and ended is not None]
    return sum(took) / len(took) if took else USUAL_S


def _conversation(session: Session, filing: Filing, now: datetime) -> ConversationRow:
    found = session.get(ConversationRow, filing.conversation_id)
    if found is None:
        title = filing.title or next((said.content for said in filing.say if said.role is Role.USER), "")
        title = storable(" ".join(title.split())[:TITLE_CHARACTERS])
        found = ConversationRow(id=filing.conversation_id, title=title, created_at=now, touched_at=now)
        session.add(found)
        session.flush()
    return found


def _parent(session: Session, filing: Filing, conversation: ConversationRow) -> TurnRow | None:
    after = conversation.last_turn_id if filing.after is None else filing.after
    if not after:
        return None
    parent = session.get(TurnRow, after)
    if parent is None or parent.conversation_id != filing.conversation_id:
        raise BadInput(f"Conversation {filing.conversation_id} has no turn {after}.")
    return parent


def _said(session: Session, filing: Filing, parent: TurnRow | None, now: datetime) -> TurnRow | None:
    """Add what is said; the Turn that the reply follows."""
    for number, utterance in enumerate(filing.say):
        parent = _add(session, filing, f"{filing.turn_id}-{number}", parent, utterance, now)
    return parent


def _add(
    session: Session, filing: Filing, turn_id: str, parent: TurnRow | None, utterance: Utterance, now: datetime
) -> TurnRow:
    row = TurnRow(
        id=turn_id,
        conversation_id=filing.conversation_id,
        parent_id=None if parent is None else parent.id,
        position=0 if parent is None else parent.position + 1,
        role=utterance.role,
        content=storable(utterance.content),
        token_ids=utterance.token_ids,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def _reply(filing: Filing, now: datetime) -> ReplyRow:
    return ReplyRow(
        turn_id=filing.turn_id,
        conversation_id=filing.conversation_id,
        lane=str(filing.lane),
        model_name=filing.model.name,
        model_source=filing.model.source,
        model_revision=filing.model.revision,
        quant=filing.quant,
        device=filing.device,
        broker=filing.broker,
        history=filing.history,
        sampling=asdict(filing.sampling),
        options=list(filing.options),
        echo=filing.echo,
        status=TurnStatus.PENDING,
        created_at=now,
    )


def _ahead(session: Session, reply: ReplyRow) -> int:
    return session.exec(
        select(func.count()).where(
            col(ReplyRow.lane) == reply.lane,
            col(ReplyRow.broker) == reply.broker,
            col(ReplyRow.status) == TurnStatus.PENDING,
            col(ReplyRow.created_at) < reply.created_at,
        )
    ).one()
