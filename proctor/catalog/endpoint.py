"""Servers that speak OpenAI's API: the address of one, the way to it, and the models that it names.

What a sweep or a worker is told of one is an `Endpoint`. It travels in argument lists and environments, so the key is
no part of it: whoever opens a connection reads PROCTOR_ENDPOINT_KEY from its own environment.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from proctor.errors import Away, BadInput, UnknownName, first_line
from proctor.nouns.models import ModelRef, ModelSource
from proctor.settings import LOOPBACK

if TYPE_CHECKING:
    import httpx2

KEY = "PROCTOR_ENDPOINT_KEY"
VLLM_HOME = "PROCTOR_VLLM"  # the folder of an environment with vLLM
PRICED = "price of a million tokens"  # among the versions of a Run's Provenance
IN_FLIGHT = 32  # requests at a time, at most
TOLERANCE = 0.01  # nats, between log-probabilities of given and of generated tokens
CONNECT_S, SILENCE_S = 10.0, 300.0  # a server may read a long prompt before it says a word
# Where servers tell how many tokens a model reads: vLLM and SGLang; hosts of many models; llama.cpp.
_WINDOWS = ("max_model_len", "context_length", "context_window", "n_ctx", "n_ctx_train")
_PRICE = re.compile(r"(?P<read>\d+(\.\d+)?):(?P<written>\d+(\.\d+)?)")


class EndpointAway(Away):
    """A server that can't be reached, has no room for us, or fails: it may be back by itself."""


@dataclass(frozen=True)
class Price:
    """What a million tokens cost, in whatever currency the server's owner takes."""

    read: float
    written: float

    def __str__(self) -> str:
        return f"{self.read:g}:{self.written:g}"

    def of(self, read: int, written: int) -> float:
        """What so many tokens cost."""
        return (read * self.read + written * self.written) / 1_000_000

    @classmethod
    def parse(cls, text: str) -> Price:
        """The Price that `str` wrote. Raises `BadInput` for others."""
        found = _PRICE.fullmatch(text.strip())
        if found is None:
            raise BadInput(
                f"--price {text!r} is no price.", "Write what a million tokens read and written cost: 0.15:0.60."
            )
        return cls(float(found["read"]), float(found["written"]))


@dataclass(frozen=True)
class Endpoint:
    """A server, as a command line names it.

    Attributes
    ----------
    url
        Up to what stands before `/completions`, such as `http://127.0.0.1:8000/v1`.
    models
        Those that may be asked for; none: all that it has.
    tokenizer
        A folder, or a hub id whose files are cached, with the model's tokenizer; "": the model's own name, if it is one
        of these.
    price
        As `Price` writes it; "": not given.
    tolerance
        How far log-probabilities of given texts may be from those of generation, in nats.
    """

    url: str
    models: tuple[str, ...] = ()
    tokenizer: str = ""
    in_flight: int = IN_FLIGHT
    price: str = ""
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 0 < self.tolerance <= 1:
            raise BadInput(f"--tolerance {self.tolerance:g} is not above 0 and at most 1 nat.")
        if self.in_flight < 1:
            raise BadInput(f"--in-flight {self.in_flight} is below 1.")
        if self.price:
            Price.parse(self.price)

    @property
    def arguments(self) -> list[str]:
        """The same for a command line; nothing for what is left at its default."""
        more = [f"--tokenizer={self.tokenizer}"] if self.tokenizer else []
        more += [f"--in-flight={self.in_flight}"] if self.in_flight != IN_FLIGHT else []
        more += [f"--price={self.price}"] if self.price else []
        more += [f"--tolerance={self.tolerance:g}"] if self.tolerance != TOLERANCE else []
        return [f"--endpoint={self.url}", *(f"--model={name}" for name in self.models), *more]


@dataclass(frozen=True)
class Vllm:
    """How a worker starts vLLM: by a Python of an environment of its own, which has it."""

    python: str
    in_flight: int = IN_FLIGHT
    tolerance: float = TOLERANCE

    @property
    def arguments(self) -> list[str]:
        """The same for a command line."""
        asked = Endpoint("", in_flight=self.in_flight, tolerance=self.tolerance).arguments[1:]
        return [f"--vllm={self.python}", *asked]

    @classmethod
    def found(cls, where: str, in_flight: int = IN_FLIGHT, tolerance: float = TOLERANCE) -> Vllm:
        """The Python of an environment's folder, or a Python itself. Raises `BadInput` where there is none."""
        path = Path(where).expanduser()
        python = path / "bin" / "python" if path.is_dir() else path
        if not where or not python.is_file():
            raise BadInput(
                f"There is no environment with vLLM at {where!r}." if where else "Where vLLM is wasn't said.",
                f"Make one (python -m venv vllm; vllm/bin/pip install vllm), and set {VLLM_HOME} to its folder.",
            )
        return cls(str(python.absolute()), in_flight, tolerance)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `Endpoint.arguments` writes, for a program that reads it."""
    parser.add_argument("--endpoint", metavar="URL", help="ask this server instead of computing here")
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="of the server, these alone")
    parser.add_argument("--tokenizer", default="", metavar="MODEL", help="whose tokenizer the server's model has")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT, metavar="N", help="requests to it at a time")
    parser.add_argument("--price", default="", metavar="READ:WRITTEN", help="of a million tokens")
    parser.add_argument("--vllm", metavar="PYTHON", help="start vLLM by this Python for each model, and ask it")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="NATS", help="of its self-test")


def of_arguments(told: argparse.Namespace) -> Endpoint | Vllm | None:
    """The server that such a command line names, or vLLM; None where it names neither. Raises `BadInput`."""
    if told.endpoint and told.vllm:
        raise BadInput("--endpoint and --vllm are two ways to a server.", "Take one of them.")
    if told.vllm:
        return Vllm.found(told.vllm, told.in_flight, told.tolerance)
    if not told.endpoint:
        return None
    models, url = tuple(told.model), read_url(told.endpoint)
    return Endpoint(url, models, told.tokenizer, told.in_flight, told.price, told.tolerance)


@dataclass(frozen=True)
class ServedModel:
    """A model as its server lists it."""

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def window(self) -> int | None:
        """Tokens that it reads and writes at most; None where the server doesn't tell."""
        meta = self.facts.get("meta")
        told = {**(meta if isinstance(meta, Mapping) else {}), **self.facts}
        sizes = (told.get(name) for name in _WINDOWS)
        return next((size for size in sizes if isinstance(size, int) and size > 0), None)

    @property
    def owner(self) -> str:
        """What the server calls itself or the model's owner: `vllm`, `llamacpp`, `library`; "" where it doesn't."""
        return str(self.facts.get("owned_by") or "")


def read_url(text: str) -> str:
    """The address that a person means: `http://host:8000` is `http://host:8000/v1`, other paths stay.

    Raises
    ------
    BadInput
        for what is no address of a server, and for one with a password in it.
    """
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"--endpoint {_shown(text)} is no address of a server.", "Write it as http://127.0.0.1:8000/v1.")
    if parts.username is not None or parts.password is not None:
        raise BadInput(
            f"--endpoint {_shown(text)} has a name or password in it, which lists of processes would show.",
            f"Set {KEY} in the environment; it goes along as a bearer token.",
        )
    if parts.query or parts.fragment:
        raise BadInput(f"--endpoint {_shown(text)} has more than a path behind the host.", "End it with /v1.")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def ref_of(name: str) -> ModelRef:
    """A model that a server has, by the server's own name for it. Which weights these are, the server alone knows."""
    return ModelRef(name.strip(), ModelSource.ENDPOINT)


def client(url: str, environ: Mapping[str, str] = os.environ, silence_s: float = SILENCE_S) -> httpx2.Client:
    """A way to a server, with the environment's key. It follows no redirect, which could carry the key elsewhere."""
    import httpx2  # a tenth of a second, which commands without a server don't spend

    key = environ.get(KEY, "").strip()
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of each request
    local = (urlsplit(url).hostname or "") in LOOPBACK
    return httpx2.Client(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx2.Timeout(silence_s, connect=CONNECT_S),
        limits=httpx2.Limits(max_connections=None),
        trust_env=not local,  # a proxy of the environment leads out, not to this machine
    )


def listed(http: httpx2.Client, url: str) -> dict[str, ServedModel]:
    """The models that a server names, by name.

    Raises
    ------
    EndpointAway
        where it can't be reached, or fails.
    BadInput
        where it refuses the key, or is no such server.
    """
    import httpx2

    try:
        answer = http.get(f"{url}/models", timeout=CONNECT_S)
    except httpx2.HTTPError as error:
        raise EndpointAway(
            f"The server at {url} can't be reached: {first_line(error)}.", "Check --endpoint and that it runs."
        ) from error
    if answer.status_code in (401, 403):
        raise refused_key(url, answer.status_code)
    if answer.status_code >= 500 or answer.status_code == 429:
        raise EndpointAway(f"The server at {url} answers {answer.status_code} to a look at its models.")
    if answer.status_code != 200:
        raise _no_api(url, f"it answers {answer.status_code} to GET /models")
    try:
        return {str(row["id"]): ServedModel(str(row["id"]), row) for row in answer.json()["data"] or ()}
    except (ValueError, KeyError, TypeError) as error:
        raise _no_api(url, "what it answers to GET /models isn't a list of models") from error


def find(models: Mapping[str, ServedModel], name: str) -> ServedModel:
    """The model of this name; one that lists none is believed to have it. Raises `UnknownName` with the nearest."""
    if name in models or not models:
        return models.get(name, ServedModel(name))
    near = difflib.get_close_matches(name, models, n=2, cutoff=0.4)
    raise UnknownName("model of the server", name, near, f"It has: {_some(sorted(models))}.")


def refused_key(url: str, status: int) -> BadInput:
    """What is said where a server wants another key."""
    return BadInput(f"The server at {url} refuses the key ({status}).", f"Set {KEY} to one that it takes.")


def _no_api(url: str, cause: str) -> BadInput:
    return BadInput(
        f"The server at {url} doesn't speak OpenAI's API: {cause}.",
        "Name the address up to /v1, such as http://127.0.0.1:8000/v1.",
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def _shown(text: str) -> str:
    """An address as it may be printed, without a password."""
    return repr(re.sub(r"//[^/@]*@", "//…@", text))
