"""The HTTP API: OpenAI's completions over the fleet's models, and the page that talks to them.

    /v1/chat/completions  /v1/completions  /v1/models      as the `openai` client expects them
    /health                                                  whether a worker answers, without a token
    /metrics                                                 for Prometheus, where this server has a database
    /  and  /api/…                                           the page (`chat.page`)

Each completion is a conversation of its own, all of which the model reads (`History.ALL`); what earlier requests have
computed is used again by the worker all the same. Closing the connection of a completion stops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from chat import faults, page
from chat.asynchronous import AsyncReply
from chat.client import TurnFailed
from chat.completions import DONE, Shape, event
from chat.desk import Desk, Service
from chat.faults import ErrorAnswer, Kind
from chat.forms import ChatForm, CompletionForm
from chat.gate import Gate
from chat.protocol import Ending, Entry, Piece, Progress, TokenScore, TurnRequest
from proctor import __version__
from proctor.dialogue import Fault, Finish
from proctor.errors import ProctorError, StoreUnavailable

PATIENT_S = 15.0  # before a stream begins although nothing was said yet: a proxy would give up on a silent one
SSE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
}


def create_app(service: Service) -> Gate:
    """The application, to be served by any ASGI server. Opens nothing before its first request."""
    desk = Desk(service)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.close()

    app = FastAPI(title="Proctor", version=__version__, lifespan=life, docs_url=None, redoc_url=None, responses=ERRORS)
    app.state.desk = desk
    _add_faults(app)
    _add_completions(app, desk)
    _add_state(app, desk)
    page.add(app, desk)
    return Gate(app, service.token)


def _add_faults(app: FastAPI) -> None:
    async def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ProctorError)
        return faults.of_error(error)

    async def malformed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return faults.of_validation(error.errors(), error.body)

    async def no_route(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = Kind(error.status_code, faults.INVALID, "not_found" if error.status_code == 404 else None)
        return faults.answer(kind, f"{error.detail}.", headers=error.headers)

    app.add_exception_handler(ProctorError, ours)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, no_route)


def _add_completions(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/chat/completions", response_model=None, responses=page.STREAMED)
    async def chat_completions(form: ChatForm, http: Request) -> Response:
        """Reply to a conversation."""
        request = form.request()
        shape = Shape(request.turn, form.model, chat=True, scored=form.logprobs)
        return await _complete(desk, http, request, shape, stream=form.stream, include_usage=form.include_usage)

    @app.post("/v1/completions", response_model=None, responses=page.STREAMED)
    async def completions(form: CompletionForm, http: Request) -> Response:
        """Go on with a text, without the model's chat template."""
        request = form.request()
        shape = Shape(request.turn, form.model, chat=False, scored=form.logprobs is not None)
        return await _complete(desk, http, request, shape, stream=form.stream, include_usage=form.include_usage)


def _add_state(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/models", response_model=None)
    async def models() -> dict[str, Any]:
        """Models that can be asked for without a wait for files. Others can be named too: a worker fetches them."""
        return {"object": "list", "data": [_model(name) for name in await desk.models()]}

    @app.get("/v1/models/{name:path}", response_model=None)
    async def model(name: str) -> dict[str, Any] | Response:
        """One of them."""
        if name in await desk.models() or name in await desk.models(now=True):
            return _model(name)
        return faults.answer(faults.OF_FAULT[Fault.BAD_MODEL], f"{name[:200]!r} is not among the models here.", "model")

    @app.get("/health", response_model=None)
    async def health() -> JSONResponse:
        """Whether a worker answers."""
        try:
            workers = len(await desk.held())
        except Exception as error:  # noqa: BLE001 -- whatever it is: the question was whether all is well
            return JSONResponse({"status": "unavailable", "cause": type(error).__name__}, 503)
        status = "ok" if workers else "no worker"
        return JSONResponse({"status": status, "workers": workers}, 200 if workers else 503)

    @app.get("/metrics", response_model=None, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """For Prometheus."""
        if desk.service.metrics is None:
            return faults.answer(Kind(404, faults.INVALID, "not_found"), "This server has no database to measure.")
        try:
            text = await asyncio.to_thread(desk.service.metrics)
        except StoreUnavailable as error:
            return faults.answer(Kind(503, "server_error", "unavailable"), str(error))
        return PlainTextResponse(text, media_type=METRICS_TYPE)


async def _complete(
    desk: Desk, http: Request, request: TurnRequest, shape: Shape, *, stream: bool, include_usage: bool
) -> Response:
    reply = await desk.client.ask(request)
    if not stream:
        answer = await _whole(http, reply, shape)
        desk.answered(shape.model)
        return answer
    first = await _first_words(reply)
    if isinstance(first, Ending) and first.finish is Finish.FAILED:
        raise TurnFailed(first)
    if first is not None:
        desk.answered(shape.model)
    body = _stopped_by_leaving(http, reply, _stream(reply, first, shape, include_usage=include_usage))
    return StreamingResponse(body, media_type="text/event-stream", headers=SSE_HEADERS)


async def _whole(http: Request, reply: AsyncReply, shape: Shape) -> Response:
    """The whole answer; a client that leaves stops it."""
    scores: list[TokenScore] = []

    async def hear() -> None:
        async for entry in reply.entries():
            if isinstance(entry, Piece):
                scores.extend(entry.scores)

    hearing, leaving = asyncio.create_task(hear()), asyncio.create_task(_gone(http))
    try:
        await asyncio.wait({hearing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            await reply.stop()
            return Response(status_code=499)  # nobody reads it
        await hearing
    finally:
        for task in (hearing, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, ProctorError):
                await task
    assert reply.ending is not None
    if reply.ending.finish is Finish.FAILED:
        raise TurnFailed(reply.ending)
    return JSONResponse(shape.whole(reply.text, scores, reply.ending))


async def _gone(http: Request) -> None:
    """Return when the client has closed its connection."""
    while True:
        if (await http.receive())["type"] == "http.disconnect":
            return


async def _first_words(reply: AsyncReply) -> Entry | None:
    """The first piece, or an ending without one: until then a refusal can have its status. None where it takes long."""
    try:
        async with asyncio.timeout(PATIENT_S) as patience:
            async for entry in reply.entries():
                patience.reschedule(asyncio.get_running_loop().time() + PATIENT_S)
                if not isinstance(entry, Progress):
                    return entry
    except TimeoutError:
        return None
    return None


async def _stream(reply: AsyncReply, first: Entry | None, shape: Shape, *, include_usage: bool) -> AsyncIterator[str]:
    """The reply as server-sent events."""
    try:
        for chunk in shape.opening():
            yield event(chunk)
        async for entry in _chained(first, reply):
            if isinstance(entry, Piece):
                yield event(shape.piece(entry))
            elif isinstance(entry, Progress):
                yield f": {entry.stage}\n\n"
            elif entry.finish is Finish.FAILED:
                error = TurnFailed(entry)
                yield event(faults.body(faults.kind_of(error), faults.message_of(error), faults.param_of(error)))
                return
            else:
                for chunk in shape.closing(entry, include_usage=include_usage):
                    yield event(chunk)
        yield DONE
    except ProctorError as error:  # the broker or every worker went away
        yield event(faults.body(faults.kind_of(error), str(error)))


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
        async for entry in reply.entries():
            yield entry


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "proctor"}
