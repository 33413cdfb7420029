"""`proctor serve`: the HTTP API and the page, until stopped."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from glob import escape

import uvicorn

from chat.client.client import ReplySettings
from chat.client.connect import check_model, connected, read_settings
from chat.server.access import Gate
from chat.server.app import create_app
from chat.server.fleet import Service
from chat.server.idle_connections import PatientProtocol
from chat.server.requests import join_name
from proctor import logs
from proctor.broker_url import LOOPBACK
from proctor.catalog.cached import cached_names
from proctor.catalog.endpoint import Endpoint
from proctor.errors import BadInput
from proctor.settings import CACHED, Settings
from proctor.signals import interruptible

TOKEN = "PROCTOR_API_TOKEN"  # noqa: S105 -- the name of a variable
LEAST_TOKEN = 16  # characters
MOST_AT_ONCE = 512  # requests
DRAIN_S = 10  # for replies under way when the server is stopped


@dataclass(frozen=True)
class Address:
    """Where the server listens. Port 0 is any that is free."""

    host: str = "127.0.0.1"
    port: int = 8000


def serve(
    address: Address,
    devices: str,
    say: Callable[[str], None],
    first: ReplySettings | None = None,
    allow_models: Sequence[str] = (),
    endpoint: Endpoint | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; a worker of our own has the model of `first` loaded before anybody asks.

    `allow_models` is what may be asked for beside the model of `first` and what is held, as PROCTOR_ALLOW_MODELS has
    it, which it takes the place of. Neither: what is cached. A fleet's workers have lists of their own. `endpoint` is a
    server that the worker of our own asks.

    Raises
    ------
    BadInput
        where the address is not loopback and no token is set, the token is too short, the port is taken, or the
        name of a model can't be meant.
    ProctorError
        where the broker can't be reached or started.
    """
    settings = with_list(read_settings(os.environ), first, allow_models)
    token = os.environ.get(TOKEN) or None
    check(address, token)
    ahead = None if settings.broker_url else first  # a fleet's workers load what they are asked for
    if ahead is not None:
        check_model(ahead.model, endpoint)
    logs.configure("WARNING")
    listening = bind(address)
    ours = connected(settings, say, devices, settings.allow_models, endpoint)
    with listening, interruptible(), ours as place:
        host, port = listening.getsockname()[:2]
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        say(f"{where} has the page, {where}/v1 is for OpenAI's clients; the models are at {place.where}")
        say("a token is wanted" if token else "no token is wanted: for this machine alone")
        if ahead is not None:
            place.client.expect(ahead)
        service = Service(
            place.broker_url,
            token,
            _metrics(settings),
            None if settings.broker_url else place.ask,
            named=(join_name(first.model, first.quant),) if first else (),
            cached=(lambda: cached_names(settings.cache)) if _lists_cached(settings) else None,
        )
        uvicorn.Server(config(create_app(service))).run(sockets=[listening])


def config(app: Gate) -> uvicorn.Config:
    """How the server serves."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_AT_ONCE,
        http=PatientProtocol,
        ws="none",
        timeout_graceful_shutdown=DRAIN_S,
        lifespan="on",
    )


def with_list(settings: Settings, first: ReplySettings | None, allow_models: Sequence[str]) -> Settings:
    """The settings of our own worker: what may be asked of it. Raises `BadInput` for a pattern with a comma."""
    for pattern in allow_models:
        if "," in pattern:
            raise BadInput(f"--allow-models {pattern!r} holds a comma.", "Repeat the option for more patterns.")
    patterns = tuple(allow_models) or settings.allow_models or (CACHED,)
    named = (escape(first.model),) if first is not None else ()
    return replace(settings, allow_models=tuple(dict.fromkeys((*named, *patterns))))


def _lists_cached(settings: Settings) -> bool:
    return not settings.broker_url and CACHED in (settings.allow_models or ())


def check(address: Address, token: str | None) -> None:
    """Raise `BadInput` where anybody on the network could use the models, or guess the token."""
    if token is None and address.host not in LOOPBACK:
        raise BadInput(
            f"--host {address.host} can be reached from other machines, and no token is set.",
            f"Set {TOKEN}, for example to `openssl rand -hex 24`.",
        )
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or token != token.strip()):
        raise BadInput(f"{TOKEN} is no token of at least {LEAST_TOKEN} plain characters.", "`openssl rand -hex 24`")


def bind(address: Address) -> socket.socket:
    """A socket that listens there. Raises `BadInput` where it can't."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise BadInput(
            f"{address.host} port {address.port} can't be listened on: {error.strerror or error}.",
            "Take another with --port.",
        ) from error


def _metrics(settings: Settings) -> Callable[[], str] | None:
    """The fleet's numbers, where a database was named, or is this machine's own."""
    if settings.broker_url and not os.environ.get("PROCTOR_DATABASE_URL"):
        return None

    def text() -> str:
        from proctor.prometheus import metrics_text
        from proctor.store.database.open import open_store

        with open_store(settings) as store:
            return metrics_text(store)

    return text
