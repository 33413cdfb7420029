"""Between the values of `proctor.nouns.conversations` and the rows that hold them."""

from __future__ import annotations

from dataclasses import asdict, replace

from proctor.nouns.conversations import (
    ContextFacts,
    Counts,
    Fault,
    Finish,
    History,
    Role,
    Sampling,
    Summary,
    Turn,
    TurnStatus,
)
from proctor.store.conversations.tables import ReplyRow, SummaryRow, TurnRow
from proctor.store.database.column_types import JsonObject


def turn_of(row: TurnRow, reply: ReplyRow | None) -> Turn:
    """A Turn from its row and, where it is the assistant's and was made here, that of its reply."""
    said = Turn(
        id=row.id,
        conversation_id=row.conversation_id,
        parent_id=row.parent_id,
        position=row.position,
        role=Role(row.role),
        content=row.content,
        status=TurnStatus.DONE,
        created_at=row.created_at,
        token_ids=tuple(row.token_ids),
    )
    if reply is None:
        return said
    return replace(
        said,
        status=TurnStatus(reply.status),
        lane=reply.lane,
        history=History(reply.history),
        sampling=sampling_of(reply.sampling),
        finish=Finish(reply.finish) if reply.finish else None,
        fault=Fault(reply.fault) if reply.fault else None,
        error=reply.error,
        counts=Counts(**reply.counts) if reply.counts else Counts(),
        context=context_of(reply.context),
        options_logprob=tuple(reply.options_logprob),
        logprobs=tuple(reply.logprobs),
        ended_at=reply.ended_at,
    )


def summary_of(row: SummaryRow) -> Summary:
    assert row.id is not None
    return Summary(
        id=row.id,
        conversation_id=row.conversation_id,
        through_id=row.through_id,
        content=row.content,
        method=row.method,
        source_tokens=row.source_tokens,
        tokens=row.tokens,
        created_at=row.created_at,
        undone_at=row.undone_at,
    )


def sampling_of(stored: JsonObject) -> Sampling:
    return Sampling(**{**stored, "stop": tuple(stored["stop"])})


def context_object(context: ContextFacts) -> JsonObject:
    return asdict(context)


def context_of(stored: JsonObject | None) -> ContextFacts | None:
    if stored is None:
        return None
    return ContextFacts(**{**stored, "shown": tuple(stored["shown"]), "cut": tuple(stored["cut"])})
