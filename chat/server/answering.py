"""Completions answered over HTTP: whole, or as they come. Closing the connection stops them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from chat.client.aio import AsyncReply
from chat.client.client import EarlierRelease, ScoresLost, TurnFailed
from chat.protocol.turns import Aside, AsidePlace, Ending, Entry, Piece, Progress, TokenScore, TurnRequest
from chat.server import errors
from chat.server.fleet import FleetClient
from chat.server.responses import DONE, CompletionShape, EndedReply, event
from proctor.errors import ProctorError
from proctor.nouns.conversations import Finish

PATIENT_S = 15.0  # before a stream begins although nothing was said yet: a proxy would give up on a silent one
SSE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
AT_ONCE = 16  # prompts of a request that are asked at once: a lane has room for more, others' among them


async def whole(fleet: FleetClient, http: Request, requests: Sequence[TurnRequest], shape: CompletionShape) -> Response:
    """The whole answer, a choice for each request; a client that leaves stops them.

    Raises
    ------
    TurnFailed
        with the first that failed; the others are stopped.
    ProctorError
        where nobody answers.
    """
    replies: list[AsyncReply] = []
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(request: TurnRequest) -> EndedReply:
        async with room:
            reply = AsyncReply(fleet.client, request)
            replies.append(reply)  # before it is sent: a client that leaves meanwhile stops it, too
            await fleet.client.send(request)
            return await _hear(reply, shape)

    asking = [asyncio.create_task(ask(request)) for request in requests]
    leaving = asyncio.create_task(_gone(http))
    try:
        heard = await _unless(leaving, asking)
        if heard is None:
            return Response(status_code=499)  # nobody reads it
    finally:
        for task in (*asking, leaving):
            task.cancel()
        await asyncio.gather(leaving, *asking, return_exceptions=True)
        await asyncio.gather(*(_stop(reply) for reply in replies))
    fleet.answered(shape.model)
    return JSONResponse(shape.whole(heard))


async def streamed(
    fleet: FleetClient, http: Request, request: TurnRequest, shape: CompletionShape, *, include_usage: bool
) -> StreamingResponse:
    """The answer as it comes. Raises as `whole` what is known before its first word."""
    reply = await fleet.client.ask(request)
    first = await _first_words(reply)
    if isinstance(first, Ending) and first.finish is Finish.FAILED:
        raise TurnFailed(first, shape.asked)
    if first is not None:
        fleet.answered(shape.model)
    body = _stopped_by_leaving(http, reply, _stream(reply, first, shape, include_usage=include_usage))
    return StreamingResponse(body, media_type="text/event-stream", headers=SSE_HEADERS)


async def _unless(leaving: asyncio.Task[None], asking: Sequence[asyncio.Task[EndedReply]]) -> list[EndedReply] | None:
    """What all of them hear; None where the client leaves first. Raises what the first that fails raises."""
    under_way: set[asyncio.Task[Any]] = {leaving, *asking}
    while under_way != {leaving}:
        done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        if leaving in done:
            return None
        for task in done:
            await task
    return [await task for task in asking]


async def _hear(reply: AsyncReply, shape: CompletionShape) -> EndedReply:
    """A reply to its end. Raises `TurnFailed`."""
    scores: list[TokenScore] = []
    asides: dict[AsidePlace, Aside] = {}
    async for entry in _entries(reply):
        if isinstance(entry, Piece):
            scores += entry.scores
        elif isinstance(entry, Aside):
            asides[entry.place] = entry
    assert reply.ending is not None
    if reply.ending.finish is Finish.FAILED:
        raise TurnFailed(reply.ending, shape.asked)
    return EndedReply(
        reply.text, tuple(scores), reply.ending, asides.get(AsidePlace.PROMPT), asides.get(AsidePlace.END)
    )


async def _entries(reply: AsyncReply, *, echoed: bool = False) -> AsyncIterator[Entry]:
    """What is told of a reply; `echoed`: its prompt was.

    Raises
    ------
    EarlierRelease
        where a worker left something out.
    ScoresLost
        where tokens come without the log-probabilities that were asked for.
    """
    tokens = next((len(each.token_ids) for each in reply.request.say if each.token_ids), None)
    echoed = echoed or not reply.request.echo
    scored = reply.request.sampling.rivals is not None
    async for entry in reply.entries():
        echoed = echoed or isinstance(entry, Aside)
        context = entry.context if isinstance(entry, Progress) else None
        misread = tokens is not None and context is not None and context.tokens != tokens
        if misread or (isinstance(entry, Ending) and entry.finish is not Finish.FAILED and not echoed):
            raise EarlierRelease
        if scored and isinstance(entry, Piece) and len(entry.scores) != len(entry.tokens):
            raise ScoresLost
        yield entry


async def _gone(http: Request) -> None:
    """Return when the client has closed its connection."""
    while True:
        if (await http.receive())["type"] == "http.disconnect":
            return


async def _first_words(reply: AsyncReply) -> Entry | None:
    """Wait for the first piece, so that a refusal can still be an HTTP status; None if it takes long."""
    try:
        async with asyncio.timeout(PATIENT_S) as patience:
            async for entry in _entries(reply):
                patience.reschedule(asyncio.get_running_loop().time() + PATIENT_S)
                if not isinstance(entry, Progress):
                    return entry
    except TimeoutError:
        return None
    return None


async def _stream(
    reply: AsyncReply, first: Entry | None, shape: CompletionShape, *, include_usage: bool
) -> AsyncIterator[str]:
    """The reply as server-sent events."""
    echoed, characters = False, 0
    try:
        for chunk in shape.opening():
            yield event(chunk)
        async for entry in _chained(first, reply):
            if isinstance(entry, Progress):
                yield f": {entry.stage}\n\n"
            elif isinstance(entry, Ending) and entry.finish is Finish.FAILED:
                error = TurnFailed(entry, shape.asked)
                yield event(errors.body(errors.kind_of(error), errors.message_of(error), errors.param_of(error)))
                return
            elif not (
                echoed and isinstance(entry, Aside) and entry.place is AsidePlace.PROMPT
            ):  # another worker tells it
                for chunk in _chunks(shape, entry, characters, include_usage=include_usage):
                    yield event(chunk)
            if isinstance(entry, Aside) and entry.place is AsidePlace.PROMPT:
                echoed, characters = True, len(entry.text)
        yield DONE
    except ProctorError as error:  # the broker or every worker went away
        yield event(errors.body(errors.kind_of(error), str(error)))


def _chunks(
    shape: CompletionShape, entry: Piece | Aside | Ending, before: int, *, include_usage: bool
) -> Iterator[dict[str, Any]]:
    """What a stream says of an entry, behind so many characters of an echoed prompt."""
    match entry:
        case Piece():
            return shape.piece(entry, before)
        case Aside():
            return shape.aside(entry, before)
        case Ending():
            return shape.closing(entry, include_usage=include_usage)


async def _stopped_by_leaving(http: Request, reply: AsyncReply, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """The same events; a client that leaves stops the reply, also while nothing is said."""

    async def watch() -> None:
        await _gone(http)
        await _stop(reply)

    watching = asyncio.create_task(watch())
    try:
        async for each in events:
            yield each
    except asyncio.CancelledError:  # the server tells of a client's leaving by cancelling, too
        await asyncio.shield(_stop(reply))
        raise
    finally:
        watching.cancel()


async def _stop(reply: AsyncReply) -> None:
    if reply.ending is None:
        with suppress(ProctorError):  # the broker is away, and with it whoever could hear of it
            await reply.stop()


async def _chained(first: Entry | None, reply: AsyncReply) -> AsyncIterator[Entry]:
    if first is not None:
        yield first
    if not isinstance(first, Ending):
        async for entry in _entries(reply, echoed=isinstance(first, Aside)):
            yield entry
