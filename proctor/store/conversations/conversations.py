"""Conversations as they stand in the store: reading them, and their summaries."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, true
from sqlmodel import Session, col, select

from proctor.errors import BadInput, UnknownName
from proctor.nouns.conversations import Conversation, ListedConversation, Summary, Turn, TurnStatus
from proctor.store.conversations.codec import summary_of, turn_of
from proctor.store.conversations.tables import ConversationRow, ReplyRow, SummaryRow, TurnRow
from proctor.store.database.session import Store
from proctor.store.runs.codec import storable

ESCAPE = "\\"


def listing(store: Store, *, text: str = "", limit: int = 50) -> list[ListedConversation]:
    """Conversations, those touched last first; with `text` those in whose title or messages it stands, any case."""
    with store.read() as session:
        rows = session.exec(
            select(ConversationRow)
            .where(_mentions(text) if text else true())
            .order_by(col(ConversationRow.touched_at).desc(), col(ConversationRow.id))
            .limit(limit)
        ).all()
        counts = _counts(session, [row.id for row in rows])
        return [
            ListedConversation(
                row.id, row.title, row.created_at, row.touched_at, counts.get(row.id, 0), _last_lane(session, row.id)
            )
            for row in rows
        ]


def load(store: Store, beginning: str) -> Conversation:
    """The conversation with this id, or the only one whose id begins so.

    Raises
    ------
    UnknownName
        where there is none.
    BadInput
        where several ids begin so.
    """
    with store.read() as session:
        row = session.get(ConversationRow, beginning) or _only(session, beginning)
        turns = session.exec(
            select(TurnRow, ReplyRow)
            .outerjoin(ReplyRow, col(ReplyRow.turn_id) == col(TurnRow.id))
            .where(col(TurnRow.conversation_id) == row.id)
            .order_by(col(TurnRow.created_at), col(TurnRow.position), col(TurnRow.id))
        ).all()
        return Conversation(
            id=row.id,
            title=row.title,
            created_at=row.created_at,
            touched_at=row.touched_at,
            last_turn_id=row.last_turn_id,
            turns=tuple(turn_of(turn, reply) for turn, reply in turns),
            summaries=tuple(summary_of(summary) for summary in _summaries(session, row.id)),
        )


def find_turn(store: Store, turn_id: str) -> Turn | None:
    """A Turn by its id."""
    with store.read() as session:
        row = session.get(TurnRow, turn_id)
        return None if row is None else turn_of(row, session.get(ReplyRow, turn_id))


def add_summary(
    store: Store, conversation_id: str, through_id: str, *, content: str, method: str, source_tokens: int, tokens: int
) -> Summary:
    """Keep a summary of what was said up to Turn `through_id`; earlier ones stay."""
    with store.write() as session:
        row = SummaryRow(
            conversation_id=conversation_id,
            through_id=through_id,
            content=storable(content),
            method=method,
            source_tokens=source_tokens,
            tokens=tokens,
            created_at=store.now(session),
        )
        session.add(row)
        session.flush()
        return summary_of(row)


def undo_summary(store: Store, conversation_id: str) -> Summary | None:
    """Take the newest summary that is in use back; None where there is none. What it stood for is shown again."""
    with store.write() as session:
        in_use = [row for row in _summaries(session, conversation_id) if row.undone_at is None]
        if not in_use:
            return None
        in_use[-1].undone_at = store.now(session)
        return summary_of(in_use[-1])


def forget(store: Store, age: timedelta, most: int = 20) -> int:
    """Delete conversations to which nothing was added for longer than `age`, the oldest first; how many they were.

    At most `most` are deleted, each in a transaction of its own. One with a reply to come stays, however old.
    """
    with store.read() as session:
        old = session.exec(
            select(ConversationRow.id)
            .where(_is_over(store.now(session) - age))
            .order_by(col(ConversationRow.touched_at))
            .limit(most)
        ).all()
    return sum(_forget_one(store, conversation, age) for conversation in old)


def _forget_one(store: Store, conversation: str, age: timedelta) -> bool:
    with store.write() as session:
        store.lock(session, f"proctor conversation {conversation}")  # whoever files a Turn has it, too
        over = _is_over(store.now(session) - age)
        if (
            session.exec(select(ConversationRow.id).where(col(ConversationRow.id) == conversation, over)).first()
            is None
        ):
            return False
        for row in (SummaryRow, ReplyRow, TurnRow):
            session.exec(delete(row).where(col(row.conversation_id) == conversation))
        session.exec(delete(ConversationRow).where(col(ConversationRow.id) == conversation))
        return True


def _is_over(before: datetime) -> ColumnElement[bool]:
    live = select(ReplyRow.conversation_id).where(col(ReplyRow.status).in_((TurnStatus.PENDING, TurnStatus.RUNNING)))
    return (col(ConversationRow.touched_at) < before) & col(ConversationRow.id).not_in(live)


def _mentions(text: str) -> ColumnElement[bool]:
    escaped = text.lower().replace(ESCAPE, ESCAPE * 2).replace("%", f"{ESCAPE}%").replace("_", f"{ESCAPE}_")
    pattern = f"%{escaped}%"
    said = select(TurnRow.conversation_id).where(func.lower(TurnRow.content).like(pattern, escape=ESCAPE))
    titled = func.lower(ConversationRow.title).like(pattern, escape=ESCAPE)
    return titled | col(ConversationRow.id).in_(said)


def _counts(session: Session, ids: list[str]) -> dict[str, int]:
    rows = session.exec(
        select(TurnRow.conversation_id, func.count())
        .where(col(TurnRow.conversation_id).in_(ids))
        .group_by(col(TurnRow.conversation_id))
    )
    return dict(rows.all())


def _last_lane(session: Session, conversation_id: str) -> str:
    newest = select(ReplyRow.lane).where(col(ReplyRow.conversation_id) == conversation_id)
    return session.exec(newest.order_by(col(ReplyRow.created_at).desc()).limit(1)).first() or ""


def _only(session: Session, beginning: str) -> ConversationRow:
    escaped = beginning.replace(ESCAPE, ESCAPE * 2).replace("%", f"{ESCAPE}%").replace("_", f"{ESCAPE}_")
    starting = select(ConversationRow).where(col(ConversationRow.id).like(f"{escaped}%", escape=ESCAPE))
    rows = session.exec(starting.limit(2)).all() if beginning else ()
    if not rows:
        raise UnknownName("conversation", beginning, [], "`proctor chat list` shows them.")
    if len(rows) > 1:
        raise BadInput(f"Several conversations begin with {beginning!r}.", "Give more of the id.")
    return rows[0]


def _summaries(session: Session, conversation_id: str) -> list[SummaryRow]:
    mine = select(SummaryRow).where(col(SummaryRow.conversation_id) == conversation_id)
    return list(session.exec(mine.order_by(col(SummaryRow.id))).all())
