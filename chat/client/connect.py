"""Where a chat's models are: the fleet of PROCTOR_BROKER_URL, or a broker and a worker of our own for a chat's life.

with connected(settings, say) as place:
    place.client.chat("smollm2").say("Hello")
    place.ask(Inquiry(new_id(), InquiryKind.CONVERSATIONS))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from chat.client.client import Client
from chat.protocol.inquiries import Answer, Inquiry, Unanswered, load_answer
from proctor import broker_url
from proctor.catalog.endpoint import Endpoint, find, listed, read_url
from proctor.catalog.endpoint import client as http_client
from proctor.errors import BadInput
from proctor.nouns.conversations import Conversation
from proctor.nouns.models import Device
from proctor.settings import Settings

NO_SWEEP = 0  # a chat's worker leaves exams alone that wait in the database: their own command goes on with them


@dataclass(frozen=True)
class Connection:
    """A broker that is there, and a way to ask about conversations."""

    client: Client
    ask: Callable[[Inquiry], Answer]
    where: str  # in words, without the password
    broker_url: str
    own: bool = False  # the worker is ours alone


@contextmanager
def connected(
    settings: Settings,
    say: Callable[[str], None],
    devices: str = "auto",
    allow_models: tuple[str, ...] | None = None,
    endpoint: Endpoint | None = None,
) -> Iterator[Connection]:
    """The fleet where one is named; else what we start, which ends with the block.

    `allow_models` is what a worker of ours may be asked for (PROCTOR_ALLOW_MODELS); None, for the one at its terminal,
    anything. `endpoint` is a server that the worker of ours asks.

    Raises
    ------
    BadInput
        where a fleet is named and a server as well, which its own workers would have to ask.
    BrokerUnavailable, WorkersUnavailable
        where nothing can be started, and later, out of a wait, where all that was started has failed.
    """
    if settings.broker_url:
        if endpoint is not None:
            raise BadInput(
                "--endpoint is for the worker that this command starts, and with PROCTOR_BROKER_URL it starts none.",
                "Start `proctor worker --endpoint URL --model NAME`, and leave --endpoint out.",
            )
        where = str(broker_url.read(settings.broker_url))
        with Client(settings.broker_url) as client:
            yield Connection(client, lambda inquiry: load_answer(client.inquire(inquiry)), where, settings.broker_url)
        return
    from proctor.embedded.command import embedded
    from proctor.store.database.open import open_store

    open_store(settings).close()  # makes the tables where there are none yet: workers only use them
    say("starting a broker and a worker on this machine …")
    settings = replace(settings, allow_models=allow_models)
    more = endpoint.arguments if endpoint is not None else ()
    with embedded(settings, devices, NO_SWEEP, more=more) as crew, Client(crew.broker_url) as client:
        client.on_silence = crew.check
        yield Connection(client, reader(settings), "a worker of this machine", crew.broker_url, own=True)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings of a client: as `Settings.read`, but with a broker anywhere, since no database goes with it.

    Raises
    ------
    BadInput
        for a value that can't be meant.
    """
    url = environ.get("PROCTOR_BROKER_URL")
    settings = Settings.read({**environ, "PROCTOR_BROKER_URL": ""})
    if url:
        broker_url.read(url)
    return replace(settings, broker_url=url or None)


def reader(settings: Settings) -> Callable[[Inquiry], Answer]:
    """Answers inquiries: from the fleet where one is named, else without a worker from the database of this machine."""

    def ask(inquiry: Inquiry) -> Answer:
        if settings.broker_url:
            with Client(settings.broker_url) as client:
                return load_answer(client.inquire(inquiry))
        from chat.protocol.answers import (
            answer,  # a fleet's client does without the database's libraries: they cost a second
        )
        from proctor.store.database.open import open_store

        with open_store(settings) as store:
            found = answer(store, inquiry)
        if found.error:
            raise Unanswered(found.error)
        return found

    return ask


def story_of(found: Answer) -> Conversation:
    """The conversation of an answer. Raises `Unanswered` where it has none."""
    if found.story is None:
        raise Unanswered("The answer holds no conversation.")
    return found.story


def device_of(name: str) -> Device | None:
    """The device that `--device` names; None for auto."""
    return {"auto": None, "cuda": Device.GPU, "cpu": Device.CPU, "net": Device.NET}[name]


def worker_devices(name: str) -> str:
    """What a worker of our own runs on (`proctor worker --devices`) for that `--device`."""
    return "cpu" if name == "cpu" else "auto"


def check_model(name: str, endpoint: Endpoint | None = None) -> None:
    """Raise what is wrong with a model's name before anything is started: a worker of ours sees the same files."""
    if endpoint is not None:
        with http_client(endpoint.url) as http:
            find(listed(http, endpoint.url), name)
        return
    from proctor.catalog.resolve import resolve  # reads weights, and asks the hub

    resolve(name)


def server_of(url: str | None, model: str | None, tokenizer: str = "") -> Endpoint | None:
    """The server that `--endpoint` names; None where it names none. Raises `BadInput`, also where no model is named."""
    if not url:
        return None
    if not model:
        raise BadInput("--endpoint names no model.", "Add -m NAME, by the name that the server has for it.")
    return Endpoint(read_url(url), tokenizer=tokenizer)
