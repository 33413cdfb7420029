"""Replies by a server: a request and a thread each, so many at a time; what comes is handed out a step at a time.

A reply whose stream breaks off is asked for anew. What comes again is compared with what was handed out, so that
nothing is lost and nothing said twice; where the server says something else by then, the reply goes on behind what was
handed out, if the server goes on with texts at all.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proctor.nouns.conversations import Finish
from workers.engines.endpoint.dialect import Dialect
from workers.engines.endpoint.retries import Setback
from workers.engines.endpoint.server import Interrupted, Refused, Server, daemon
from workers.engines.endpoint.tokens import WireTokenizer
from workers.engines.endpoint.usage import usage_of
from workers.engines.generation import GenerationRequest, NextToken, ReplyRefused, Usage

WAIT_S = 0.1  # that a step waits for something to come, before whoever steps may look at other things
END = -1  # stands for the end token, which no server tells
_FINISHES = {"stop": Finish.STOP, "length": Finish.LENGTH, "content_filter": Finish.STOP}


@dataclass
class _Reply:
    """A reply under way. `come` and `anew` are its own thread's, the rest belongs to whoever steps."""

    request: GenerationRequest
    come: list[int]  # tokens of the reply, of this try and those before
    anew: bool  # whether the next try asks for the reply from its beginning
    cancelled: threading.Event = field(default_factory=threading.Event)
    ready: list[int] = field(default_factory=list)  # tokens that aren't handed out yet
    finish: Finish | None = None
    usage: Usage = field(
        default_factory=Usage
    )  # as it is counted here, a token a piece, until the server tells its own

    def take(self, piece: _Piece) -> None:
        self.ready += piece.tokens
        self.finish = piece.finish or self.finish
        self.usage = piece.usage or replace(self.usage, written=self.usage.written + piece.counted)

    def next(self) -> NextToken | None:
        """What can be handed out. One token waits: it may be the one at which the reply ends for its length."""
        tokens, self.ready = self.ready, []
        if self.finish is None:
            tokens, self.ready = tokens[:-1], tokens[-1:]
        over = self.finish is Finish.LENGTH
        if tokens:
            first, *further = tokens
            finish = Finish.LENGTH if over else None
            return NextToken(self.request.id, first, finish=finish, further=tuple(further), usage=self.usage)
        if self.finish is None:
            return None
        return NextToken(self.request.id, END, finish=Finish.STOP, usage=self.usage)


@dataclass(frozen=True)
class _Piece:
    """What one event adds to a reply: tokens; at its end why it ended, and what it took."""

    tokens: tuple[int, ...] = ()
    counted: int = 0  # as so many tokens
    finish: Finish | None = None
    usage: Usage | None = None  # the server's count of the whole reply


class EndpointGenerator:
    """The `Generator` that asks a server."""

    def __init__(self, server: Server, dialect: Dialect, tokenizer: WireTokenizer) -> None:
        self._server, self._dialect, self._tokenizer = server, dialect, tokenizer
        self._live: dict[str, _Reply] = {}
        self._news: queue.SimpleQueue[tuple[_Reply, _Piece | Exception]] = queue.SimpleQueue()

    @property
    def live(self) -> int:
        return len(self._live)

    def fits(self, request: GenerationRequest) -> bool:  # noqa: ARG002 -- the protocol's
        return True  # more than the server takes wait for their turn

    def add(self, request: GenerationRequest) -> int:
        """As `Generator.add`; nothing is known to be kept. Raises `CantBeAsked` for what the server can't do."""
        wire = self._dialect.wire(self._tokenizer, request.prompt)
        reply = _Reply(request, list(request.emitted), anew=self._dialect.is_chat(wire))
        reply.usage = Usage(self._tokenizer.size(request.prompt))
        self._asked(reply)
        self._live[request.id] = reply
        daemon(lambda: self._work(reply), "endpoint-reply")
        return 0

    def cancel(self, request_id: str) -> None:
        reply = self._live.pop(request_id, None)
        if reply is not None:
            reply.cancelled.set()

    def step(self) -> list[NextToken]:
        """What has come of the replies, a piece each; waits for a moment where nothing has.

        Raises
        ------
        EndpointAway
            where the server stays away.
        ReplyRefused
            where it refuses a prompt.
        """
        found = self._handed_out()
        while not found:
            if not self._take_news(wait=True):
                return []
            found = self._handed_out()
        return found

    def let_go(self) -> bool:
        return False  # what the server keeps is its own affair

    def forget(self) -> None:
        for request_id in list(self._live):
            self.cancel(request_id)

    def _handed_out(self) -> list[NextToken]:
        while self._take_news(wait=False):
            pass
        found = [token for reply in self._live.values() if (token := reply.next()) is not None]
        for token in found:
            if token.finish is not None:
                self.cancel(token.id)
        return found

    def _take_news(self, *, wait: bool) -> bool:
        """Whether there was any."""
        try:
            reply, piece = self._news.get(wait, WAIT_S)
        except queue.Empty:
            return False
        if reply.cancelled.is_set():
            return True
        if isinstance(piece, ReplyRefused):
            self.cancel(piece.request_id)
            raise piece
        if isinstance(piece, Exception):
            self.forget()
            raise piece
        reply.take(piece)
        return True

    # --- in the threads of replies

    def _work(self, reply: _Reply) -> None:
        try:
            self._server.persist(lambda: self._stream(reply))
        except Refused as error:
            self._refuse(reply, f"its server refuses: {error.said}", error)
        except Exception as error:  # noqa: BLE001 -- raised again by `step`
            self._news.put((reply, error))

    def _refuse(self, reply: _Reply, cause: str, error: Exception) -> None:
        fault = ReplyRefused(reply.request.id, self._dialect.model, cause)
        fault.__cause__ = error
        self._news.put((reply, fault))

    def _stream(self, reply: _Reply) -> None:
        """One try at the rest of a reply. A later one begins anew, so that it ends as an undisturbed one."""
        if reply.cancelled.is_set():
            return
        path, body = self._asked(reply)
        repeated, reply.anew = reply.come[:] if reply.anew else [], True
        finish, usage = None, Usage()
        for event in self._server.events(path, body):
            if reply.cancelled.is_set():
                return
            usage = usage_of(event) if event.get("usage") else usage
            for choice in event.get("choices") or ():
                tokens = self._fresh(reply, repeated, self._tokens_of(choice))
                reply.come += tokens
                counted = len(tokens) if self._dialect.reply_ids else min(1, len(tokens))
                self._news.put((reply, _Piece(tuple(tokens), counted)))
                finish = _FINISHES.get(choice.get("finish_reason") or "", finish)
        if finish is None:
            raise Interrupted(Setback("its stream ended without a reason"))
        self._news.put((reply, _Piece(finish=finish, usage=usage if usage != Usage() else None)))

    def _asked(self, reply: _Reply) -> tuple[str, dict[str, Any]]:
        """Path and body of the request for a reply: all of it, or what goes on behind what has come."""
        request, behind = reply.request, [] if reply.anew else reply.come
        longest = request.sampling.max_tokens
        if longest is None and self._tokenizer.own_ids:
            longest = request.limit
        left = None if longest is None else max(1, longest - self._tokenizer.size(behind))
        wire = self._dialect.wire(self._tokenizer, [*request.prompt, *behind])
        return self._dialect.reply_body(wire, request.sampling, left)

    def _tokens_of(self, choice: Mapping[str, Any]) -> Sequence[int]:
        if self._dialect.reply_ids and choice.get("token_ids"):
            return [int(token) for token in choice["token_ids"]]
        text = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
        return self._tokenizer.text_ids(text) if text and not self._dialect.reply_ids else []

    def _fresh(self, reply: _Reply, repeated: list[int], tokens: Sequence[int]) -> list[int]:
        """Of tokens that came, those that hadn't come before; `repeated` are those that are still to come again.

        Raises
        ------
        Interrupted
            where the server says something else this time: the next try goes on behind what it said first.
        ReplyRefused
            where it can't, for it has chat alone.
        """
        common = min(len(repeated), len(tokens))
        if list(tokens[:common]) == repeated[:common]:
            del repeated[:common]
            return list(tokens[common:])
        if self._dialect.is_chat(self._dialect.wire(self._tokenizer, reply.request.prompt)):
            cause = "its reply broke off, and its server says something else when it is asked again"
            raise ReplyRefused(reply.request.id, self._dialect.model, cause, "Ask again.")
        reply.anew = False
        raise Interrupted(Setback("it says something else when it is asked again"))
