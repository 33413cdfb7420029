"""Replies that fail: filed with their Turn, and told to whoever listens."""

from __future__ import annotations

import logging
import traceback
from functools import partial

from chat.context.window import ContextTooLong
from chat.protocol.turns import Ending
from proctor.errors import BadInput, BadModel, ProctorError, StoreUnavailable, first_line
from proctor.nouns.conversations import Counts, Fault, Finish
from proctor.retry import OutageRetry
from proctor.store.conversations import turns
from proctor.store.conversations.turns import Ended, TurnClaim, TurnLost
from proctor.store.database.session import Store
from workers.conversation.streams import ReplyStreams, ReplyWriter

log = logging.getLogger(__name__)


class Failures:
    """The way of a failure to its Turn and its stream."""

    def __init__(self, store: Store, retry: OutageRetry, replies: ReplyStreams) -> None:
        self._store, self._patience, self._replies = store, retry, replies

    def file(self, claim: TurnClaim, writer: ReplyWriter, fault: Fault, error: Exception, *, final: bool) -> None:
        """File a failure with its reply, and tell it where that is over; else it is claimed again."""
        log.warning("turn %s failed: %s", claim.turn_id, error)
        trace = "" if isinstance(error, ProctorError) else traceback.format_exc()
        said = str(error) if isinstance(error, ProctorError) else first_line(error)
        try:
            over = self._patience(partial(turns.fail, self._store, claim, fault, said, trace, final=final))
        except (TurnLost, StoreUnavailable) as lost:
            log.warning("the failure isn't kept: %s", lost)
            return
        if over:
            self._replies.send(writer.end(_failed(fault, said, error)))

    def tell_ended(self, ended: Ended) -> None:
        """A reply over which too many workers died has ended with the look at it."""
        writer = ReplyWriter(ended.turn_id, ended.attempt + 1)
        self._replies.send(writer.end(Ending(Finish.FAILED, fault=ended.fault, error=ended.error)))


def fault_of(error: Exception) -> Fault:
    """What a failure is to programs."""
    if isinstance(error, ContextTooLong):
        return Fault.TOO_LONG
    if isinstance(error, BadModel):
        return Fault.BAD_MODEL
    return Fault.BAD_REQUEST if isinstance(error, BadInput) else Fault.INTERNAL


def _failed(fault: Fault, said: str, error: Exception) -> Ending:
    if isinstance(error, ContextTooLong):
        counts = Counts(tokens_in=error.tokens)
        return Ending(Finish.FAILED, counts, fault, said, window_tokens=error.budget_tokens)
    return Ending(Finish.FAILED, fault=fault, error=said)
