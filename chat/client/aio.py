"""`chat.client.client` for asyncio: the same promises, the same waits.

async with AsyncClient(url) as client:
    reply = await client.ask(Manner("smollm2").request(new_id(), [Utterance(Role.USER, "Name three rivers.")]))
    async for text in reply:
        print(text, end="", flush=True)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, TypeVar

import redis

from chat.client.client import (
    BROKEN,
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    PATIENCE_S,
    SOCKET_S,
    NobodyAnswers,
    TurnFailed,
    broker_away,
    broker_refuses,
)
from chat.client.reader import QUIET_S, ReplyReader
from chat.protocol.inquiries import INQUIRIES, INQUIRY_S, Inquiry, answer_key
from chat.protocol.turns import (
    BLOCK_MS,
    REQUEST_S,
    REQUESTS,
    REQUESTS_S,
    STOP_S,
    Ending,
    Entry,
    Piece,
    TurnRequest,
    dump_request,
    reply_key,
    request_key,
    stop_key,
)
from proctor.broker import clients
from proctor.nouns.conversations import Finish
from proctor.retry import doubling, jittered
from proctor.wire import to_json

T = TypeVar("T")


class AsyncClient:
    """A connection to the broker for one event loop. Raises `BrokerUnavailable` where patience ends."""

    def __init__(self, broker_url: str, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self.redis = clients.async_client(broker_url, SOCKET_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.redis.aclose()

    async def ask(self, request: TurnRequest) -> AsyncReply:
        """Send a Turn; what comes is read from the reply."""
        await self.send(request)
        return AsyncReply(self, request)

    async def send(self, request: TurnRequest) -> None:
        """Send a Turn once more, or for the first time: workers file it once."""
        text = dump_request(request)

        async def write() -> None:
            async with self.redis.pipeline(transaction=False) as pipeline:
                pipeline.set(request_key(request.turn), text, ex=REQUEST_S)
                pipeline.xadd(REQUESTS, {"turn": request.turn})
                pipeline.expire(REQUESTS, REQUESTS_S)
                await pipeline.execute()

        await self.patiently(write)

    async def stop(self, turn: str) -> None:
        """Stop a Turn's reply within a token, wherever it is worked on. What came is kept."""
        await self.patiently(lambda: self.redis.set(stop_key(turn), "1", ex=STOP_S))

    async def inquire(self, inquiry: Inquiry) -> bytes:
        """Ask about conversations; see `chat.client.client.Client.inquire`."""
        began = time.monotonic()
        while True:
            await self.patiently(lambda: self._put(inquiry))
            end = time.monotonic() + QUIET_S
            while time.monotonic() < end:
                found: Any = await self.patiently(lambda: self.redis.blpop([answer_key(inquiry.id)], BLOCK_MS // 1000))
                if found is not None:
                    answer: bytes = found[1]
                    return answer
            if time.monotonic() - began > self.patience_s:
                raise NobodyAnswers(time.monotonic() - began)

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` returns, tried again while the broker is away. Raises `BrokerUnavailable`."""
        end, waits = time.monotonic() + self.patience_s, doubling(FIRST_WAIT_S, LONGEST_WAIT_S)
        while True:
            try:
                return await call()
            except redis.AuthenticationError as error:
                raise broker_refuses(error) from error
            except BROKEN as error:
                wait_s = next(waits)
                if time.monotonic() + wait_s > end:
                    raise broker_away(error) from error
            await asyncio.sleep(jittered(wait_s))

    async def _put(self, inquiry: Inquiry) -> None:
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.lpush(INQUIRIES, to_json(inquiry))
            pipeline.expire(INQUIRIES, INQUIRY_S)
            await pipeline.execute()


class AsyncReply:
    """A reply as it comes: `async for` over it is its text, over `entries()` all that is known about it."""

    def __init__(self, client: AsyncClient, request: TurnRequest) -> None:
        self.client, self.request = client, request
        self.reader = ReplyReader()
        self._fresh: deque[Entry] = deque()  # heard, and not yet passed on

    @property
    def turn(self) -> str:
        return self.request.turn

    @property
    def text(self) -> str:
        """What came so far."""
        return self.reader.text

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it is under way."""
        return self.reader.ending

    async def __aiter__(self) -> AsyncIterator[str]:
        async for entry in self.entries():
            if isinstance(entry, Piece) and entry.text:
                yield entry.text
        if self.ending is not None and self.ending.finish is Finish.FAILED:
            raise TurnFailed(self.ending)

    async def entries(self) -> AsyncIterator[Entry]:
        """Everything that is told of the Turn, each once, through its `Ending`. Raises `NobodyAnswers`.

        Left and begun again, also by a cancelled wait, it goes on where it was.
        """
        began = heard = time.monotonic()
        while self._fresh or self.reader.ending is None:
            while self._fresh:
                yield self._fresh.popleft()
            if self.reader.ending is not None:
                return
            fresh = await self.client.patiently(self._listen)
            self._fresh.extend(fresh)
            now = time.monotonic()
            if fresh:
                heard = now
            elif now - heard > QUIET_S:
                await self.client.patiently(self._look_after)
                heard = now
            if not self.reader.accepted and now - began > self.client.patience_s:
                raise NobodyAnswers(now - began)

    async def stop(self) -> None:
        """Stop it within a token; its `Ending` comes as of any other reply."""
        await self.client.stop(self.turn)

    async def _listen(self) -> list[Entry]:
        return self.reader.take_all(
            await self.client.redis.xread({reply_key(self.turn): self.reader.last_id}, block=BLOCK_MS)
        )

    async def _look_after(self) -> None:
        """After a silence: hear the stream from its beginning; ask again where it is gone."""
        self.reader.start_over()
        if not await self.client.redis.exists(reply_key(self.turn)):
            await self.client.send(self.request)
