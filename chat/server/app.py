"""The HTTP API: OpenAI's completions over the fleet's models, and the page that talks to them.

    /v1/chat/completions  /v1/completions  /v1/models      as the `openai` client expects them
    /health                                                  whether a worker answers, without a token
    /metrics                                                 for Prometheus, where this server has a database
    /  and  /api/…                                           the page (`chat.server.page`)

Each completion is a conversation of its own, all of which the model reads (`History.ALL`); what earlier requests have
computed is used again by the worker all the same. Closing the connection of a completion stops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from chat.server import errors, page
from chat.server.access import Gate
from chat.server.answering import streamed, whole
from chat.server.errors import ErrorAnswer, Kind
from chat.server.fleet import FleetClient, Service
from chat.server.requests import ChatForm, CompletionForm
from chat.server.responses import CompletionShape
from proctor import __version__
from proctor.errors import ProctorError, StoreUnavailable
from proctor.nouns.conversations import Fault

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
}


def create_app(service: Service) -> Gate:
    """The application, to be served by any ASGI server. Opens nothing before its first request."""
    fleet = FleetClient(service)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await fleet.close()

    app = FastAPI(title="Proctor", version=__version__, lifespan=life, docs_url=None, redoc_url=None, responses=ERRORS)
    _add_faults(app)
    _add_completions(app, fleet)
    _add_state(app, fleet)
    page.add(app, fleet)
    return Gate(app, service.token)


def _add_faults(app: FastAPI) -> None:
    async def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ProctorError)
        return errors.of_error(error)

    async def malformed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return errors.of_validation(error.errors(), error.body)

    async def no_route(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = Kind(error.status_code, errors.INVALID, "not_found" if error.status_code == 404 else None)
        return errors.answer(kind, f"{error.detail}.", headers=error.headers)

    app.add_exception_handler(ProctorError, ours)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, no_route)


def _add_completions(app: FastAPI, fleet: FleetClient) -> None:
    @app.post("/v1/chat/completions", response_model=None, responses=page.STREAMED)
    async def chat_completions(form: ChatForm, http: Request) -> Response:
        """Reply to a conversation."""
        request = form.request()
        shape = CompletionShape(request.turn, form.model, chat=True, scored=form.logprobs)
        if form.stream:
            return await streamed(fleet, http, request, shape, include_usage=form.include_usage)
        return await whole(fleet, http, [request], shape)

    @app.post("/v1/completions", response_model=None, responses=page.STREAMED)
    async def completions(form: CompletionForm, http: Request) -> Response:
        """Go on with texts, without the model's chat template; with `echo` they are scored."""
        requests = form.requests()
        scored = form.logprobs is not None
        shape = CompletionShape(requests[0].turn, form.model, chat=False, scored=scored, silent=form.silent)
        if form.stream:
            return await streamed(fleet, http, requests[0], shape, include_usage=form.include_usage)
        return await whole(fleet, http, requests, shape)


def _add_state(app: FastAPI, fleet: FleetClient) -> None:
    @app.get("/v1/models", response_model=None)
    async def models() -> dict[str, Any]:
        """Models that can be asked for without a wait for files. Others can be named too: a worker fetches them."""
        return {"object": "list", "data": [_model(name) for name in await fleet.models()]}

    @app.get("/v1/models/{name:path}", response_model=None)
    async def model(name: str) -> dict[str, Any] | Response:
        """One of them."""
        if name in await fleet.models() or name in await fleet.models(now=True):
            return _model(name)
        return errors.answer(errors.OF_FAULT[Fault.BAD_MODEL], f"{name[:200]!r} is not among the models here.", "model")

    @app.get("/health", response_model=None)
    async def health() -> JSONResponse:
        """Whether a worker answers."""
        try:
            workers = len(await fleet.held())
        except Exception as error:  # noqa: BLE001 -- whatever it is: the question was whether all is well
            return JSONResponse({"status": "unavailable", "cause": type(error).__name__}, 503)
        status = "ok" if workers else "no worker"
        return JSONResponse({"status": status, "workers": workers}, 200 if workers else 503)

    @app.get("/metrics", response_model=None, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """For Prometheus."""
        if fleet.service.metrics is None:
            return errors.answer(Kind(404, errors.INVALID, "not_found"), "This server has no database to measure.")
        try:
            text = await asyncio.to_thread(fleet.service.metrics)
        except StoreUnavailable as error:
            return errors.answer(Kind(503, "server_error", "unavailable"), str(error))
        return PlainTextResponse(text, media_type=METRICS_TYPE)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "proctor"}
