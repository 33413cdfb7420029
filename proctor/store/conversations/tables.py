"""The rows of conversations: what `proctor.store.runs.tables` is for exams. They stay in this room as well."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, Index, false, text
from sqlmodel import Field

from proctor.store.database.column_types import Doubles, JsonObject, Row, TokenIds, UtcDateTime


class ConversationRow(Row, table=True):
    """A chat. Its Turns are a tree; `last_turn_id` is the one that was added last, behind which the next one goes."""

    __tablename__ = "conversation"

    id: str = Field(primary_key=True)
    title: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    touched_at: datetime = Field(sa_type=UtcDateTime, index=True)
    last_turn_id: str | None = None


class TurnRow(Row, table=True):
    """One message. That of the assistant is empty until its reply ends, but for what is kept of it now and then."""

    __tablename__ = "turn"
    __table_args__ = (CheckConstraint("role IN ('system', 'user', 'assistant')", name="role"),)

    id: str = Field(primary_key=True)
    conversation_id: str = Field(foreign_key="conversation.id", index=True)
    parent_id: str | None = Field(default=None, foreign_key="turn.id")
    position: int
    role: str
    content: str
    token_ids: tuple[int, ...] = Field(sa_type=TokenIds)  # of a reply, or of what was said in tokens
    created_at: datetime = Field(sa_type=UtcDateTime)


class ReplyRow(Row, table=True):
    """The making of an assistant's Turn. Its life is the docstring of `proctor.store.conversations.turns`."""

    __tablename__ = "reply"
    __table_args__ = (
        Index(None, "status", "lane", "created_at"),  # the claim
        Index(
            "uq_reply_one_live",
            "conversation_id",
            unique=True,
            sqlite_where=text("status IN ('pending', 'running')"),
            postgresql_where=text("status IN ('pending', 'running')"),
        ),
        CheckConstraint("status IN ('pending', 'running', 'done', 'failed')", name="status"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="only_running_is_leased"),
    )

    turn_id: str = Field(primary_key=True, foreign_key="turn.id")
    conversation_id: str = Field(foreign_key="conversation.id")
    lane: str
    model_name: str
    model_source: str
    model_revision: str
    quant: str
    device: str
    dtype: str = ""  # what it was computed in
    broker: str  # which broker its client listens at
    history: str
    sampling: JsonObject = Field(sa_type=JSON)
    options: list[str] = Field(sa_type=JSON)
    echo: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    status: str
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    worker: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    claimed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # first claim
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finish: str | None = None
    fault: str | None = None
    error: str = ""
    traceback: str = ""
    counts: JsonObject | None = Field(default=None, sa_type=JSON(none_as_null=True))
    context: JsonObject | None = Field(default=None, sa_type=JSON(none_as_null=True))
    options_logprob: tuple[float, ...] = Field(default=(), sa_type=Doubles)
    logprobs: tuple[float, ...] = Field(default=(), sa_type=Doubles)


class SummaryRow(Row, table=True):
    """What was said up to a Turn, in short. Rows are only added; one that was taken back says when."""

    __tablename__ = "summary"

    id: int | None = Field(default=None, primary_key=True)
    conversation_id: str = Field(foreign_key="conversation.id", index=True)
    through_id: str = Field(foreign_key="turn.id")
    content: str
    method: str
    source_tokens: int
    tokens: int
    created_at: datetime = Field(sa_type=UtcDateTime)
    undone_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
